/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * run-workflow: what GitHub and the administrator are to the runner. Reads a workflow, makes a
 * message of each job, hands them to a Listener, prints what the Worker tells.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "common/json.h"
#include "runnerhub/err.h"

struct rh_run_options {
	const char *file;
	const char *runner; /* directory or name; NULL: the environment's, else a temporary one */
	const char *json;
	const char *actions; /* DIR/owner/repo/ref[.tar.gz] */
	const char *workspace; /* copied into the job's workspace */
	const char *repository;
	const char *job; /* this job only */
	const char *node;
	uid_t uid;
	bool has_uid;
	bool clean, keep, quiet;
	double cancel_after_s, stop_after_s; /* 0: never */
};

/* A runner directory in use. */
struct rh_run_runner {
	char *root;
	bool temporary;
	int lock_fd;
	uid_t uid;
	gid_t gid;
	bool change_user;
};

/* make.c, runner.c: making a runner directory, finding and using one. */
struct rh_run_make {
	const char *root;
	const char *name; /* NULL: the directory's */
	const char *node; /* a node binary; NULL: the cache's, else the system's */
	const char *node_alpine; /* for musl images, or NULL */
	uid_t uid;
	bool has_uid;
	bool versioned; /* bin and externals are links, as after an update */
};
int rh_runner_make(const struct rh_run_make *make, struct rh_err *err);
/* Gives a runner directory to a user; all but externals, whose node may be a link to a cached one.
 */
int rh_runner_give(const char *root, uid_t uid, gid_t gid);
int rh_runner_open(
	const struct rh_run_options *options, struct rh_run_runner *ret_runner, struct rh_err *err);
void rh_runner_close(struct rh_run_runner *runner);
/* Runs @fn in a child with the runner's user. Return: its return value. */
int rh_runner_as_user(const struct rh_run_runner *runner, int (*fn)(void *arg, struct rh_err *err),
	void *arg, struct rh_err *err);
/* In a child: becomes the runner's user for good. */
int rh_runner_become(const struct rh_run_runner *runner);

/* workspace.c: what stands in for a checkout, written as the runner's user. */
int rh_workspace_fill(const struct rh_run_options *options, const struct rh_run_runner *runner,
	struct json_object *files, struct rh_err *err);
/* Packs the actions of --actions. @ret_archives: "owner/repo@ref" → file, new reference. */
int rh_archives_pack(const struct rh_run_options *options, const char *into,
	struct json_object **ret_archives, struct rh_err *err);

/* workflow.c */
int rh_workflow_load(const char *path, struct json_object **ret_workflow, struct rh_err *err);
/* Keys of the jobs in the order in which they run. @ret_order: new reference. */
int rh_workflow_order(struct json_object *workflow, const char *only,
	struct json_object **ret_order, struct rh_err *err);
/**
 * rh_workflow_message() - what the Worker gets
 * @done: results of earlier jobs, {"key": {"result": …, "outputs": …}}
 * @ret_message: new reference; NULL if the job's condition does not hold
 */
int rh_workflow_message(const struct rh_run_options *options, struct json_object *workflow,
	const char *key, struct json_object *done, struct json_object **ret_message,
	struct rh_err *err);

/* report.c: the log, and the JSON report. */
struct rh_report {
	struct json_object *root;
	struct json_object *job; /* the one that runs */
	bool quiet;
	int shown; /* number of the step whose header was printed last */
	struct json_object *names; /* of steps by number */
};
void rh_report_init(struct rh_report *report, const char *workflow, bool quiet);
void rh_report_deinit(struct rh_report *report);
void rh_report_job_begin(struct rh_report *report, const char *key, const char *name);
void rh_report_event(struct rh_report *report, struct json_object *event);
/* @status: the Worker's; -1 if it could not be started. Return: the job's conclusion, borrowed. */
const char *rh_report_job_end(struct rh_report *report, int status, long long ms);
void rh_report_job_skipped(struct rh_report *report, const char *key, const char *name);
/* Prints the table. Return: exit code 0, 1 or 2. */
int rh_report_end(struct rh_report *report, long long ms, const char *json_path);

/* launch.c: one Listener with its jobs. */
struct rh_launch;
int rh_launch_start(
	const struct rh_run_runner *runner, struct rh_launch **ret_launch, struct rh_err *err);
/* Runs a job to its end; @cancel_ms, @stop_ms: monotonic, 0 never. Return: the Worker's status. */
int rh_launch_job(struct rh_launch *launch, struct json_object *message, struct rh_report *report,
	int64_t cancel_ms, int64_t stop_ms);
void rh_launch_stop(struct rh_launch *launch);
bool rh_launch_interrupted(const struct rh_launch *launch);
