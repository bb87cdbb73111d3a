/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Composite actions: steps within a step, with a scope of their own and the outer step's log.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "runner/action.h"

/* A step of the action in @stage, ready to be executed. */
static struct rh_step *inner_step(struct rh_step *outer, struct rh_scope *scope,
	struct json_object *def, enum rh_stage stage, const char *name)
{
	struct rh_step *step = rh_step_new(outer->job, scope, def, stage, name);

	step->outer = outer;
	step->record = outer->record;
	step->display = rh_plan_display(def);
	rh_json_merge(step->github, outer->github);
	if (stage == RH_STAGE_PRE) {
		(void)json_object_put(step->condition);
		step->condition = rh_must(json_object_new_string("always()"));
	}
	return step;
}

static void execute(struct rh_step *step)
{
	rh_step_execute(step);
	if (step->outer && step->has_exit_code) {
		step->outer->has_exit_code = true;
		step->outer->end.exit_code = step->end.exit_code;
	}
	rh_step_free(step);
}

static void run_steps(struct rh_step *outer, struct rh_scope *scope, const struct rh_action *action)
{
	struct json_object *steps = rh_json_get(rh_json_get(action->def, "runs"), "steps");

	for (size_t i = 0; i < rh_json_len(steps); i++) {
		struct json_object *def = json_object_array_get_idx(steps, i);
		_cleanup_(rh_freep) char *made = rh_fmt("__%zu", i);
		const char *name = rh_json_str(def, "id", made);

		if (outer->stage == RH_STAGE_MAIN || rh_action_has_pre(outer->job, def))
			execute(inner_step(outer, scope, def, outer->stage, name));
	}
}

static void run_posts(struct rh_step *outer, struct rh_scope *scope)
{
	while (scope->posts) {
		struct rh_post *post = rh_post_take(scope);
		struct rh_step *step =
			inner_step(outer, scope, post->def, RH_STAGE_POST, post->context_name);

		(void)json_object_put(step->condition);
		step->condition = json_object_get(post->condition);
		execute(step);
		rh_post_free(post);
	}
}

/* outputs.<name>.value, as the steps inside have left it. */
static int evaluate_outputs(struct rh_step *step, struct rh_scope *scope,
	const struct rh_action *action, struct rh_err *err)
{
	struct json_object *outputs = rh_json_get(action->def, "outputs");
	struct rh_step *view = inner_step(step, scope, NULL, RH_STAGE_MAIN, "__outputs");
	_cleanup_(rh_json_putp) struct json_object *contexts = NULL;
	int r = 0;

	rh_json_merge(view->env, step->env);

	struct rh_expr_env env = rh_step_expr(view, &contexts);

	if (rh_json_is(outputs, json_type_object)) {
		json_object_object_foreach (outputs, name, output) {
			_cleanup_(rh_freep) char *raw = rh_expr_text(rh_json_get(output, "value"));
			_cleanup_(rh_freep) char *text = NULL;

			r = r ? r : rh_template_text(raw, &env, &text, err);
			if (!r)
				rh_json_set_str(step->outputs, name, text);
		}
	}
	rh_step_free(view);
	return r;
}

int rh_composite_run(struct rh_step *step, const struct rh_action *action,
	struct json_object *inputs, struct rh_err *err)
{
	struct rh_scope *scope = rh_scope_new(step->job, step->scope, step->context_name);
	int r = 0;

	scope->result = RH_RESULT_SUCCESS;
	rh_json_merge(scope->inputs, inputs);
	rh_json_merge(scope->env, step->scope->env);
	rh_json_merge(scope->env, step->own_env);
	rh_json_set_str(step->github, "action_path", action->dir);
	if (step->stage == RH_STAGE_POST) {
		run_posts(step, scope);
	} else {
		run_steps(step, scope, action);
		if (step->stage == RH_STAGE_MAIN)
			r = evaluate_outputs(step, scope, action, err);
	}
	step->outcome = scope->result;
	if (atomic_load(&step->cancel.reason) != RH_CANCEL_NONE)
		return rh_err_set(err, -ECANCELED, "The operation was canceled.");
	return r;
}
