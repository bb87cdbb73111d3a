/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The jobs: looking up, moving through phases, letting go.
 */

#include "broker/daemon/job/job.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/ipc/procfs.h"
#include "broker/daemon/job/internal.h"
#include "runnerhub/clock.h"

static const char *const phase_names[] = {
	[RH_JOB_PHASE_WAITING] = "waiting",
	[RH_JOB_PHASE_HOST_HOOK] = "host-hook",
	[RH_JOB_PHASE_ACQUIRING] = "acquiring",
	[RH_JOB_PHASE_LEASING] = "leasing",
	[RH_JOB_PHASE_RUNNING] = "running",
	[RH_JOB_PHASE_ENDING] = "ending",
	[RH_JOB_PHASE_ENDED] = "ended",
};

#define TO(phase) (1u << RH_JOB_PHASE_##phase)

static const unsigned moves[] = {
	[RH_JOB_PHASE_WAITING] = TO(HOST_HOOK) | TO(ACQUIRING) | TO(ENDING),
	[RH_JOB_PHASE_HOST_HOOK] = TO(ACQUIRING) | TO(ENDING),
	[RH_JOB_PHASE_ACQUIRING] = TO(LEASING) | TO(ENDING),
	[RH_JOB_PHASE_LEASING] = TO(RUNNING) | TO(ENDING),
	[RH_JOB_PHASE_RUNNING] = TO(ENDING),
	[RH_JOB_PHASE_ENDING] = TO(ENDED),
	[RH_JOB_PHASE_ENDED] = 0,
};

const char *rh_job_phase_name(enum rh_job_phase phase)
{
	return phase_names[phase];
}

void rh_job_move(struct rh_job *job, enum rh_job_phase phase)
{
	assert(moves[job->phase] & (1u << phase));
	rh_log_debug(job->all->options.log, "job moved", RH_STR("job", job->id_text),
		RH_STR("from", phase_names[job->phase]), RH_STR("to", phase_names[phase]));
	job->phase = phase;
}

struct rh_job *rh_job_of_worker(struct rh_jobs *jobs, pid_t pid, uint64_t start)
{
	for (struct rh_job *job = jobs->jobs; job; job = job->next) {
		if (job->worker_pid == pid && !job->worker_gone &&
			(start == 0 || job->worker_start == start))
			return job;
	}
	return NULL;
}

struct rh_job *rh_job_of_runner(struct rh_jobs *jobs, const char *runner, const struct rh_job *but)
{
	for (struct rh_job *job = jobs->jobs; job; job = job->next) {
		if (job != but && job->phase != RH_JOB_PHASE_ENDED &&
			strcmp(job->runner->name, runner) == 0)
			return job;
	}
	return NULL;
}

void rh_jobs_maybe_closed(struct rh_jobs *jobs)
{
	if (!jobs->closing || jobs->jobs || jobs->n_arrivals > 0 || !jobs->watch_closed)
		return;

	void (*cb)(void *) = jobs->on_closed;
	void *arg = jobs->closed_arg;

	rh_config_unref(jobs->options.config);
	rh_jobs_warm_free(jobs);
	free(jobs);
	if (cb)
		cb(arg);
}

static void job_free(struct rh_job *job)
{
	struct rh_jobs *all = job->all;

	if (job->prev)
		job->prev->next = job->next;
	else
		all->jobs = job->next;
	if (job->next)
		job->next->prev = job->prev;
	all->n_jobs--;
	rh_block_free(job->block);
	free(job->watch.layer);
	rh_close(job->worker_pidfd);
	rh_config_unref(job->config);
	free(job);
	rh_jobs_maybe_closed(all);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct rh_job *job = handle->data;

	if (--job->n_handles == 0 && job->n_async == 0)
		job_free(job);
}

static void job_close(struct rh_job *job)
{
	if (job->closing)
		return;
	job->closing = true;
	rh_job_watch_stop(job);
	uv_close((uv_handle_t *)&job->worker_poll, on_handle_closed);
	uv_close((uv_handle_t *)&job->timer, on_handle_closed);
}

void rh_job_maybe_free(struct rh_job *job)
{
	if (job->closing) {
		if (job->n_handles == 0 && job->n_async == 0)
			job_free(job);
		return;
	}
	/* A hook that outlives its Worker still holds its job, as the administrator's own does. */
	if (job->phase == RH_JOB_PHASE_ENDED && job->worker_gone && job->n_async == 0 &&
		!job->steps && !job->peer)
		job_close(job);
}

static void on_worker_poll(uv_poll_t *handle, int status, int events)
{
	struct rh_job *job = handle->data;

	if (!rh_pidfd_ended(job->worker_pidfd))
		return;
	(void)uv_poll_stop(handle);
	job->worker_gone = true;
	rh_job_on_worker_gone(job);
}

int rh_job_new(struct rh_jobs *jobs, const struct rh_id *id, pid_t worker, uint64_t start,
	int pidfd, struct rh_job **ret_job)
{
	struct rh_job *job = calloc(1, sizeof(*job));

	if (!job)
		return rh_origin(-ENOMEM);

	int r = uv_poll_init(jobs->options.loop, &job->worker_poll, pidfd);

	if (r < 0) {
		free(job);
		return rh_trace(r);
	}
	(void)uv_timer_init(jobs->options.loop, &job->timer);
	job->worker_poll.data = job;
	job->timer.data = job;
	job->n_handles = 2;
	job->all = jobs;
	job->id = *id;
	rh_id_format(id, job->id_text);
	job->config = rh_config_ref(jobs->options.config);
	job->worker_pid = worker;
	job->worker_start = start;
	job->worker_pidfd = pidfd;
	job->created_ms = rh_wall_ms();
	job->created_us = rh_now_us();
	job->next = jobs->jobs;
	if (job->next)
		job->next->prev = job;
	jobs->jobs = job;
	jobs->n_jobs++;
	(void)uv_poll_start(&job->worker_poll, UV_READABLE, on_worker_poll);
	*ret_job = job;
	return 0;
}

void rh_job_arm(struct rh_job *job, uint64_t timeout_ms, uv_timer_cb cb)
{
	(void)uv_timer_stop(&job->timer);
	if (timeout_ms > 0 && !job->closing)
		(void)uv_timer_start(&job->timer, cb, timeout_ms, 0);
}

/* Lets on_idle know when a draining broker has nothing left to do. */
static void check_idle(struct rh_jobs *jobs)
{
	if (!jobs->draining || !jobs->on_idle)
		return;
	for (const struct rh_job *job = jobs->jobs; job; job = job->next) {
		if (job->phase != RH_JOB_PHASE_ENDED)
			return;
	}

	void (*cb)(void *) = jobs->on_idle;

	jobs->on_idle = NULL;
	cb(jobs->idle_arg);
}

void rh_jobs_on_ended(struct rh_jobs *jobs)
{
	for (struct rh_job *job = jobs->jobs; job; job = job->next) {
		if (job->phase == RH_JOB_PHASE_WAITING)
			rh_job_start_next(job);
	}
	check_idle(jobs);
}

int rh_jobs_start(const struct rh_jobs_options *options, struct rh_jobs **ret_jobs)
{
	struct rh_jobs *jobs = calloc(1, sizeof(*jobs));

	if (!jobs)
		return rh_origin(-ENOMEM);
	jobs->options = *options;

	int r = rh_jobs_watch_start(jobs);

	if (r < 0) {
		free(jobs);
		return rh_trace(r);
	}
	(void)rh_config_ref(jobs->options.config);
	*ret_jobs = jobs;
	return 0;
}

static void on_watch_closed(uv_handle_t *handle)
{
	struct rh_jobs *jobs = handle->data;

	jobs->watch_closed = true;
	rh_jobs_maybe_closed(jobs);
}

void rh_jobs_close(struct rh_jobs *jobs, void (*cb)(void *arg), void *arg)
{
	jobs->closing = true;
	jobs->on_closed = cb;
	jobs->closed_arg = arg;
	for (struct rh_job *job = jobs->jobs, *next = NULL; job; job = next) {
		next = job->next;
		if (job->acquiring) {
			rh_container_request_cancel(job->acquiring);
			job->acquiring = NULL;
		}
		/* It goes on without us, until the next broker. */
		if (job->container)
			rh_container_set_owner(job->container, NULL);
		job->container = NULL;
		job_close(job);
	}
	rh_jobs_retire_close(jobs);
	rh_jobs_arrivals_close(jobs);
	uv_close((uv_handle_t *)&jobs->watch_timer, on_watch_closed);
}

void rh_jobs_set_containers(struct rh_jobs *jobs, struct rh_containers *containers)
{
	jobs->options.containers = containers;
}

void rh_jobs_reload(struct rh_jobs *jobs, struct rh_config *config)
{
	rh_config_unref(jobs->options.config);
	jobs->options.config = rh_config_ref(config);
}

bool rh_jobs_allowed(void *arg, uid_t uid)
{
	const struct rh_jobs *jobs = arg;
	const struct rh_config *config = jobs->options.config;

	for (size_t i = 0; i < config->n_runners; i++) {
		if (config->runners[i].uid == uid)
			return true;
	}
	return false;
}

void rh_jobs_on_peer(void *arg, struct rh_peer *peer, struct rh_wire_msg *msg)
{
	struct rh_jobs *jobs = arg;

	switch (msg->type) {
	case RH_WIRE_ANNOUNCE:
		rh_job_on_announce(jobs, peer);
		break;
	case RH_WIRE_JOB_STARTED:
		rh_job_on_started(jobs, peer, msg);
		break;
	case RH_WIRE_JOB_COMPLETED:
		rh_job_on_completed(jobs, peer, msg);
		break;
	case RH_WIRE_STEP:
		rh_job_on_step(jobs, peer, msg);
		break;
	default:
		rh_log_warning(
			jobs->options.log, "peer cut: unknown request", RH_NUM("type", msg->type));
		rh_peer_refuse(peer,
			"the broker does not know this request; are hook and broker of "
			"the same installation?");
	}
}

void rh_jobs_drain(struct rh_jobs *jobs, void (*idle)(void *arg), void *arg)
{
	jobs->draining = true;
	jobs->on_idle = idle;
	jobs->idle_arg = arg;
	check_idle(jobs);
}

bool rh_jobs_draining(const struct rh_jobs *jobs)
{
	return jobs->draining;
}

void rh_jobs_resume(struct rh_jobs *jobs)
{
	jobs->draining = false;
	jobs->on_idle = NULL;
}

void rh_jobs_each(
	struct rh_jobs *jobs, void (*fn)(void *arg, const struct rh_job_view *view), void *arg)
{
	for (const struct rh_job *job = jobs->jobs; job; job = job->next) {
		if (job->phase == RH_JOB_PHASE_ENDED)
			continue;

		struct rh_job_view view = {
			.id = job->id_text,
			.phase = job->phase,
			.runner = job->runner->name,
			.profile = job->profile ? job->profile->name : "",
			.repository = job->request.repository,
			.workflow = job->request.workflow,
			.job_key = job->request.job_key,
			.run_id = job->request.run_id,
			.container = job->container ? rh_container_name(job->container) : "",
			.reason = job->reason,
			.worker_pid = job->worker_pid,
			.created_ms = job->created_ms,
			.leased_ms = job->leased_ms,
			.start_us = job->start_us,
			.n_steps = job->n_steps,
			.n_steps_running = job->n_steps_running,
			.cold = job->cold,
		};

		fn(arg, &view);
	}
}
