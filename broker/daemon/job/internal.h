/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the files of this folder share: the job's structure and the steps of its life.
 */

#include "broker/daemon/ipc/identity.h"
#include "broker/daemon/job/job.h"
#include "broker/daemon/job/request.h"
#include "broker/daemon/job/usage.h"
#include "runnerhub/block.h"

/* A step whose client is connected. */
struct rh_job_step {
	struct rh_job *job;
	struct rh_job_step *next, *prev;
	struct rh_peer *peer;
	uint64_t id;
	int64_t started_ms; /* wall clock, for the record */
	int64_t began_ms; /* rh_now_ms(), for its time limit */
	char program[64];
	char label[128];
};

/* What a job was last seen to use (watch.c). */
struct rh_job_watch {
	bool busy; /* it is being looked at; a long measurement goes on beside that */
	bool looked; /* @last is valid */
	struct rh_usage last;
	struct rh_usage measured; /* when its disk was last measured */
	uint64_t grown_bytes, grown_files; /* of its file systems, by anybody, since then */
	int64_t measured_ms;
	int64_t pause_ms; /* until it may be measured again */
	unsigned level; /* a measurement gets WALK_MS times two to the power of this */
	bool was_cut; /* the last one ended before all was counted */
	atomic_bool *stop; /* of the long measurement that goes on, or NULL */
	uint64_t output_base; /* what its Worker had read at the lease */
	unsigned n_full; /* seconds at the limit of processes, since some were refused */
	unsigned n_quiet; /* seconds without a refusal */
	uint64_t n_refused; /* processes, in that time */
	pid_t suspect;
	char *layer; /* the container's writable layer on the host, or NULL */
};

struct rh_job {
	struct rh_jobs *all;
	struct rh_job *next, *prev;
	struct rh_id id;
	char id_text[RH_ID_TEXT_SIZE];
	enum rh_job_phase phase;

	struct rh_config *config;
	const struct rh_runner *runner;
	const struct rh_profile *profile;
	struct rh_job_request request;

	pid_t worker_pid;
	uint64_t worker_start;
	int worker_pidfd;
	bool worker_gone;
	uv_poll_t worker_poll;
	uv_timer_t timer; /* of the start, then of the job */
	int n_handles;
	bool closing;

	struct rh_peer *peer; /* the hook that waits for an answer */
	bool peer_is_completed; /* which hook */
	bool unanswered; /* adopted while its started hook waited */
	struct rh_block *block; /* of the started hook, until its host hook has begun */
	void (*on_host_hook)(struct rh_job *job, int status);
	struct rh_container_request *acquiring;
	struct rh_container *container;
	bool attached; /* its directories were touched: they must be released */
	bool storing; /* that it ends is being stored; then its container goes */
	bool released_twice; /* the first helper died over it */
	bool scrubbed; /* its workspace is a fresh one, with nothing of the job's in it */
	uint32_t n_async; /* callbacks that still hold this job */

	struct rh_job_watch watch;

	uint64_t n_steps;
	uint32_t n_steps_running;
	uint32_t n_unreported; /* begun under this broker, and their end not told */
	bool blind; /* adopted, and no step was begun since: one of before may run */
	bool harmed; /* a step was lost with the container, or refused without */
	struct rh_job_step *steps;

	enum rh_store_job_result result;
	char reason[512];
	bool cold;
	int64_t created_ms;
	int64_t created_us; /* monotonic */
	int64_t leased_ms;
	int64_t ended_ms;
	int64_t start_us;
};

/* A runner whose next job of this repository is trusted with the tool cache. */
struct rh_warm {
	struct rh_warm *next;
	char runner[128];
	char repository[256];
	int64_t until_ms;
};

struct rh_retire;
struct rh_arrival;

struct rh_jobs {
	struct rh_warm *warm;
	struct rh_retire *retires; /* under way, and owed */
	struct rh_arrival *arrivals;
	uint32_t n_arrivals; /* those that are being closed, too */
	struct rh_jobs_options options;
	struct rh_job *jobs;
	uint32_t n_jobs;
	uv_timer_t watch_timer;
	bool watch_closed;
	bool measuring[2]; /* one job at a time, and another one that takes long */
	bool draining;
	void (*on_idle)(void *arg);
	void *idle_arg;
	bool closing;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* jobs.c */
struct rh_job *rh_job_of_worker(struct rh_jobs *jobs, pid_t pid, uint64_t start);
/* The runner's job that is not ended, other than @but; NULL: none. */
struct rh_job *rh_job_of_runner(struct rh_jobs *jobs, const char *runner, const struct rh_job *but);
int rh_job_new(struct rh_jobs *jobs, const struct rh_id *id, pid_t worker, uint64_t start,
	int pidfd, struct rh_job **ret_job);
void rh_job_move(struct rh_job *job, enum rh_job_phase phase);
/* Ends the closing once nothing is left that would call back. */
void rh_jobs_maybe_closed(struct rh_jobs *jobs);
/* Frees an ended job whose Worker has gone, once nothing holds it. */
void rh_job_maybe_free(struct rh_job *job);
void rh_job_arm(struct rh_job *job, uint64_t timeout_ms, uv_timer_cb cb);
/* A job has ended: whoever waited for it goes on. */
void rh_jobs_on_ended(struct rh_jobs *jobs);

/* isolation.c */
void rh_job_read_isolation(struct rh_job *job, const struct rh_mount_result *result);

/* watch.c */
int rh_jobs_watch_start(struct rh_jobs *jobs);
/* Ends a long measurement that goes on. */
void rh_job_watch_stop(struct rh_job *job);

/* record.c */
void rh_job_save(struct rh_job *job, rh_store_done_fn cb, void *arg);
/* Stores, logs and publishes; @runner is for the log. */
void rh_job_emit(const struct rh_jobs_options *options, const struct rh_store_event *event,
	const char *runner);
_printf_(3, 4) void rh_job_event(struct rh_job *job, const char *kind, const char *fmt, ...);

/* start.c */
void rh_job_on_started(struct rh_jobs *jobs, struct rh_peer *peer, struct rh_wire_msg *msg);
void rh_job_on_announce(struct rh_jobs *jobs, struct rh_peer *peer);
void rh_job_start_next(struct rh_job *job); /* from waiting, if nothing is in its way any more */
void rh_job_answer_ready(struct rh_job *job);
void rh_job_on_timeout(uv_timer_t *timer); /* of a running job */
void rh_job_on_start_deadline(uv_timer_t *timer); /* of one that starts */
/* Refuses the start with @reason; the job ends as failed. */
_printf_(2, 3) void rh_job_start_failed(struct rh_job *job, const char *fmt, ...);

/* step.c */
void rh_job_on_step(struct rh_jobs *jobs, struct rh_peer *peer, struct rh_wire_msg *msg);
/* Tells the clients of running steps why their channel went away. */
void rh_job_lose_steps(struct rh_job *job, const char *reason);

/* end.c */
void rh_job_on_completed(struct rh_jobs *jobs, struct rh_peer *peer, struct rh_wire_msg *msg);
void rh_job_end(struct rh_job *job, enum rh_store_job_result result, const char *reason);
void rh_job_on_worker_gone(struct rh_job *job);
/* Its container is gone; the job goes on without, each step refused with @reason. */
void rh_job_lose_container(struct rh_job *job, const char *reason);

/* sweep.c */
/* Deletes what its runner's trash has; what comes of it is told of this job, ended or gone. */
void rh_job_sweep(const struct rh_job *job);

/* retire.c */
#define RH_JOB_KEEP_MAX 4096
/* What a profile keeps of a workspace, a line each; what does not fit is not kept. NULL: nothing.
 */
const char *rh_job_keep_list(const struct rh_profile *profile, char buf[RH_JOB_KEEP_MAX]);
/* Now, or as soon as no Worker of the runner uses its _temp. */
void rh_jobs_retire(struct rh_jobs *jobs, const struct rh_runner *runner);
/* A Worker of the runner has come: what could not be done before it is tried at once. */
void rh_jobs_retire_owed(struct rh_jobs *jobs, const char *runner);
/* Each second. */
void rh_jobs_retire_due(struct rh_jobs *jobs);
void rh_jobs_retire_close(struct rh_jobs *jobs);

/* arrival.c */
/* Consumes the identity's pidfd: when that Worker is gone and had no job, its runner is retired. */
void rh_jobs_arrival(struct rh_jobs *jobs, const struct rh_identity *identity);
/* It has a job, which holds it from now on. */
void rh_jobs_arrived(struct rh_jobs *jobs, pid_t worker, uint64_t start);
void rh_jobs_arrivals_close(struct rh_jobs *jobs);

/* warm.c */
/* Whether this job may write the host's tool cache. Asked once: the next one may not. */
bool rh_job_is_trusted(struct rh_job *job);
void rh_jobs_warm_free(struct rh_jobs *jobs);

/* host_hook.c */
enum rh_host_hook { RH_HOST_HOOK_STARTED, RH_HOST_HOOK_COMPLETED };
const char *rh_host_hook_of(const struct rh_job *job, enum rh_host_hook which);
/**
 * rh_host_hook_run() - let the job's hook client run the administrator's own hook
 * @done: with its exit status, or negative if it could not be run; not called if the peer goes away
 */
void rh_host_hook_run(struct rh_job *job, enum rh_host_hook which, char *const *hook_env,
	void (*done)(struct rh_job *job, int status));

/* words.c */
void rh_job_say_ready(const struct rh_job *job, char *buf, size_t size);
