/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job from its message to its result:
 *
 *   Set up job → started hook → pre: stages → steps → post: stages → completed hook → Complete job
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/environ.h"
#include "common/files.h"
#include "common/text.h"
#include "runner/step.h"
#include "runnerhub/clock.h"

/* What the real Worker needs from its own start to its first process (measured: 480 ms). */
#define START_MS_DEFAULT 480

enum rh_result rh_result_merge(enum rh_result a, enum rh_result b)
{
	if (b == RH_RESULT_SKIPPED)
		return a;
	return a > b ? a : b;
}

const char *rh_result_name(enum rh_result result)
{
	switch (result) {
	case RH_RESULT_SUCCESS:
		return "success";
	case RH_RESULT_FAILURE:
		return "failure";
	case RH_RESULT_CANCELLED:
		return "cancelled";
	default:
		return "skipped";
	}
}

struct rh_scope *rh_scope_new(struct rh_job *job, struct rh_scope *outer, const char *name)
{
	_cleanup_(rh_freep) char *full =
		outer && *outer->name ? rh_fmt("%s.%s", outer->name, name) : rh_dup(name);
	struct rh_scope *scope = NULL;

	for (scope = job->scopes; scope; scope = scope->next_owned)
		if (strcmp(scope->name, full) == 0)
			return scope;
	scope = rh_must(calloc(1, sizeof(*scope)));
	*scope = (struct rh_scope){
		.outer = outer,
		.name = rh_steal(&full),
		.steps = rh_must(json_object_new_object()),
		.inputs = rh_must(json_object_new_object()),
		.env = rh_must(json_object_new_object()),
		.next_owned = job->scopes,
	};
	job->scopes = scope;
	return scope;
}

static void scope_free(struct rh_scope *scope)
{
	while (scope->posts)
		rh_post_free(rh_post_take(scope));
	(void)json_object_put(scope->steps);
	(void)json_object_put(scope->inputs);
	(void)json_object_put(scope->env);
	free(scope->name);
	free(scope);
}

/* _diag/Worker_<time>-utc.log: the job message, masked. Display name and matrix are only there. */
static void write_trace(struct rh_job *job)
{
	char time[32] = "";

	rh_timestamp(time);

	_cleanup_(rh_freep) char *path = rh_fmt("%s/_diag/Worker_%.19s-utc.log", job->root, time);
	_cleanup_(rh_freep) char *text = rh_fmt("[%.19sZ INFO Worker] Job message:\n %s\n", time,
		json_object_to_json_string_ext(job->message, JSON_C_TO_STRING_PRETTY));
	_cleanup_(rh_freep) char *masked = rh_mask_apply(&job->log.mask, text);

	(void)rh_file_write_str(path, masked ? masked : text);
}

struct rh_job *rh_job_new(struct json_object *message, int event_fd, int64_t started_ms)
{
	struct rh_job *job = rh_must(calloc(1, sizeof(*job)));

	*job = (struct rh_job){
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
		.message = json_object_get(message),
		.start_env = rh_environ_load(),
		.github = rh_json_copy(rh_json_get(message, "github")),
		.runner = rh_must(json_object_new_object()),
		.secrets = json_object_get(rh_json_get(message, "secrets")),
		.job_context = rh_must(json_object_new_object()),
		.env = rh_must(json_object_new_object()),
		.states = rh_must(json_object_new_object()),
		.archives = rh_json_get(message, "archives"),
		.prepend_path = rh_dup(""),
		.started_ms = started_ms,
	};
	if (!job->github)
		job->github = rh_must(json_object_new_object());
	rh_environ_place(&job->bin, &job->root);

	_cleanup_(rh_freep) char *diag = rh_fmt("%s/_diag", job->root);

	rh_log_init(&job->log, diag, event_fd);
	job->log.debug = strcmp(rh_json_str(job->secrets, "ACTIONS_STEP_DEBUG", ""), "true") == 0;
	job->scope = rh_scope_new(job, NULL, "");
	rh_json_merge(job->scope->inputs, rh_json_get(message, "inputs"));
	if (job->secrets) {
		json_object_object_foreach (job->secrets, name, value) {
			(void)name;
			rh_mask_add(&job->log.mask, json_object_get_string(value));
		}
	}
	write_trace(job);
	return job;
}

void rh_job_free(struct rh_job *job)
{
	char *const strings[] = {job->prepend_path, job->root, job->bin, job->work, job->temp,
		job->actions, job->tools, job->workspace, job->commands_dir, job->tracking_id};

	rh_log_close(&job->log);
	while (job->scopes) {
		struct rh_scope *scope = job->scopes;

		job->scopes = scope->next_owned;
		scope_free(scope);
	}
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		free(strings[i]);
	(void)json_object_put(job->start_env);
	(void)json_object_put(job->github);
	(void)json_object_put(job->runner);
	(void)json_object_put(job->secrets);
	(void)json_object_put(job->job_context);
	(void)json_object_put(job->env);
	(void)json_object_put(job->states);
	(void)json_object_put(job->message);
	free(job);
}

void rh_job_cancel(struct rh_job *job)
{
	(void)pthread_mutex_lock(&job->lock);
	if (!job->cancelled && !job->shut_down) {
		job->cancelled = true;
		job->result = RH_RESULT_CANCELLED;
		for (struct rh_step *step = job->running; step; step = step->next) {
			struct rh_err err = {0};
			bool holds = false;

			if (!step->outer && (rh_step_condition(step, &holds, &err) || !holds))
				rh_step_cancel(step, RH_CANCEL_ASKED);
		}
	}
	(void)pthread_mutex_unlock(&job->lock);
}

void rh_job_shut_down(struct rh_job *job)
{
	(void)pthread_mutex_lock(&job->lock);
	if (!job->shut_down) {
		job->shut_down = true;
		job->result = RH_RESULT_FAILURE;
		for (struct rh_step *step = job->running; step; step = step->next)
			rh_cancel_ask(&step->cancel, RH_CANCEL_ASKED);
	}
	(void)pthread_mutex_unlock(&job->lock);
}

/* A record of the Worker's own. */
static struct rh_step *runner_step(struct rh_job *job, const char *name)
{
	struct rh_step *step = rh_step_new(job, job->scope, NULL, RH_STAGE_MAIN, "");

	step->display = rh_dup(name);
	step->record = rh_record_new(&job->log, name);
	return step;
}

static void end_runner_step(struct rh_step *step, int r, const struct rh_err *err)
{
	if (r) {
		rh_step_error(step, "%s", err->text);
		step->outcome = step->conclusion = RH_RESULT_FAILURE;
		step->job->result = rh_result_merge(step->job->result, RH_RESULT_FAILURE);
	}
	rh_stage_report(step, "runner");
	rh_record_free(step->record);
	rh_step_free(step);
}

static void wait_as_the_real_one(struct rh_job *job)
{
	const char *setting = getenv("RUNNERHUB_STANDIN_START_MS");
	int64_t start_ms = setting ? strtol(setting, NULL, 10) : START_MS_DEFAULT;
	int64_t left = job->started_ms + start_ms - rh_now_ms();

	rh_log_flush(&job->log);
	(void)pthread_mutex_unlock(&job->lock);
	if (left > 0)
		(void)usleep((useconds_t)left * 1000);
	(void)pthread_mutex_lock(&job->lock);
}

/* Set up job. Return: the plan, or NULL if it failed. */
static struct json_object *set_up(struct rh_job *job)
{
	struct rh_step *step = runner_step(job, "Set up job");
	struct json_object *plan = NULL;
	struct rh_err err = {0};
	int r = rh_job_set_up(job, step->record, &err);

	if (!r) {
		plan = rh_plan_steps(job);
		r = rh_action_prepare(job, plan, step->record, &err);
	}
	job->tracking_id = rh_fmt("github_%s", job->log.timeline);
	rh_json_set_str(job->start_env, "RUNNER_TRACKING_ID", job->tracking_id);
	if (!r)
		rh_record_printf(step->record, "Complete job name: %s",
			rh_json_str(job->message, "jobDisplayName", "job"));
	end_runner_step(step, r, &err);
	if (r)
		(void)json_object_put(rh_steal(&plan));
	return plan;
}

static void complete(struct rh_job *job, struct json_object *before)
{
	struct rh_step *step = runner_step(job, "Complete job");
	_cleanup_(rh_json_putp) struct json_object *contexts = NULL;
	struct json_object *outputs = NULL;
	struct rh_err err = {0};

	rh_json_merge(step->env, job->env);

	struct rh_expr_env env = rh_step_expr(step, &contexts);
	int r = rh_template_strings(rh_json_get(job->message, "outputs"), &env, &outputs, &err);

	if (!r && json_object_object_length(outputs)) {
		rh_record_line(step->record, "Evaluate and set job outputs");
		json_object_object_foreach (outputs, name, value) {
			(void)value;
			rh_record_printf(step->record, "Set output '%s'", name);
		}
	}
	rh_orphan_sweep(job, before, step->record);
	rh_job_tear_down(job);
	end_runner_step(step, r, &err);

	struct json_object *event = rh_must(json_object_new_object());

	rh_json_set_str(event, "e", "job");
	rh_json_set_str(event, "conclusion", rh_result_name(job->result));
	rh_json_set(event, "outputs", outputs);
	rh_log_event(&job->log, event);
	rh_log_flush(&job->log);
}

enum rh_result rh_job_run(struct rh_job *job)
{
	_cleanup_(rh_json_putp) struct json_object *before = rh_orphan_snapshot();

	(void)pthread_mutex_lock(&job->lock);

	_cleanup_(rh_json_putp) struct json_object *plan = set_up(job);

	wait_as_the_real_one(job);
	if (plan) {
		rh_stage_hook(job, RH_STAGE_PRE);
		for (size_t i = 0; i < rh_json_len(plan); i++) {
			struct json_object *entry = json_object_array_get_idx(plan, i);

			if (rh_action_has_pre(job, rh_json_get(entry, "def")))
				rh_stage_step(job, entry, RH_STAGE_PRE);
		}
		for (size_t i = 0; i < rh_json_len(plan); i++)
			rh_stage_step(job, json_object_array_get_idx(plan, i), RH_STAGE_MAIN);
		rh_stage_wait(job);
		rh_stage_posts(job);
		rh_stage_hook(job, RH_STAGE_POST);
	}
	complete(job, before);

	enum rh_result result = job->result;

	(void)pthread_mutex_unlock(&job->lock);
	return result;
}
