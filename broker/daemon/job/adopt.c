/* SPDX-License-Identifier: Apache-2.0 */

/*
 * After a restart: the jobs that had not ended.
 *
 * A job lives on if its Worker does. Containers are asked by their owner; what they say of their
 * lease wins over the store. A job whose Worker is gone is closed and its workspace scrubbed.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/ipc/procfs.h"
#include "broker/daemon/job/bond.h"
#include "broker/daemon/job/internal.h"
#include "runnerhub/clock.h"

static void copy(char *buf, size_t size, const char *text)
{
	rh_wire_text_copy(text ? text : "", buf, size);
}

static void take_record(struct rh_job *job, const struct rh_store_job *record)
{
	struct rh_job_request *q = &job->request;

	copy(q->repository, sizeof(q->repository), record->repository);
	copy(q->workflow, sizeof(q->workflow), record->workflow);
	copy(q->job_key, sizeof(q->job_key), record->job_key);
	copy(q->run_id, sizeof(q->run_id), record->run_id);
	copy(q->run_attempt, sizeof(q->run_attempt), record->run_attempt);
	copy(q->ref, sizeof(q->ref), record->ref);
	copy(q->sha, sizeof(q->sha), record->sha);
	copy(q->actor, sizeof(q->actor), record->actor);
	copy(q->event_name, sizeof(q->event_name), record->event_name);
	copy(q->repo, sizeof(q->repo), record->workspace);
	copy(job->reason, sizeof(job->reason), record->reason);
	job->harmed = job->reason[0] != '\0';
	job->created_ms = record->created_ms;
	job->leased_ms = record->leased_ms;
	job->start_us = record->start_us;
	job->cold = record->cold;
}

/* Holds the Worker of a record by pidfd if it still lives. */
static int hold_worker(const struct rh_store_job *record)
{
	struct rh_proc_stat stat;
	_cleanup_(rh_closep) int pidfd = rh_pidfd_open((pid_t)record->worker_pid);

	if (pidfd < 0 || rh_proc_stat((pid_t)record->worker_pid, &stat) < 0 ||
		stat.start_ticks != (uint64_t)record->worker_start || rh_pidfd_ended(pidfd))
		return -1;
	return rh_steal_fd(&pidfd);
}

/* Does the id belong to all that the record says with it? */
static bool is_whole(const struct rh_store_job *record)
{
	const struct rh_bond bond = {
		.runner = record->runner ? record->runner : "",
		.repo = record->workspace ? record->workspace : "",
		.worker_pid = record->worker_pid,
		.worker_start = record->worker_start,
	};

	return rh_bond_fits(&bond, &record->id);
}

/* Nobody counts it: the jobs may be closed before it is answered. */
struct leftover {
	struct rh_mounter *mounter;
	struct rh_log *log;
	char work[];
};

static void on_leftover_released(
	void *arg, int r, const struct rh_mount_result *result, const struct rh_err *err)
{
	struct leftover *left = arg;

	if (r == 0)
		(void)rh_mounter_sweep(left->mounter, left->work, NULL, NULL);
	else if (r != -ECANCELED)
		rh_log_error(left->log,
			"a workspace could not be scrubbed; the next lease tries again",
			RH_STR("work", left->work), RH_STR("why", err->text));
	free(left);
}

static void scrub_leftover(struct rh_jobs *jobs, const struct rh_runner *runner,
	const struct rh_profile *profile, const char *repo)
{
	char keep[RH_JOB_KEEP_MAX];
	struct rh_mount_release release = {
		.work = runner->work,
		.repo = repo,
		.runner_uid = runner->uid,
		.runner_gid = runner->gid,
		.id_map_base = jobs->options.config->id_map_base,
		.scrub_workspace = !profile || profile->scrub == RH_SCRUB_ALL,
		.keep = profile ? rh_job_keep_list(profile, keep) : NULL,
	};
	size_t size = strlen(runner->work) + 1;
	struct leftover *left = malloc(sizeof(*left) + size);

	if (!left)
		return; /* its marker stays: the next lease swaps it */
	left->mounter = jobs->options.mounter;
	left->log = jobs->options.log;
	memcpy(left->work, runner->work, size);
	if (rh_mounter_release(jobs->options.mounter, &release, on_leftover_released, left) < 0)
		free(left);
}

/* The Worker went while no broker looked. */
static void close_record(
	struct rh_jobs *jobs, const struct rh_store_job *record, const struct rh_runner *runner)
{
	struct rh_store_job closed = *record;

	closed.state = RH_JOB_ENDED;
	if (!is_whole(record)) {
		closed.result = RH_JOB_FAILED;
		closed.reason = "its record is damaged, so nobody can say which container is its";
		rh_log_error(jobs->options.log, "the record of a job is damaged; the job goes red",
			RH_STR("runner", record->runner));
	}
	if (closed.result == RH_JOB_RESULT_NONE)
		closed.result = RH_JOB_ABANDONED;
	closed.ended_ms = rh_wall_ms();
	if (!closed.reason || !closed.reason[0])
		closed.reason = "its Worker went away while the broker was down";
	if (rh_store_put_job(jobs->options.store, &closed, NULL, NULL) < 0)
		rh_log_error(jobs->options.log, "a job's record could not be stored");
	/* What is not scrubbed now keeps its marker, and is swapped at the next lease. */
	if (runner && is_whole(record) && record->workspace && record->workspace[0] &&
		!strchr(record->workspace, '/'))
		scrub_leftover(jobs, runner,
			rh_config_profile(jobs->options.config, record->profile),
			record->workspace);
}

static enum rh_job_phase phase_of(const struct rh_store_job *record)
{
	switch (record->state) {
	case RH_JOB_RUNNING:
	case RH_JOB_ENDING:
		return RH_JOB_PHASE_RUNNING;
	default:
		return RH_JOB_PHASE_WAITING;
	}
}

static void adopt(struct rh_jobs *jobs, const struct rh_store_job *record)
{
	const struct rh_runner *runner = rh_config_runner(jobs->options.config, record->runner);
	const struct rh_profile *profile = rh_config_profile(jobs->options.config, record->profile);
	int pidfd = runner && is_whole(record) ? hold_worker(record) : -1;
	struct rh_job *job = NULL;

	if (pidfd < 0) {
		close_record(jobs, record, runner);
		return;
	}
	if (rh_job_new(jobs, &record->id, (pid_t)record->worker_pid, (uint64_t)record->worker_start,
		    pidfd, &job) < 0) {
		rh_close(pidfd);
		rh_log_error(jobs->options.log, "a job could not be adopted: out of resources");
		return;
	}
	job->runner = runner;
	/* A profile that is gone leaves its name only; the container was made from it already. */
	job->profile = profile ? profile : &job->config->profiles[0];
	take_record(job, record);
	/* An adopted job begins in the phase that its record says, not through the table. */
	job->phase = phase_of(record);
	job->attached = job->phase == RH_JOB_PHASE_RUNNING;
	job->unanswered = true;
	job->blind = true;
	if (record->state == RH_JOB_ENDING)
		rh_job_end(job, record->result, record->reason ? record->reason : "");
	else if (job->phase == RH_JOB_PHASE_WAITING)
		rh_job_arm(job, job->config->job_start_wait_ms, rh_job_on_start_deadline);
}

void rh_jobs_adopt(struct rh_jobs *jobs, const struct rh_store_open *open)
{
	for (size_t i = 0; i < open->n_jobs; i++)
		adopt(jobs, &open->jobs[i]);
	/* What a broker that was killed has left covered. */
	for (size_t i = 0; i < jobs->options.config->n_runners; i++) {
		const struct rh_runner *runner = &jobs->options.config->runners[i];

		if (!rh_job_of_runner(jobs, runner->name, NULL))
			rh_jobs_retire(jobs, runner);
	}
}

/*
 * The lease is a fact: the broker ended between it and the answer. Its hook may have come back
 * before its container was heard, and what was begun for it is not needed.
 */
static void take_container(struct rh_job *job, struct rh_container *container)
{
	bool in_host_hook = job->phase == RH_JOB_PHASE_HOST_HOOK;

	if (job->acquiring)
		rh_container_request_cancel(rh_steal(&job->acquiring));
	/* The time of its start is over; that of the job begins when all are adopted. */
	rh_job_arm(job, 0, NULL);
	job->phase = RH_JOB_PHASE_RUNNING;
	job->attached = true;
	job->container = container;
	job->n_steps = rh_container_last_step(container);
	rh_container_set_owner(container, job);
	/* Else it is answered when the administrator's own hook has ended. */
	if (job->peer && !in_host_hook)
		rh_job_answer_ready(job);
}

bool rh_jobs_wants(void *arg, const struct rh_id *id, struct rh_container *container)
{
	struct rh_jobs *jobs = arg;

	for (struct rh_job *job = jobs->jobs; job; job = job->next) {
		if (!rh_id_equal(&job->id, id) || job->container ||
			job->phase > RH_JOB_PHASE_RUNNING)
			continue;
		take_container(job, container);
		return true;
	}
	return false;
}

static uint64_t time_left_ms(const struct rh_job *job)
{
	int64_t limit = (int64_t)job->profile->job_timeout_ms;
	/* The job came with its Worker; the clock on the wall may have been set meanwhile. */
	int64_t left = limit - rh_proc_age_ms(job->worker_start);

	if (limit == 0)
		return 0;
	return left > 0 ? (uint64_t)left : 1;
}

void rh_jobs_adopted(struct rh_jobs *jobs)
{
	for (struct rh_job *job = jobs->jobs, *next = NULL; job; job = next) {
		next = job->next;
		if (job->phase != RH_JOB_PHASE_RUNNING)
			continue;
		if (job->container) {
			rh_job_event(job, "job.adopted", "container %s, %llu steps so far",
				rh_container_name(job->container),
				(unsigned long long)job->n_steps);
			rh_job_arm(job, time_left_ms(job), rh_job_on_timeout);
			rh_job_save(job, NULL, NULL);
		} else if (!job->reason[0]) {
			rh_job_lose_container(
				job, "the job's container was lost while the broker was down");
		}
	}
}
