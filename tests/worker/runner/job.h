/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One job in the stand-in Worker: its directories, contexts, steps and result.
 *
 * One lock guards all of it. It is held by whoever computes and released while a process runs, so
 * that background steps, cancels and the output of several processes may come at once.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/expr.h"
#include "runner/log.h"
#include "runner/proc.h"

/* The Worker exits with 100 and one of these. */
enum rh_result {
	RH_RESULT_SUCCESS = 0,
	RH_RESULT_FAILURE = 2,
	RH_RESULT_CANCELLED = 3,
	RH_RESULT_SKIPPED = 4,
};

enum rh_stage {
	RH_STAGE_PRE,
	RH_STAGE_MAIN,
	RH_STAGE_POST,
};

struct rh_job;
struct rh_step;

/* What the steps of a job, or those of a composite action, have in common. */
struct rh_scope {
	struct rh_scope *outer; /* NULL: the job itself */
	char *name; /* "", or the context names of the composite steps around, with dots */
	struct json_object *steps; /* the "steps" context */
	struct json_object *inputs;
	struct json_object *env; /* of the steps around, below the steps' own */
	enum rh_result result; /* of a composite action so far */
	struct rh_post *posts; /* newest first */
	struct rh_scope *next_owned; /* in the job's list */
};

/* A post step that waits for the end of the job, or of its composite action's own post. */
struct rh_post {
	struct json_object *def;
	struct json_object *condition;
	char *context_name;
	char *display;
	struct rh_post *next;
};

struct rh_job {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a background step ended */
	struct json_object *message;
	struct json_object *start_env; /* the Worker's own environment */
	struct json_object *github, *runner, *secrets, *job_context;
	struct json_object *env; /* of the workflow, the job and GITHUB_ENV */
	struct json_object *states; /* of actions, by scope and context name */
	struct json_object *archives; /* "owner/repo@ref" → tar.gz */
	char *prepend_path; /* GITHUB_PATH, newest first, colon-separated */
	char *root, *bin, *work, *temp, *actions, *tools, *workspace, *commands_dir;
	char *tracking_id;
	int64_t started_ms; /* of the Worker */
	struct rh_log log;
	struct rh_scope *scope; /* of the job */
	struct rh_scope *scopes; /* all, for the end */
	struct rh_step *running;
	int n_background;
	enum rh_result result;
	bool cancelled, shut_down;
};

/* job.c */
struct rh_job *rh_job_new(struct json_object *message, int event_fd, int64_t started_ms);
void rh_job_free(struct rh_job *job);
/* The whole job. Context: takes the lock. */
enum rh_result rh_job_run(struct rh_job *job);
/* Cancel and shutdown. Context: any thread; take the lock. */
void rh_job_cancel(struct rh_job *job);
void rh_job_shut_down(struct rh_job *job);
/* The worse of two results. */
enum rh_result rh_result_merge(enum rh_result a, enum rh_result b);
const char *rh_result_name(enum rh_result result);
/* The scope of a composite step; its stages share one. */
struct rh_scope *rh_scope_new(struct rh_job *job, struct rh_scope *outer, const char *name);

/* setup.c: what comes before the started hook, and after everything. */
int rh_job_set_up(struct rh_job *job, struct rh_record *record, struct rh_err *err);
void rh_job_tear_down(struct rh_job *job);
void rh_job_write_event(struct rh_job *job);

/* post.c: the newest post step of a scope that has one, and its end. */
struct rh_post *rh_post_take(struct rh_scope *scope);
void rh_post_free(struct rh_post *post);

/* process.c */
struct rh_command_line {
	const char *path;
	char **argv;
	const char *cwd;
	struct json_object *env; /* above the Worker's own */
};
/* A process of the Worker's own (tar, hashFiles): its lines go to @on_line. */
int rh_job_process(struct rh_job *job, const struct rh_command_line *line,
	void (*on_line)(void *arg, int stream, const char *text, size_t size), void *arg,
	int *ret_exit_code, struct rh_err *err);
/* A program by name: GITHUB_PATH first, then the Worker's PATH. Allocated; NULL if there is none.
 */
char *rh_job_which(struct rh_job *job, const char *name);

/* plan.c: the steps of the job in their order. */
/* A list of [{def, name, display}], one for each step of the message. New reference. */
struct json_object *rh_plan_steps(struct rh_job *job);
/* What the log calls a step without a name. Allocated. */
char *rh_plan_display(struct json_object *def);
/* What comes before the steps: downloads, and the pre: stages that they ask for. */
int rh_action_prepare(
	struct rh_job *job, struct json_object *plan, struct rh_record *record, struct rh_err *err);
/* Whether an entry of the plan has a pre: stage to run. */
bool rh_action_has_pre(struct rh_job *job, struct json_object *def);

/* archive.c: downloads an action into _actions. */
int rh_archive_fetch(
	struct rh_job *job, struct rh_record *record, const char *uses, struct rh_err *err);

/* hashfiles.c: @arg is the job. */
int rh_hash_files(void *arg, struct json_object *patterns, char **ret_hash, struct rh_err *err);

/* orphan.c */
struct json_object *rh_orphan_snapshot(void);
void rh_orphan_sweep(struct rh_job *job, struct json_object *before, struct rh_record *record);
