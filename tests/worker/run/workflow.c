/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a workflow file to the messages of its jobs: order by needs, conditions of jobs, contexts.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/expr.h"
#include "common/files.h"
#include "common/text.h"
#include "common/yaml.h"
#include "run/run.h"

int rh_workflow_load(const char *path, struct json_object **ret_workflow, struct rh_err *err)
{
	_cleanup_(rh_text_deinit) struct rh_text text = {0};
	_cleanup_(rh_json_putp) struct json_object *workflow = NULL;
	int r = rh_file_read(path, &text);

	if (r)
		return rh_err_set(err, r, "%s: %s", path, strerror(-r));
	r = rh_yaml_load(text.data, text.size, &workflow, err);
	if (!r && !rh_json_is(rh_json_get(workflow, "jobs"), json_type_object))
		r = rh_err_set(err, -EINVAL, "there are no jobs");
	if (r) {
		struct rh_err inner = *err;

		return rh_err_set(err, r, "%s: %.400s", path, inner.text);
	}
	*ret_workflow = rh_steal(&workflow);
	return 0;
}

/* needs: as a list; one name or none are lists, too. New reference. */
static struct json_object *needs_of(struct json_object *job)
{
	struct json_object *needs = rh_json_get(job, "needs");

	if (rh_json_is(needs, json_type_array))
		return json_object_get(needs);

	struct json_object *list = rh_must(json_object_new_array());

	if (rh_json_is(needs, json_type_string))
		(void)json_object_array_add(list, json_object_get(needs));
	return list;
}

static bool in_list(struct json_object *list, const char *key)
{
	for (size_t i = 0; i < rh_json_len(list); i++)
		if (strcmp(json_object_get_string(json_object_array_get_idx(list, i)), key) == 0)
			return true;
	return false;
}

static bool needs_met(struct json_object *job, struct json_object *order)
{
	_cleanup_(rh_json_putp) struct json_object *needs = needs_of(job);

	for (size_t i = 0; i < rh_json_len(needs); i++) {
		const char *key = json_object_get_string(json_object_array_get_idx(needs, i));

		if (!in_list(order, key))
			return false;
	}
	return true;
}

int rh_workflow_order(struct json_object *workflow, const char *only,
	struct json_object **ret_order, struct rh_err *err)
{
	struct json_object *jobs = rh_json_get(workflow, "jobs");
	_cleanup_(rh_json_putp) struct json_object *order = rh_must(json_object_new_array());
	size_t n = (size_t)json_object_object_length(jobs);

	if (only && !rh_json_has(jobs, only))
		return rh_err_set(err, -ENOENT, "no job %s", only);
	if (only) {
		(void)json_object_array_add(order, rh_must(json_object_new_string(only)));
		*ret_order = rh_steal(&order);
		return 0;
	}
	while (rh_json_len(order) < n) {
		size_t before = rh_json_len(order);

		json_object_object_foreach (jobs, key, job) {
			if (!in_list(order, key) && needs_met(job, order))
				(void)json_object_array_add(
					order, rh_must(json_object_new_string(key)));
		}
		if (rh_json_len(order) == before)
			return rh_err_set(err, -EINVAL, "needs: a circle, or no such job");
	}
	*ret_order = rh_steal(&order);
	return 0;
}

static void set_event(struct json_object *github, const char *repository)
{
	struct json_object *event = rh_must(json_object_new_object());
	struct json_object *repo = rh_must(json_object_new_object());
	struct json_object *sender = rh_must(json_object_new_object());

	rh_json_set_str(repo, "full_name", repository);
	rh_json_set_str(sender, "login", "octocat");
	rh_json_set_str(event, "ref", "refs/heads/main");
	rh_json_set(event, "repository", repo);
	rh_json_set(event, "sender", sender);
	rh_json_set(github, "event", event);
}

static struct json_object *github_context(
	const struct rh_run_options *options, struct json_object *workflow, const char *key)
{
	static const char *const fixed[][2] = {{"ref", "refs/heads/main"}, {"ref_name", "main"},
		{"ref_type", "branch"}, {"sha", "1f3870be274f6c49b3e31a0c6728957f2a1d6c2b"},
		{"repository_id", "1000"}, {"repository_owner_id", "2000"}, {"run_id", "3000"},
		{"run_number", "1"}, {"run_attempt", "1"}, {"retention_days", "90"},
		{"actor", "octocat"}, {"actor_id", "4000"}, {"triggering_actor", "octocat"},
		{"workflow_sha", "1f3870be274f6c49b3e31a0c6728957f2a1d6c2b"}, {"head_ref", ""},
		{"base_ref", ""}, {"event_name", "push"}, {"server_url", "https://github.com"},
		{"api_url", "https://api.github.com"},
		{"graphql_url", "https://api.github.com/graphql"}, {"secret_source", "Actions"}};
	struct json_object *github = rh_must(json_object_new_object());
	const char *slash = strrchr(options->file, '/');
	const char *file = slash ? slash + 1 : options->file;
	_cleanup_(rh_freep) char *owner =
		rh_must(strndup(options->repository, strcspn(options->repository, "/")));
	_cleanup_(rh_freep) char *ref =
		rh_fmt("%s/.github/workflows/%s@refs/heads/main", options->repository, file);

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		rh_json_set_str(github, fixed[i][0], fixed[i][1]);
	rh_json_set(github, "ref_protected", json_object_new_boolean(0));
	rh_json_set_str(github, "repository", options->repository);
	rh_json_set_str(github, "repository_owner", owner);
	rh_json_set_str(github, "workflow", rh_json_str(workflow, "name", file));
	rh_json_set_str(github, "workflow_ref", ref);
	rh_json_set_str(github, "job", key);
	set_event(github, options->repository);
	rh_json_merge(github, rh_json_get(workflow, "github"));
	return github;
}

/* The members of a mapping as strings; never NULL. New reference. */
static struct json_object *strings_of(struct json_object *map)
{
	struct json_object *out = rh_must(json_object_new_object());

	if (rh_json_is(map, json_type_object)) {
		json_object_object_foreach (map, key, value) {
			_cleanup_(rh_freep) char *text = rh_expr_text(value);

			rh_json_set_str(out, key, text);
		}
	}
	return out;
}

/* defaults.run of the job above that of the workflow. */
static struct json_object *defaults_of(struct json_object *workflow, struct json_object *job)
{
	struct json_object *defaults = rh_must(json_object_new_object());
	struct json_object *run = rh_must(json_object_new_object());

	rh_json_merge(run, rh_json_get(rh_json_get(workflow, "defaults"), "run"));
	rh_json_merge(run, rh_json_get(rh_json_get(job, "defaults"), "run"));
	rh_json_set(defaults, "run", run);
	return defaults;
}

static struct json_object *env_layers(struct json_object *workflow, struct json_object *job)
{
	struct json_object *layers = rh_must(json_object_new_array());
	struct json_object *const maps[] = {rh_json_get(workflow, "env"), rh_json_get(job, "env")};

	for (size_t i = 0; i < 2; i++)
		if (rh_json_is(maps[i], json_type_object))
			(void)json_object_array_add(layers, json_object_get(maps[i]));
	return layers;
}

/* The needs context, and the worst result in it. */
static struct json_object *needs_context(
	struct json_object *job, struct json_object *done, enum rh_status *ret_status)
{
	_cleanup_(rh_json_putp) struct json_object *needs = needs_of(job);
	struct json_object *context = rh_must(json_object_new_object());

	*ret_status = RH_STATUS_SUCCESS;
	for (size_t i = 0; i < rh_json_len(needs); i++) {
		const char *key = json_object_get_string(json_object_array_get_idx(needs, i));
		struct json_object *result = rh_json_get(done, key);

		rh_json_set_ref(context, key, result);
		if (strcmp(rh_json_str(result, "result", ""), "cancelled") == 0)
			*ret_status = RH_STATUS_CANCELLED;
		else if (strcmp(rh_json_str(result, "result", ""), "success") != 0 &&
			*ret_status == RH_STATUS_SUCCESS)
			*ret_status = RH_STATUS_FAILURE;
	}
	return context;
}

/* What JavaScript actions are told of the services of a job. Nobody listens there. */
static struct json_object *services(void)
{
	struct json_object *map = rh_must(json_object_new_object());
	_cleanup_(rh_freep) char *token = rh_guid();

	rh_json_set_str(map, "ACTIONS_RUNTIME_URL", "http://127.0.0.1:9/runtime/");
	rh_json_set_str(map, "ACTIONS_RUNTIME_TOKEN", token);
	rh_json_set_str(map, "ACTIONS_CACHE_URL", "http://127.0.0.1:9/cache/");
	rh_json_set_str(map, "ACTIONS_RESULTS_URL", "http://127.0.0.1:9/results/");
	rh_json_set_str(map, "ACTIONS_CACHE_SERVICE_V2", "True");
	return map;
}

static struct json_object *build(const struct rh_run_options *options, struct json_object *workflow,
	const char *key, struct json_object *needs)
{
	struct json_object *job = rh_json_get(rh_json_get(workflow, "jobs"), key);
	struct json_object *m = rh_must(json_object_new_object());
	struct json_object *secrets = strings_of(rh_json_get(workflow, "secrets"));
	_cleanup_(rh_freep) char *guid = rh_guid();
	_cleanup_(rh_freep) char *token = rh_fmt("ghs_%s", guid);
	_cleanup_(rh_freep) char *orchestration = rh_fmt("%s.%s.__default", guid, key);

	rh_json_set_str(secrets, "GITHUB_TOKEN", token);
	rh_json_set_str(m, "key", key);
	rh_json_set_str(m, "jobDisplayName", rh_json_str(job, "name", key));
	rh_json_set_str(m, "orchestration_id", orchestration);
	rh_json_set(m, "github", github_context(options, workflow, key));
	rh_json_set_str(rh_json_get(m, "github"), "token", token);
	rh_json_set(m, "secrets", secrets);
	rh_json_set(m, "services", services());
	rh_json_set(m, "vars", strings_of(rh_json_get(workflow, "vars")));
	rh_json_set_ref(m, "inputs", rh_json_get(workflow, "inputs"));
	rh_json_set_ref(m, "needs", needs);
	rh_json_set_ref(m, "matrix", rh_json_get(job, "matrix"));
	rh_json_set_ref(m, "strategy", rh_json_get(job, "strategy"));
	rh_json_set(m, "env", env_layers(workflow, job));
	rh_json_set(m, "defaults", defaults_of(workflow, job));
	rh_json_set_ref(m, "outputs", rh_json_get(job, "outputs"));
	rh_json_set_ref(m, "steps", rh_json_get(job, "steps"));
	return m;
}

/* What a job asks for and would silently not get. */
static int check_job(struct json_object *job, const char *key, struct rh_err *err)
{
	static const char *const unsupported[] = {"container", "services", "uses"};

	for (size_t i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++)
		if (rh_json_has(job, unsupported[i]))
			return rh_err_set(
				err, -ENOTSUP, "job %s: %s: is not supported", key, unsupported[i]);
	if (rh_json_has(rh_json_get(job, "strategy"), "matrix"))
		return rh_err_set(err, -ENOTSUP, "job %s: a matrix is not supported", key);
	if (!rh_json_is(rh_json_get(job, "steps"), json_type_array))
		return rh_err_set(err, -EINVAL, "job %s has no steps", key);
	return 0;
}

int rh_workflow_message(const struct rh_run_options *options, struct json_object *workflow,
	const char *key, struct json_object *done, struct json_object **ret_message,
	struct rh_err *err)
{
	struct json_object *job = rh_json_get(rh_json_get(workflow, "jobs"), key);
	enum rh_status status = RH_STATUS_SUCCESS;
	_cleanup_(rh_json_putp) struct json_object *needs = needs_context(job, done, &status);
	_cleanup_(rh_json_putp) struct json_object *message = build(options, workflow, key, needs);
	const struct rh_expr_env env = {.contexts = message, .status = status};
	bool holds = false;
	int r = check_job(job, key, err);

	if (!r)
		r = rh_condition_eval(rh_json_get(job, "if"), &env, &holds, err);
	if (r)
		return r;
	*ret_message = holds ? rh_steal(&message) : NULL;
	return 0;
}
