/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The store: SQLite behind one writer thread and one bounded queue.
 *
 * Callers hand over records; the queue copies them, batches what waits into one transaction and
 * calls back on the loop thread once it is committed (callbacks may be NULL). Nothing on a step's
 * path waits for it; a container's change of state does (it is stored before it is acted on). A
 * damaged file is set aside at open (renamed to NAME.damaged-TIME) and a new one begun. If the disk
 * refuses a write the record stays queued up to the bound and the caller's callback gets the error
 * after the queue's own retries; the broker goes on.
 */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "broker/daemon/log/log.h"
#include "runnerhub/err.h"
#include "runnerhub/id.h"

struct rh_store;

/* Bounds of text columns; longer text is cut at a character. */
#define RH_STORE_TEXT_MAX 1024
/* Of the few that hold more than a line. What is longer is not stored. */
#define RH_STORE_LONG_MAX 65536

enum rh_store_job_state {
	RH_JOB_STARTING, /* hook connected, no container yet */
	RH_JOB_RUNNING, /* leased */
	RH_JOB_ENDING, /* completed hook or Worker gone; container and workspace being removed */
	RH_JOB_ENDED,
};

enum rh_store_job_result {
	RH_JOB_RESULT_NONE,
	RH_JOB_COMPLETED, /* the completed hook came */
	RH_JOB_FAILED, /* no container, or its container died; reason says why */
	RH_JOB_ABANDONED, /* the Worker went away without its completed hook */
};

/* Borrowed strings, copied by the store; NULL is "". Names are snake_case columns of the same name.
 */
struct rh_store_job {
	struct rh_id id;
	enum rh_store_job_state state;
	enum rh_store_job_result result;
	const char *runner;
	const char *profile;
	const char *repository;
	const char *workflow;
	const char *job_key;
	const char *run_id;
	const char *run_attempt;
	const char *ref;
	const char *sha;
	const char *actor;
	const char *event_name;
	const char *container; /* instance id, hex */
	const char *workspace; /* the repository's directory name below work */
	const char *reason; /* why it failed, for people */
	int64_t worker_pid;
	int64_t worker_start; /* field 22 of /proc/pid/stat, clock ticks */
	int64_t created_ms; /* wall clock */
	int64_t leased_ms;
	int64_t ended_ms;
	int64_t start_us; /* hook connected to lease done */
	bool cold; /* no warm container was there */
};

struct rh_store_step {
	struct rh_id job;
	uint64_t step;
	const char *program; /* base name only: arguments may hold secrets */
	const char *label; /* GITHUB_ACTION of the step */
	int64_t started_ms;
	int64_t ended_ms; /* 0: running */
	int32_t exit_code;
	int32_t signal;
	uint32_t flags; /* RH_WIRE_STEP_… */
	uint64_t wall_us, user_us, sys_us, peak_rss_kib;
};

struct rh_store_container {
	struct rh_id instance;
	const char *engine_id;
	const char *profile;
	const char *image;
	const char *state; /* creating warm leased stopping removed failed */
	const char *reason;
	struct rh_id job; /* null: none */
	int64_t created_ms;
	int64_t changed_ms;
};

struct rh_store_event {
	int64_t time_ms;
	const char *kind; /* "job.started", "container.failed", … */
	struct rh_id job; /* null: none */
	struct rh_id container;
	const char *message; /* for people, one line */
};

/* What was really in force for a job, as the kernel said it. */
struct rh_store_isolation {
	struct rh_id job;
	int64_t taken_ms;
	const char *verdict; /* "" if it was all that the profile asks for, else what was not */
	const char *data; /* a JSON object, at most RH_STORE_LONG_MAX */
};

/* What a broker finds at start: jobs that did not end, containers not removed. Owned strings. */
struct rh_store_open {
	struct rh_store_job *jobs;
	size_t n_jobs;
	struct rh_store_container *containers;
	size_t n_containers;
};
void rh_store_open_free(struct rh_store_open *open);

typedef void (*rh_store_done_fn)(void *arg, int r);
typedef void (*rh_store_query_fn)(
	void *arg, int r, struct json_object *data); /* data is borrowed */

/**
 * rh_store_start() - open or create the file, run migrations, load what is open
 * @loop: callbacks run on it
 * @ret_open: jobs and containers that had not ended
 *
 * Context: start-up (blocks on disk). Return: 0; negative errno with @err.
 */
int rh_store_start(uv_loop_t *loop, const char *path, struct rh_log *log,
	struct rh_store **ret_store, struct rh_store_open **ret_open, struct rh_err *err);
/* Refuses new work, writes what is queued (bounded in time), then @cb. */
void rh_store_close(struct rh_store *store, void (*cb)(void *arg), void *arg);

/*
 * Upserts by key (job id; job and step; instance). Empty text, a null id and a zero leave what is
 * stored, except for the states, a job's result, reason and cold, and changed_ms: a step's end need
 * not repeat its beginning. Return: 0; -ENOBUFS if the queue is full, -ESHUTDOWN after
 * rh_store_close(), -ENOMEM.
 *
 * In @cb: 0 once it is committed; -EINVAL if the row itself is wrong; else the row stays queued
 * (-ENOSPC, -EBUSY, -EIO, -EROFS, …) or was given up at the end (-ECANCELED).
 */
int rh_store_put_job(
	struct rh_store *store, const struct rh_store_job *job, rh_store_done_fn cb, void *arg);
int rh_store_put_step(
	struct rh_store *store, const struct rh_store_step *step, rh_store_done_fn cb, void *arg);
int rh_store_put_container(struct rh_store *store, const struct rh_store_container *container,
	rh_store_done_fn cb, void *arg);
int rh_store_put_isolation(struct rh_store *store, const struct rh_store_isolation *isolation,
	rh_store_done_fn cb, void *arg);
int rh_store_add_event(struct rh_store *store, const struct rh_store_event *event);

/**
 * rh_store_query() - read for people
 * @name: "jobs" {limit, offset, state?, result?, runner?, repository?, since_ms?},
 *        "job" {id or unique prefix: with steps, events, container}, "containers" {state?, all?},
 *        "isolation" {id}, "events" {limit, job?, since_id?}, "counts" {}
 * @args: borrowed for the call
 *
 * Return: 0 and later @cb on the loop thread with an array or object (camelCase fields); -ENOBUFS.
 * In @cb: -ENOENT, -EINVAL (bad arguments), -EEXIST (a prefix that is not unique).
 */
int rh_store_query(struct rh_store *store, const char *name, struct json_object *args,
	rh_store_query_fn cb, void *arg);

/* Deletes ended jobs (with steps and events) beyond age or count. */
int rh_store_retain(struct rh_store *store, uint64_t keep_ms, uint32_t keep_jobs);

struct rh_store_health {
	uint32_t n_queued;
	uint64_t n_written;
	uint64_t n_failed;
	bool damaged_set_aside; /* at this start */
	int last_error;
};
void rh_store_health(const struct rh_store *store, struct rh_store_health *ret_health);
