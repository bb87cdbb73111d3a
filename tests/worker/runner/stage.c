/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps at the job's own level: hooks, pre, main and post stages, background steps. Each has a
 * log record and is reported when it ends.
 */

#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "runner/step.h"
#include "runnerhub/clock.h"

void rh_stage_report(const struct rh_step *step, const char *kind)
{
	struct json_object *event = rh_must(json_object_new_object());

	rh_json_set_str(event, "e", "step");
	rh_json_set(event, "number", json_object_new_int(step->record->number));
	rh_json_set_str(event, "name", step->display);
	rh_json_set_str(event, "id", step->context_name);
	rh_json_set_str(event, "kind", kind);
	rh_json_set_str(event, "outcome", rh_result_name(step->outcome));
	rh_json_set_str(event, "conclusion", rh_result_name(step->conclusion));
	rh_json_set(event, "exit_code",
		step->has_exit_code ? json_object_new_int(step->end.exit_code) : NULL);
	rh_json_set(event, "ms", json_object_new_int64(rh_now_ms() - step->record->started_ms));
	rh_json_set(event, "stdout_bytes", json_object_new_uint64(step->end.n_bytes[0]));
	rh_json_set(event, "stderr_bytes", json_object_new_uint64(step->end.n_bytes[1]));
	rh_log_event(&step->job->log, event);
}

static const char *kind_of(const struct rh_step *step)
{
	if (step->hook)
		return "hook";
	if (step->stage != RH_STAGE_MAIN)
		return step->stage == RH_STAGE_PRE ? "pre" : "post";
	return rh_json_has(step->def, "run") ? "run" : "action";
}

/* Runs one step of the job's own level, with a log record of its own. Consumes it. */
static void run_step(struct rh_step *step)
{
	if (!step->hook)
		rh_json_merge(step->env, step->job->env);
	rh_step_name(step);
	step->record = rh_record_new(&step->job->log, step->display);
	rh_step_execute(step);
	rh_stage_report(step, kind_of(step));
	rh_record_free(step->record);
	rh_step_free(step);
}

static void *background_main(void *arg)
{
	struct rh_step *step = arg;
	struct rh_job *job = step->job;

	(void)pthread_mutex_lock(&job->lock);
	run_step(step);
	job->n_background--;
	(void)pthread_cond_broadcast(&job->changed);
	(void)pthread_mutex_unlock(&job->lock);
	return NULL;
}

static void run_in_background(struct rh_step *step)
{
	pthread_t thread;

	step->job->n_background++;
	if (pthread_create(&thread, NULL, background_main, step) != 0)
		abort();
	(void)pthread_detach(thread);
}

void rh_stage_wait(struct rh_job *job)
{
	rh_log_flush(&job->log);
	while (job->n_background)
		(void)pthread_cond_wait(&job->changed, &job->lock);
}

void rh_stage_hook(struct rh_job *job, enum rh_stage stage)
{
	bool pre = stage == RH_STAGE_PRE;
	const char *path = rh_json_str(job->start_env,
		pre ? "ACTIONS_RUNNER_HOOK_JOB_STARTED" : "ACTIONS_RUNNER_HOOK_JOB_COMPLETED", "");

	if (!*path)
		return;

	struct rh_step *step = rh_step_new(
		job, job->scope, NULL, stage, pre ? "__hook_started" : "__hook_completed");

	step->hook = path;
	step->condition = rh_must(json_object_new_string("always()"));
	step->display = rh_dup(pre ? "Set up runner" : "Complete runner");
	run_step(step);
}

void rh_stage_step(struct rh_job *job, struct json_object *entry, enum rh_stage stage)
{
	struct json_object *def = rh_json_get(entry, "def");
	const char *display = rh_json_str(entry, "display", "");
	struct rh_step *step =
		rh_step_new(job, job->scope, def, stage, rh_json_str(entry, "name", ""));

	if (rh_json_has(def, "wait-all")) {
		rh_stage_wait(job);
		rh_step_free(step);
		return;
	}
	if (stage == RH_STAGE_PRE) {
		(void)json_object_put(step->condition);
		step->condition = rh_must(json_object_new_string("always()"));
		step->display = rh_fmt("Pre %s", display);
	} else {
		step->display = rh_dup(display);
	}
	if (stage == RH_STAGE_MAIN && rh_expr_truthy(rh_json_get(def, "background")))
		run_in_background(step);
	else
		run_step(step);
}

void rh_stage_posts(struct rh_job *job)
{
	while (job->scope->posts) {
		struct rh_post *post = rh_post_take(job->scope);
		struct rh_step *step =
			rh_step_new(job, job->scope, post->def, RH_STAGE_POST, post->context_name);

		(void)json_object_put(step->condition);
		step->condition = json_object_get(post->condition);
		step->display = rh_fmt("Post %s", post->display);
		run_step(step);
		rh_post_free(post);
	}
}
