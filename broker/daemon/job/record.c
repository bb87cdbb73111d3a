/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is kept of a job: its record in the store, and what happened to it.
 */

#include <stdarg.h>
#include <stdio.h>

#include "broker/daemon/job/internal.h"
#include "runnerhub/clock.h"

static enum rh_store_job_state stored_state(const struct rh_job *job)
{
	switch (job->phase) {
	case RH_JOB_PHASE_RUNNING:
		return RH_JOB_RUNNING;
	case RH_JOB_PHASE_ENDING:
		return RH_JOB_ENDING;
	case RH_JOB_PHASE_ENDED:
		return RH_JOB_ENDED;
	default:
		return RH_JOB_STARTING;
	}
}

void rh_job_save(struct rh_job *job, rh_store_done_fn cb, void *arg)
{
	char instance[RH_ID_TEXT_SIZE] = "";

	if (job->container)
		rh_id_format(rh_container_instance(job->container), instance);

	const struct rh_job_request *q = &job->request;
	struct rh_store_job record = {
		.id = job->id,
		.state = stored_state(job),
		.result = job->result,
		.runner = job->runner->name,
		.profile = job->profile ? job->profile->name : "",
		.repository = q->repository,
		.workflow = q->workflow,
		.job_key = q->job_key,
		.run_id = q->run_id,
		.run_attempt = q->run_attempt,
		.ref = q->ref,
		.sha = q->sha,
		.actor = q->actor,
		.event_name = q->event_name,
		.container = instance,
		.workspace = q->repo,
		.reason = job->reason,
		.worker_pid = job->worker_pid,
		.worker_start = (int64_t)job->worker_start,
		.created_ms = job->created_ms,
		.leased_ms = job->leased_ms,
		.ended_ms = job->ended_ms,
		.start_us = job->start_us,
		.cold = job->cold,
	};
	int r = rh_store_put_job(job->all->options.store, &record, cb, arg);

	if (r < 0) {
		rh_log_error(job->all->options.log, "a job's record could not be stored",
			RH_STR("job", job->id_text), RH_ERRNO(r));
		if (cb)
			cb(arg, r);
	}
}

/* The log has it, too, if it cannot be stored. */
void rh_job_emit(const struct rh_jobs_options *options, const struct rh_store_event *event,
	const char *runner)
{
	char id[RH_ID_TEXT_SIZE];

	rh_id_format(&event->job, id);
	(void)rh_store_add_event(options->store, event);
	rh_log_info(options->log, event->kind, RH_STR("job", id), RH_STR("runner", runner),
		RH_STR("message", event->message));
	if (options->on_event)
		options->on_event(options->arg, event);
}

void rh_job_event(struct rh_job *job, const char *kind, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	struct rh_store_event event = {
		.time_ms = rh_wall_ms(),
		.kind = kind,
		.job = job->id,
		.message = text,
	};

	if (job->container)
		event.container = *rh_container_instance(job->container);
	rh_job_emit(&job->all->options, &event, job->runner->name);
}

void rh_jobs_on_flow(void *arg, struct rh_container *container, const char *kind, const char *text)
{
	const struct rh_jobs *jobs = arg;
	struct rh_job *job = rh_container_owner(container);
	const struct rh_store_event event = {
		.time_ms = rh_wall_ms(),
		.kind = kind,
		.job = *rh_container_job(container),
		.container = *rh_container_instance(container),
		.message = text,
	};

	rh_job_emit(&jobs->options, &event, job ? job->runner->name : "");
}
