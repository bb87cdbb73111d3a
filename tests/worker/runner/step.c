/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A step from its condition to its conclusion: run steps, actions in each stage, and job hooks, at
 * the level of the job and inside composite actions.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "runner/step.h"
#include "runnerhub/clock.h"

static struct json_object *new_object(void)
{
	return rh_must(json_object_new_object());
}

/* State is shared by the stages of one action, wherever they run. */
static struct json_object *state_of(struct rh_job *job, struct rh_scope *scope, const char *name)
{
	_cleanup_(rh_freep) char *key = rh_fmt("%s.%s", scope->name, name);

	if (!rh_json_has(job->states, key))
		rh_json_set(job->states, key, new_object());
	return json_object_get(rh_json_get(job->states, key));
}

struct rh_step *rh_step_new(struct rh_job *job, struct rh_scope *scope, struct json_object *def,
	enum rh_stage stage, const char *context_name)
{
	struct rh_step *step = rh_must(calloc(1, sizeof(*step)));

	*step = (struct rh_step){
		.job = job,
		.scope = scope,
		.def = json_object_get(def),
		.condition = json_object_get(rh_json_get(def, "if")),
		.stage = stage,
		.context_name = rh_dup(context_name),
		.github = new_object(),
		.env = new_object(),
		.outputs = new_object(),
		.state = state_of(job, scope, context_name),
	};
	rh_json_merge(step->github, job->github);
	if (def) {
		rh_json_set_str(step->github, "action", context_name);
		rh_json_set_str(step->github, "action_repository", "");
		rh_json_set_str(step->github, "action_ref", "");
	}
	rh_cancel_init(&step->cancel);
	return step;
}

void rh_step_free(struct rh_step *step)
{
	if (!step)
		return;
	rh_cancel_deinit(&step->cancel);
	(void)json_object_put(step->def);
	(void)json_object_put(step->condition);
	(void)json_object_put(step->github);
	(void)json_object_put(step->env);
	(void)json_object_put(step->own_env);
	(void)json_object_put(step->outputs);
	(void)json_object_put(step->state);
	free(step->context_name);
	free(step->display);
	free(step->stop_token);
	free(step->file_guid);
	free(step);
}

void rh_step_error(struct rh_step *step, const char *fmt, ...)
{
	_cleanup_(rh_freep) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	rh_record_printf(step->record, "##[error]%s", text);
}

static enum rh_status status_of(const struct rh_step *step)
{
	if (step->job->cancelled || step->job->result == RH_RESULT_CANCELLED)
		return RH_STATUS_CANCELLED;

	enum rh_result result = step->scope->outer ? step->scope->result : step->job->result;

	return result == RH_RESULT_FAILURE ? RH_STATUS_FAILURE : RH_STATUS_SUCCESS;
}

struct rh_expr_env rh_step_expr(struct rh_step *step, struct json_object **ret_contexts)
{
	static const char *const from_message[] = {"needs", "vars", "matrix", "strategy"};
	struct rh_job *job = step->job;
	struct json_object *contexts = new_object();

	rh_json_set_ref(contexts, "github", step->github);
	rh_json_set_ref(contexts, "runner", job->runner);
	rh_json_set_ref(contexts, "env", step->env);
	rh_json_set_ref(contexts, "steps", step->scope->steps);
	rh_json_set_ref(contexts, "inputs", step->scope->inputs);
	rh_json_set_ref(contexts, "secrets", job->secrets);
	rh_json_set_str(job->job_context, "status",
		job->result == RH_RESULT_CANCELLED ? "cancelled" : rh_result_name(job->result));
	rh_json_set_ref(contexts, "job", job->job_context);
	for (size_t i = 0; i < sizeof(from_message) / sizeof(from_message[0]); i++)
		rh_json_set_ref(
			contexts, from_message[i], rh_json_get(job->message, from_message[i]));
	*ret_contexts = contexts;
	return (struct rh_expr_env){.contexts = contexts,
		.status = status_of(step),
		.hash_files = rh_hash_files,
		.arg = job};
}

int rh_step_condition(struct rh_step *step, bool *ret_holds, struct rh_err *err)
{
	_cleanup_(rh_json_putp) struct json_object *contexts = NULL;
	struct rh_expr_env env = rh_step_expr(step, &contexts);

	return rh_condition_eval(step->condition, &env, ret_holds, err);
}

void rh_step_cancel(struct rh_step *step, enum rh_cancel_reason reason)
{
	rh_cancel_ask(&step->cancel, reason);
	for (struct rh_step *s = step->job->running; s; s = s->next)
		if (s->outer == step)
			rh_cancel_ask(&s->cancel, reason);
}

/* The environment: the job's, that of the composite steps around, the step's own. */
static int evaluate_env(struct rh_step *step, struct rh_err *err)
{
	_cleanup_(rh_json_putp) struct json_object *contexts = NULL;

	if (step->hook)
		return 0; /* a hook sees nothing of the job's environment */

	rh_json_merge(step->env, step->job->env);
	rh_json_merge(step->env, step->scope->env);

	struct rh_expr_env env = rh_step_expr(step, &contexts);
	int r = rh_template_strings(rh_json_get(step->def, "env"), &env, &step->own_env, err);

	if (!r)
		rh_json_merge(step->env, step->own_env);
	return r;
}

void rh_step_name(struct rh_step *step)
{
	if (!step->display || !strstr(step->display, "${{"))
		return;

	_cleanup_(rh_json_putp) struct json_object *contexts = NULL;
	struct rh_expr_env env = rh_step_expr(step, &contexts);
	struct rh_err err = {0};
	char *text = NULL;

	if (!rh_template_text(step->display, &env, &text, &err)) {
		text[strcspn(text, "\r\n")] = '\0';
		free(step->display);
		step->display = text;
	}
}

static int evaluate_timeout(struct rh_step *step, struct rh_err *err)
{
	_cleanup_(rh_json_putp) struct json_object *contexts = NULL;
	_cleanup_(rh_json_putp) struct json_object *value = NULL;
	struct rh_expr_env env = rh_step_expr(step, &contexts);
	int r = rh_template_value(rh_json_get(step->def, "timeout-minutes"), &env, &value, err);
	double minutes = value ? json_object_get_double(value) : 0;

	step->timeout_minutes = minutes;
	if (!r && minutes > 0 && step->stage == RH_STAGE_MAIN)
		step->deadline_ms = rh_now_ms() + (int64_t)(minutes * 60000);
	if (step->outer && step->outer->deadline_ms &&
		(!step->deadline_ms || step->deadline_ms > step->outer->deadline_ms))
		step->deadline_ms = step->outer->deadline_ms;
	return r;
}

static int run_body(struct rh_step *step, struct rh_err *err)
{
	if (step->hook)
		return rh_hook_run(step, err);

	int r = evaluate_timeout(step, err);

	if (r)
		return r;
	if (rh_json_has(step->def, "run"))
		return rh_script_run(step, err);
	return rh_action_run(step, err);
}

/* What the end of the body means for the step. */
static void judge(struct rh_step *step, int r, const struct rh_err *err)
{
	int reason = atomic_load(&step->cancel.reason);

	if (r == -ECANCELED && reason == RH_CANCEL_TIMEOUT) {
		/* A time-out of the composite action around is told by that. */
		if (!step->outer || step->deadline_ms != step->outer->deadline_ms)
			rh_step_error(step, "The action '%s' has timed out after %g minutes.",
				step->display, step->timeout_minutes);
		step->outcome = RH_RESULT_FAILURE;
	} else if (r == -ECANCELED) {
		rh_step_error(step, "The operation was canceled.");
		step->outcome = RH_RESULT_CANCELLED;
	} else if (r) {
		rh_step_error(step, "%s", err->text);
		step->outcome = RH_RESULT_FAILURE;
	}
	if (step->command_failed)
		step->outcome = rh_result_merge(step->outcome, RH_RESULT_FAILURE);
}

static void apply_continue_on_error(struct rh_step *step)
{
	_cleanup_(rh_json_putp) struct json_object *contexts = NULL;
	_cleanup_(rh_json_putp) struct json_object *value = NULL;
	struct rh_expr_env env = rh_step_expr(step, &contexts);
	struct rh_err err = {0};

	step->conclusion = step->outcome;
	if (step->outcome == RH_RESULT_FAILURE &&
		!rh_template_value(
			rh_json_get(step->def, "continue-on-error"), &env, &value, &err) &&
		rh_expr_truthy(value))
		step->conclusion = RH_RESULT_SUCCESS;
}

/* steps.<id>, and the result of the job or composite action so far. */
static void publish(struct rh_step *step)
{
	struct json_object *entry = new_object();

	if (step->stage == RH_STAGE_MAIN && !rh_starts_with(step->context_name, "__")) {
		rh_json_set_ref(entry, "outputs", step->outputs);
		rh_json_set_str(entry, "outcome", rh_result_name(step->outcome));
		rh_json_set_str(entry, "conclusion", rh_result_name(step->conclusion));
		rh_json_set(step->scope->steps, step->context_name, entry);
	} else {
		(void)json_object_put(entry);
	}
	if (step->scope->outer)
		step->scope->result = rh_result_merge(step->scope->result, step->conclusion);
	else if (step->conclusion == RH_RESULT_FAILURE)
		step->job->result = rh_result_merge(step->job->result, RH_RESULT_FAILURE);
}

static void enter_running(struct rh_step *step)
{
	step->next = step->job->running;
	step->job->running = step;
}

static void leave_running(struct rh_step *step)
{
	struct rh_step **at = &step->job->running;

	while (*at != step)
		at = &(*at)->next;
	*at = step->next;
}

void rh_step_execute(struct rh_step *step)
{
	struct rh_err err = {0};
	bool holds = false;

	/* The job keeps the last step's names: the completed hook sees them. */
	if (!step->outer && step->def)
		rh_json_merge(step->job->github, step->github);

	int r = evaluate_env(step, &err);

	enter_running(step);
	if (!r && !step->job->shut_down) {
		rh_step_name(step);
		r = rh_step_condition(step, &holds, &err);
	}
	if (r) {
		judge(step, r, &err);
	} else if (!holds) {
		step->outcome = RH_RESULT_SKIPPED;
	} else {
		r = run_body(step, &err);
		judge(step, r, &err);
	}
	leave_running(step);
	apply_continue_on_error(step);
	publish(step);
}
