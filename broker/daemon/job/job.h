/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Jobs: from a runner's announcement to a scrubbed workspace.
 *
 *   waiting ──▶ host hook ──▶ acquiring ──▶ leasing ──▶ running ──▶ ending ──▶ ended
 *      └─────────────┴────────────┴────────────┴───────────────────────▲
 *
 * A job is keyed by its Worker (pid, start time) and has a 128-bit id. It holds the Worker by
 * pidfd: whatever happens to hooks, the end of the Worker is the end of the job. A job whose
 * container died stays running, and each of its steps is refused with the reason, until its Worker
 * ends. Context: loop thread.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "broker/daemon/config/config.h"
#include "broker/daemon/container/container.h"
#include "broker/daemon/ipc/peer.h"
#include "broker/daemon/mount/mount.h"
#include "broker/daemon/store/store.h"

#define RH_JOBS_MAX          1024 /* tracked at once; more are refused */
#define RH_JOB_STEPS_MAX     65536 /* in one job */
#define RH_JOB_STEPS_RUN_MAX 256 /* of one job at once */

enum rh_job_phase {
	RH_JOB_PHASE_WAITING, /* for the runner's previous job to be cleaned up; ends with it or the
				 deadline */
	RH_JOB_PHASE_HOST_HOOK, /* the administrator's own hook; ends with it or the deadline */
	RH_JOB_PHASE_ACQUIRING, /* for a container; ends with it or the deadline */
	RH_JOB_PHASE_LEASING, /* for mounts and agent; ends with them */
	RH_JOB_PHASE_RUNNING, /* until the completed hook or the Worker's end */
	RH_JOB_PHASE_ENDING, /* for the workspace's release; ends with it */
	RH_JOB_PHASE_ENDED, /* kept until its Worker is gone, so that nothing can begin anew */
};
const char *rh_job_phase_name(enum rh_job_phase phase);

struct rh_jobs;
struct rh_job;

struct rh_jobs_options {
	uv_loop_t *loop;
	struct rh_config *config; /* a reference is taken */
	struct rh_containers *containers;
	struct rh_mounter *mounter;
	struct rh_store *store;
	struct rh_log *log;
	/* Everything that happens to jobs, for subscribers; the store has it already. */
	void (*on_event)(void *arg, const struct rh_store_event *event);
	void *arg;
};

int rh_jobs_start(const struct rh_jobs_options *options, struct rh_jobs **ret_jobs);
/* Forgets the jobs; what runs goes on, for the next broker. */
void rh_jobs_close(struct rh_jobs *jobs, void (*cb)(void *arg), void *arg);
void rh_jobs_set_containers(struct rh_jobs *jobs, struct rh_containers *containers);
void rh_jobs_reload(struct rh_jobs *jobs, struct rh_config *config);

/*
 * The next job of this repository on this runner, within an hour, writes the host's tool cache
 * itself. Return: 0; negative errno with @err.
 */
int rh_jobs_warm_tools(
	struct rh_jobs *jobs, const char *runner, const char *repository, struct rh_err *err);

/* For the peer server. */
bool rh_jobs_allowed(void *arg, uid_t uid);
void rh_jobs_on_peer(void *arg, struct rh_peer *peer, struct rh_wire_msg *msg);

/* For the containers. */
void rh_jobs_on_step_ended(
	void *arg, struct rh_container *container, const struct rh_wire_step_report *report);
void rh_jobs_on_lost(void *arg, struct rh_container *container, const char *reason);
void rh_jobs_on_flow(void *arg, struct rh_container *container, const char *kind, const char *text);

/*
 * After a restart: take over the jobs that had not ended, answer which containers they want, and
 * settle what nobody brought.
 */
void rh_jobs_adopt(struct rh_jobs *jobs, const struct rh_store_open *open);
bool rh_jobs_wants(void *arg, const struct rh_id *job, struct rh_container *container);
void rh_jobs_adopted(struct rh_jobs *jobs);

/* No new jobs from now on; @idle (once) when none is left. */
void rh_jobs_drain(struct rh_jobs *jobs, void (*idle)(void *arg), void *arg);
bool rh_jobs_draining(const struct rh_jobs *jobs);
void rh_jobs_resume(struct rh_jobs *jobs);

struct rh_job_view {
	const char *id;
	enum rh_job_phase phase;
	const char *runner;
	const char *profile;
	const char *repository;
	const char *workflow;
	const char *job_key;
	const char *run_id;
	const char *container; /* engine name, or "" */
	const char *reason;
	pid_t worker_pid;
	int64_t created_ms;
	int64_t leased_ms;
	int64_t start_us;
	uint64_t n_steps;
	uint32_t n_steps_running;
	bool cold;
};
/* Jobs that have not ended. */
void rh_jobs_each(
	struct rh_jobs *jobs, void (*fn)(void *arg, const struct rh_job_view *view), void *arg);
