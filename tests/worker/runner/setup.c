/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Set up job" and "Complete job": directories, contexts, the job's environment; orphans, _temp.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/files.h"
#include "common/text.h"
#include "runner/step.h"

#define RUNNER_VERSION "2.336.0"

/* "repo" of "owner/repo". */
static const char *bare_name(const char *repository)
{
	const char *slash = strrchr(repository, '/');

	return slash ? slash + 1 : repository;
}

static const char *tool_cache(struct rh_job *job)
{
	static const char *const names[] = {
		"RUNNER_TOOL_CACHE", "RUNNER_TOOLSDIRECTORY", "AGENT_TOOLSDIRECTORY"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *path = rh_json_str(job->start_env, names[i], "");

		if (*path)
			return path;
	}
	return job->tools;
}

/* _PipelineMapping remembers which directory belongs to which repository. */
static void write_mapping(struct rh_job *job, const char *repository)
{
	_cleanup_(rh_freep) char *dir = rh_fmt("%s/_PipelineMapping/%s", job->work, repository);
	_cleanup_(rh_freep) char *path = rh_fmt("%s/PipelineFolder.json", dir);
	const char *name = bare_name(repository);
	_cleanup_(rh_freep) char *text = rh_fmt("{\n  \"repositoryName\": \"%s\",\n"
						"  \"pipelineDirectory\": \"%s\",\n"
						"  \"workspaceDirectory\": \"%s/%s\"\n}",
		repository, name, name, name);

	(void)rh_dir_make(dir);
	(void)rh_file_write_str(path, text);
}

static int make_directories(struct rh_job *job, const char *repository, struct rh_err *err)
{
	const char *const dirs[] = {
		job->work, job->temp, job->tools, job->workspace, job->commands_dir, job->actions};

	rh_dir_empty(job->temp);
	rh_dir_remove(job->actions);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		int r = rh_dir_make(dirs[i]);

		if (r)
			return rh_err_set(err, r, "%s: %s", dirs[i], strerror(-r));
	}
	write_mapping(job, repository);
	return 0;
}

static void fill_contexts(struct rh_job *job, const char *name)
{
	_cleanup_(rh_freep) char *event = rh_fmt("%s/_github_workflow/event.json", job->temp);
	const char *slash = strrchr(job->workspace, '/');
	_cleanup_(rh_freep) char *pipeline =
		rh_must(strndup(job->workspace, (size_t)(slash - job->workspace)));

	rh_json_set_str(job->github, "workspace", job->workspace);
	rh_json_set_str(job->github, "event_path", event);
	rh_json_set_str(job->runner, "os", "Linux");
#if defined(__aarch64__)
	rh_json_set_str(job->runner, "arch", "ARM64");
#else
	rh_json_set_str(job->runner, "arch", "X64");
#endif
	rh_json_set_str(job->runner, "name", name);
	rh_json_set_str(job->runner, "environment", "self-hosted");
	rh_json_set_str(job->runner, "tool_cache", tool_cache(job));
	rh_json_set_str(job->runner, "temp", job->temp);
	rh_json_set_str(job->runner, "workspace", pipeline);
	if (job->log.debug)
		rh_json_set_str(job->runner, "debug", "1");
}

void rh_job_write_event(struct rh_job *job)
{
	_cleanup_(rh_freep) char *dir = rh_fmt("%s/_github_workflow", job->temp);
	_cleanup_(rh_freep) char *path = rh_fmt("%s/event.json", dir);
	struct json_object *event = rh_json_get(job->github, "event");
	const char *text =
		event ? json_object_to_json_string_ext(event, JSON_C_TO_STRING_PRETTY) : "{}";

	(void)rh_dir_make(dir);
	(void)rh_file_write_str(path, text);
}

/* env: of the workflow, then of the job. */
static int evaluate_env(struct rh_job *job, struct rh_err *err)
{
	struct json_object *layers = rh_json_get(job->message, "env");

	for (size_t i = 0; i < rh_json_len(layers); i++) {
		struct rh_step *view = rh_step_new(job, job->scope, NULL, RH_STAGE_MAIN, "__setup");
		_cleanup_(rh_json_putp) struct json_object *contexts = NULL;
		_cleanup_(rh_json_putp) struct json_object *own = NULL;

		rh_json_merge(view->env, job->env);

		struct rh_expr_env env = rh_step_expr(view, &contexts);
		int r = rh_template_strings(json_object_array_get_idx(layers, i), &env, &own, err);

		rh_step_free(view);
		if (r)
			return r;
		rh_json_merge(job->env, own);
	}
	return 0;
}

static void name_paths(struct rh_job *job, const char *work, const char *repository)
{
	const char *name = bare_name(repository);

	job->work = *work == '/' ? rh_dup(work) : rh_fmt("%s/%s", job->root, work);
	job->temp = rh_fmt("%s/_temp", job->work);
	job->actions = rh_fmt("%s/_actions", job->work);
	job->tools = rh_fmt("%s/_tool", job->work);
	job->workspace = rh_fmt("%s/%s/%s", job->work, name, name);
	job->commands_dir = rh_fmt("%s/_runner_file_commands", job->temp);
}

int rh_job_set_up(struct rh_job *job, struct rh_record *record, struct rh_err *err)
{
	_cleanup_(rh_freep) char *settings_path = rh_fmt("%s/.runner", job->root);
	_cleanup_(rh_text_deinit) struct rh_text text = {0};
	const char *repository = rh_json_str(job->github, "repository", "octo/demo");
	int r = rh_file_read(settings_path, &text);

	if (r)
		return rh_err_set(err, r, "%s: %s", settings_path, strerror(-r));

	const char *json = rh_starts_with(text.data, "\xef\xbb\xbf") ? text.data + 3 : text.data;
	_cleanup_(rh_json_putp) struct json_object *settings = rh_json_parse(json);
	const char *name = rh_json_str(settings, "agentName", "runner");

	name_paths(job, rh_json_str(settings, "workFolder", "_work"), repository);
	rh_record_line(record, "Current runner version: '" RUNNER_VERSION "'");
	rh_record_printf(record, "Runner name: '%s'", name);
	rh_record_line(record, "Runner group name: 'Default'");
	rh_record_line(record, "Secret source: Actions");
	rh_record_line(record, "Prepare workflow directory");
	r = make_directories(job, repository, err);
	fill_contexts(job, name);
	if (!r)
		r = evaluate_env(job, err);
	return r;
}

void rh_job_tear_down(struct rh_job *job)
{
	if (job->temp)
		rh_dir_empty(job->temp);
}
