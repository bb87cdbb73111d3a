/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uses: where an action is, what its action.yml says, its inputs, and who runs it.
 */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/files.h"
#include "common/text.h"
#include "common/yaml.h"
#include "runner/action.h"

#define MAX_DEPTH 10

void rh_action_deinit(struct rh_action *action)
{
	free(action->dir);
	free(action->repository);
	free(action->ref);
	(void)json_object_put(action->def);
	*action = (struct rh_action){0};
}

bool rh_action_is_remote(const char *uses)
{
	return !rh_starts_with(uses, "./") && !rh_starts_with(uses, "docker://");
}

static const char *using_of(const struct rh_action *action)
{
	return action->using ? action->using : "";
}

bool rh_action_is_node(const struct rh_action *action)
{
	return rh_starts_with(using_of(action), "node");
}

bool rh_action_is_composite(const struct rh_action *action)
{
	return strcasecmp(using_of(action), "composite") == 0;
}

/* owner/repo[/path]@ref */
static int locate_remote(
	struct rh_job *job, const char *uses, struct rh_action *action, struct rh_err *err)
{
	const char *at = strchr(uses, '@');
	const char *slash = strchr(uses, '/');
	const char *path = slash ? strchr(slash + 1, '/') : NULL;

	if (!at || !at[1] || !slash || slash > at)
		return rh_err_set(err, -EINVAL, "uses: %s: must be owner/repo[/path]@ref", uses);
	if (!path || path > at)
		path = at;
	action->repository = rh_must(strndup(uses, (size_t)(path - uses)));
	action->ref = rh_dup(at + 1);
	action->dir = rh_fmt("%s/%s/%s%.*s", job->actions, action->repository, action->ref,
		(int)(at - path), path);
	return 0;
}

/* Without "." and "..", by the letters alone, as .NET does before it opens a file. */
static char *full_path(const char *path)
{
	char *full = rh_must(calloc(1, strlen(path) + 2));
	size_t used = 0;

	for (const char *at = path; *(at += strspn(at, "/"));) {
		size_t n = strcspn(at, "/");

		if (n == 2 && strncmp(at, "..", n) == 0) {
			while (used > 0 && full[--used] != '/')
				;
		} else if (n != 1 || at[0] != '.') {
			full[used++] = '/';
			memcpy(full + used, at, n);
			used += n;
		}
		full[used] = '\0';
		at += n;
	}
	return full;
}

static int locate(
	struct rh_job *job, const char *uses, struct rh_action *action, struct rh_err *err)
{
	if (rh_action_is_remote(uses))
		return locate_remote(job, uses, action, err);
	if (!rh_starts_with(uses, "./"))
		return rh_err_set(err, -ENOTSUP, "uses: %s: not supported by the stand-in", uses);
	action->local = true;
	action->repository = rh_dup("");
	action->ref = rh_dup("");
	action->dir = rh_fmt("%s/%s", job->workspace, uses);
	return 0;
}

static int load_definition(struct rh_action *action, const char *uses, struct rh_err *err)
{
	static const char *const names[] = {"action.yml", "action.yaml"};
	_cleanup_(rh_text_deinit) struct rh_text text = {0};
	int r = -ENOENT;

	for (size_t i = 0; r && i < sizeof(names) / sizeof(names[0]); i++) {
		_cleanup_(rh_freep) char *path = rh_fmt("%s/%s", action->dir, names[i]);
		_cleanup_(rh_freep) char *full = full_path(path);

		text.size = 0;
		r = rh_file_read(full, &text);
		if (r && r != -ENOENT && r != -ENOTDIR)
			return rh_err_set(err, r, "%s: %s", path, strerror(-r));
	}
	if (r)
		return rh_err_set(err, -ENOENT,
			"Can't find 'action.yml', 'action.yaml' or 'Dockerfile' under '%s'. Did "
			"you "
			"forget to run actions/checkout before running your local action?",
			action->dir);
	r = rh_yaml_load(text.data, text.size, &action->def, err);
	action->using = rh_json_str(rh_json_get(action->def, "runs"), "using", "");
	if (!r && !rh_action_is_node(action) && !rh_action_is_composite(action))
		r = rh_err_set(err, -ENOTSUP, "%s: using: '%s' is not supported by the stand-in",
			uses, action->using);
	return r;
}

int rh_action_load(
	struct rh_job *job, const char *uses, struct rh_action *ret_action, struct rh_err *err)
{
	struct rh_action action = {0};
	int r = locate(job, uses, &action, err);

	if (!r)
		r = load_definition(&action, uses, err);
	if (r) {
		rh_action_deinit(&action);
		return r;
	}
	*ret_action = action;
	return 0;
}

int rh_action_fetch_nested(struct rh_job *job, struct rh_action *action, struct rh_record *record,
	int depth, struct rh_err *err)
{
	struct json_object *steps = rh_json_get(rh_json_get(action->def, "runs"), "steps");
	int r = 0;

	if (depth > MAX_DEPTH)
		return rh_err_set(err, -ELOOP, "Composite action depth exceeded max depth 10");
	for (size_t i = 0; !r && i < rh_json_len(steps); i++) {
		const char *uses = rh_json_str(json_object_array_get_idx(steps, i), "uses", NULL);
		struct rh_action nested = {0};

		if (!uses || !rh_action_is_remote(uses))
			continue;
		r = rh_archive_fetch(job, record, uses, err);
		if (!r)
			r = rh_action_load(job, uses, &nested, err);
		if (!r)
			r = rh_action_fetch_nested(job, &nested, record, depth + 1, err);
		rh_action_deinit(&nested);
	}
	return r;
}

int rh_action_prepare(
	struct rh_job *job, struct json_object *plan, struct rh_record *record, struct rh_err *err)
{
	bool told = false;
	int r = 0;

	for (size_t i = 0; !r && i < rh_json_len(plan); i++) {
		struct json_object *entry = json_object_array_get_idx(plan, i);
		const char *uses = rh_json_str(rh_json_get(entry, "def"), "uses", NULL);
		struct rh_action action = {0};

		if (uses && !told) {
			rh_record_line(record, "Prepare all required actions");
			rh_record_line(record, "Getting action download info");
			told = true;
		}
		if (!uses || !rh_action_is_remote(uses))
			continue;
		r = rh_archive_fetch(job, record, uses, err);
		if (!r)
			r = rh_action_load(job, uses, &action, err);
		if (!r)
			r = rh_action_fetch_nested(job, &action, record, 0, err);
		rh_action_deinit(&action);
	}
	return r;
}

static bool has_pre(struct rh_job *job, struct json_object *def, int depth)
{
	const char *uses = rh_json_str(def, "uses", NULL);
	struct rh_action action = {0};
	struct rh_err err = {0};

	if (!uses || !rh_action_is_remote(uses) || depth > MAX_DEPTH ||
		rh_action_load(job, uses, &action, &err))
		return false;

	struct json_object *runs = rh_json_get(action.def, "runs");
	struct json_object *steps = rh_json_get(runs, "steps");
	bool found = rh_action_is_node(&action) && rh_json_has(runs, "pre");

	for (size_t i = 0; !found && i < rh_json_len(steps); i++)
		found = has_pre(job, json_object_array_get_idx(steps, i), depth + 1);
	rh_action_deinit(&action);
	return found;
}

bool rh_action_has_pre(struct rh_job *job, struct json_object *def)
{
	return has_pre(job, def, 0);
}

/* Defaults of action.yml, below what the step gives. */
static int evaluate_inputs(struct rh_step *step, const struct rh_action *action,
	struct json_object **ret_inputs, struct rh_err *err)
{
	_cleanup_(rh_json_putp) struct json_object *contexts = NULL;
	_cleanup_(rh_json_putp) struct json_object *given = NULL;
	_cleanup_(rh_json_putp) struct json_object *inputs = rh_must(json_object_new_object());
	struct rh_expr_env env = rh_step_expr(step, &contexts);
	struct json_object *known = rh_json_get(action->def, "inputs");
	int r = rh_template_strings(rh_json_get(step->def, "with"), &env, &given, err);

	if (r)
		return r;
	if (rh_json_is(known, json_type_object)) {
		json_object_object_foreach (known, name, input) {
			struct json_object *value = rh_json_get(input, "default");
			_cleanup_(rh_freep) char *raw = rh_expr_text(value);
			_cleanup_(rh_freep) char *text = NULL;

			if (rh_json_get_nocase(given, name))
				continue;
			r = rh_template_text(raw, &env, &text, err);
			if (r)
				return r;
			rh_json_set_str(inputs, name, text);
		}
	}
	json_object_object_foreach (given, name, value) {
		rh_json_set_ref(inputs, name, value);
	}
	*ret_inputs = rh_steal(&inputs);
	return 0;
}

static void print_details(struct rh_step *step, struct json_object *inputs)
{
	bool any = false;

	if (step->stage != RH_STAGE_MAIN) {
		rh_record_line(step->record,
			step->stage == RH_STAGE_POST ? "Post job cleanup." : "Pre job setup.");
		return;
	}
	rh_record_printf(step->record, "##[group]Run %s", rh_json_str(step->def, "uses", ""));
	json_object_object_foreach (inputs, name, value) {
		const char *text = json_object_get_string(value);

		if (!*text)
			continue;
		if (!any)
			rh_record_line(step->record, "with:");
		any = true;
		rh_record_printf(step->record, "  %s: %s", name, text);
	}
	rh_step_print_env(step);
	rh_record_line(step->record, "##[endgroup]");
}

/* A local action may use remote ones: they are downloaded now, in the middle of the job. */
static int fetch_late(struct rh_step *step, struct rh_action *action, struct rh_err *err)
{
	if (step->stage != RH_STAGE_MAIN || !action->local || !rh_action_is_composite(action))
		return 0;
	rh_record_line(step->record, "Prepare all required actions");
	rh_record_line(step->record, "Getting action download info");
	return rh_action_fetch_nested(step->job, action, step->record, 0, err);
}

int rh_action_run(struct rh_step *step, struct rh_err *err)
{
	const char *uses = rh_json_str(step->def, "uses", NULL);
	_cleanup_(rh_action_deinit) struct rh_action action = {0};
	_cleanup_(rh_json_putp) struct json_object *inputs = NULL;

	if (!uses)
		return rh_err_set(err, -EINVAL, "a step needs run: or uses:");

	int r = rh_action_load(step->job, uses, &action, err);

	if (r)
		return r;
	if (action.local && rh_json_has(rh_json_get(action.def, "runs"), "pre"))
		rh_record_printf(step->record,
			"##[warning]`pre` execution is not supported for local action from '%s'",
			uses);
	rh_json_set_str(step->github, "action_repository", action.repository);
	rh_json_set_str(step->github, "action_ref", action.ref);
	r = fetch_late(step, &action, err);
	if (!r)
		r = evaluate_inputs(step, &action, &inputs, err);
	if (r)
		return r;
	rh_job_write_event(step->job);
	print_details(step, inputs);
	if (rh_action_is_node(&action))
		return rh_node_run(step, &action, inputs, err);
	return rh_composite_run(step, &action, inputs, err);
}
