/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of a job: environments, and output lines on their way into the log.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/environ.h"
#include "common/text.h"
#include "runner/args.h"
#include "runner/lines.h"
#include "runner/step.h"

/* "K=V" strings of the Worker's environment below and the step's above. */
static char **make_envp(struct rh_job *job, struct json_object *above)
{
	_cleanup_(rh_json_putp) struct json_object *all = rh_must(json_object_new_object());

	rh_json_merge(all, job->start_env);
	rh_json_merge(all, above);
	if (!rh_json_has(all, "GITHUB_ACTIONS"))
		rh_json_set_str(all, "GITHUB_ACTIONS", "true");
	if (!rh_json_has(all, "CI"))
		rh_json_set_str(all, "CI", "true");

	return rh_environ_strings(all);
}

/* GITHUB_* and RUNNER_* that the runtime context adds; what else is in the contexts stays there. */
static void add_runtime(struct rh_step *step, struct json_object *env)
{
	static const char *const names[] = {"action", "action_path", "action_ref",
		"action_repository", "actor", "actor_id", "api_url", "artifacts", "artifacts_list",
		"base_ref", "env", "event_name", "event_path", "graphql_url", "head_ref", "job",
		"output", "path", "ref", "ref_name", "ref_protected", "ref_type", "repository",
		"repository_id", "repository_owner", "repository_owner_id", "retention_days",
		"run_attempt", "run_id", "run_number", "server_url", "sha", "state", "step_summary",
		"triggering_actor", "workflow", "workflow_ref", "workflow_sha", "workspace"};
	struct {
		const char *prefix;
		struct json_object *context;
	} const sources[] = {{"GITHUB", step->github}, {"RUNNER", step->job->runner}};

	for (size_t s = 0; s < 2; s++) {
		json_object_object_foreach (sources[s].context, key, value) {
			bool known = s == 1;

			for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
				known |= strcmp(names[i], key) == 0;
			if (!known || !value)
				continue;

			_cleanup_(rh_freep) char *name = rh_fmt("%s_%s", sources[s].prefix, key);
			_cleanup_(rh_freep) char *text = rh_expr_text(value);

			for (char *c = name; *c; c++)
				*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
			rh_json_set_str(env, name, text);
		}
	}
}

struct json_object *rh_step_environment(struct rh_step *step)
{
	struct rh_job *job = step->job;
	struct json_object *env = rh_must(json_object_new_object());

	rh_json_merge(env, step->env);
	if (*job->prepend_path) {
		const char *base =
			rh_json_str(step->env, "PATH", rh_json_str(job->start_env, "PATH", ""));
		_cleanup_(rh_freep) char *path =
			rh_fmt("%s%s%s", job->prepend_path, *base ? ":" : "", base);

		rh_json_set_str(env, "PATH", path);
	}
	add_runtime(step, env);
	rh_json_set_str(
		env, "ACTIONS_ORCHESTRATION_ID", rh_json_str(job->message, "orchestration_id", ""));
	return env;
}

char *rh_job_which(struct rh_job *job, const char *name)
{
	return rh_which(name, job->prepend_path, rh_json_str(job->start_env, "PATH", ""));
}

/* A line of a step's process. */
static void on_step_line(void *arg, int stream, const char *line, size_t size)
{
	struct rh_step *step = arg;
	_cleanup_(rh_freep) char *clean = rh_utf8_clean(line, size);

	(void)stream;
	(void)pthread_mutex_lock(&step->job->lock);
	if (!rh_command_run(step, clean))
		rh_record_line(step->record, clean);
	(void)pthread_mutex_unlock(&step->job->lock);
}

static int run_unlocked(struct rh_job *job, struct rh_proc_spec *spec, struct json_object *env,
	struct rh_proc_end *ret_end, struct rh_err *err)
{
	char **envp = make_envp(job, env);

	spec->envp = envp;
	rh_log_flush(&job->log);
	(void)pthread_mutex_unlock(&job->lock);

	int r = rh_proc_run(spec, ret_end, err);

	(void)pthread_mutex_lock(&job->lock);
	rh_args_free(envp);
	return r;
}

int rh_step_process(struct rh_step *step, const struct rh_command_line *line, struct rh_err *err)
{
	struct rh_proc_end end = {0};
	struct rh_proc_spec spec = {
		.path = line->path,
		.argv = line->argv,
		.cwd = line->cwd,
		.cancel = &step->cancel,
		.deadline_ms = step->deadline_ms,
		.on_line = on_step_line,
		.arg = step,
	};
	int r = run_unlocked(step->job, &spec, line->env, &end, err);

	if (r)
		return r;
	step->has_exit_code = true;
	step->end.exit_code = end.exit_code;
	for (struct rh_step *s = step; s; s = s->outer)
		for (int i = 0; i < 2; i++)
			s->end.n_bytes[i] += end.n_bytes[i];
	if (atomic_load(&step->cancel.reason) != RH_CANCEL_NONE)
		return rh_err_set(err, -ECANCELED, "The operation was canceled.");
	if (end.exit_code) {
		rh_step_error(step, "Process completed with exit code %d.", end.exit_code);
		step->outcome = RH_RESULT_FAILURE;
	}
	return 0;
}

int rh_job_process(struct rh_job *job, const struct rh_command_line *line,
	void (*on_line)(void *arg, int stream, const char *text, size_t size), void *arg,
	int *ret_exit_code, struct rh_err *err)
{
	struct rh_proc_end end = {0};
	struct rh_proc_spec spec = {.path = line->path,
		.argv = line->argv,
		.cwd = line->cwd,
		.on_line = on_line,
		.arg = arg};
	int r = run_unlocked(job, &spec, line->env, &end, err);

	if (!r)
		*ret_exit_code = end.exit_code;
	return r;
}
