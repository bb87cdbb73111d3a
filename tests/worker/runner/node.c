/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JavaScript actions: node of the runner's externals on the file of the stage, inputs and state in
 * the environment.
 */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/files.h"
#include "common/text.h"
#include "runner/action.h"

/* Node 12 and 16 are gone: their actions run on 20. */
static const char *node_for(const char *using)
{
	return strcmp(using, "node24") == 0 ? "node24" : "node20";
}

static void add_inputs(struct json_object *env, struct json_object *inputs)
{
	json_object_object_foreach (inputs, key, value) {
		_cleanup_(rh_freep) char *name = rh_fmt("INPUT_%s", key);

		for (char *c = name; *c; c++)
			*c = (char)(*c == ' ' ? '_' : toupper((unsigned char)*c));
		rh_json_set_ref(env, name, value);
	}
}

static void add_state(struct json_object *env, struct json_object *state)
{
	json_object_object_foreach (state, key, value) {
		_cleanup_(rh_freep) char *name = rh_fmt("STATE_%s", key);

		rh_json_set_ref(env, name, value);
	}
}

/* The file of the stage; NULL if the action has none. */
static const char *file_of(const struct rh_step *step, const struct rh_action *action)
{
	static const char *const keys[] = {
		[RH_STAGE_PRE] = "pre", [RH_STAGE_MAIN] = "main", [RH_STAGE_POST] = "post"};

	return rh_json_str(rh_json_get(action->def, "runs"), keys[step->stage], NULL);
}

static int start(struct rh_step *step, const struct rh_action *action, struct json_object *inputs,
	const char *file, struct rh_err *err)
{
	_cleanup_(rh_freep) char *node =
		rh_fmt("%s/externals/%s/bin/node", step->job->root, node_for(action->using));
	_cleanup_(rh_freep) char *script = rh_fmt("%s/%s", action->dir, file);
	_cleanup_(rh_json_putp) struct json_object *env = rh_step_environment(step);
	char *argv[] = {node, script, NULL};
	struct rh_command_line line = {
		.path = node, .argv = argv, .cwd = step->job->workspace, .env = env};

	if (!rh_file_exists(script))
		return rh_err_set(err, -ENOENT, "File not found: '%s'", script);
	add_inputs(env, inputs);
	add_state(env, step->state);
	rh_json_merge(env, rh_json_get(step->job->message, "services"));
	return rh_step_process(step, &line, err);
}

int rh_node_run(struct rh_step *step, const struct rh_action *action, struct json_object *inputs,
	struct rh_err *err)
{
	struct json_object *runs = rh_json_get(action->def, "runs");
	const char *file = file_of(step, action);

	if (step->stage != RH_STAGE_POST && rh_json_has(runs, "post"))
		rh_action_register_post(step, rh_json_get(runs, "post-if"));
	if (!file)
		return rh_err_set(err, -EINVAL, "the action has no file for this stage");
	rh_filecmd_init(step);

	int r = start(step, action, inputs, file, err);

	rh_filecmd_process(step);
	return r;
}
