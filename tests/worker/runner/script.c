/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: steps and job hooks: the shell's command line, the script's file, the working directory.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/files.h"
#include "common/text.h"
#include "runner/args.h"
#include "runner/step.h"

struct shell {
	char *name; /* as given, without arguments */
	char *path;
	char *format; /* its arguments, {0} is the script */
};

static void shell_deinit(struct shell *shell)
{
	free(shell->name);
	free(shell->path);
	free(shell->format);
}

static const struct {
	const char *name;
	const char *format;
	const char *extension;
} builtins[] = {
	{"bash", "--noprofile --norc -e -o pipefail {0}", ".sh"},
	{"sh", "-e {0}", ".sh"},
	{"python", "{0}", ".py"},
	{"pwsh", "-command \". '{0}'\"", ".ps1"},
	{"powershell", "-command \". '{0}'\"", ".ps1"},
};

static const char *builtin_format(const char *name)
{
	for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
		if (strcmp(builtins[i].name, name) == 0)
			return builtins[i].format;
	return "";
}

static const char *builtin_extension(const char *name)
{
	for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
		if (strcmp(builtins[i].name, name) == 0)
			return builtins[i].extension;
	return "";
}

/* The shell of a step: its own, the job's default, else bash or sh. */
static int find_shell(
	struct rh_step *step, const char *option, struct shell *ret_shell, struct rh_err *err)
{
	struct shell shell = {0};

	if (!option || !*option) {
		shell.name = rh_dup("sh");
		shell.format = rh_dup(builtin_format("sh"));
		shell.path = rh_job_which(step->job, "bash");
		if (!shell.path)
			shell.path = rh_job_which(step->job, "sh");
	} else {
		size_t n = strcspn(option, " ");
		_cleanup_(rh_freep) char *rest = rh_trimmed(option + n);

		shell.name = rh_must(strndup(option, n));
		shell.format = rh_dup(*rest ? rest : builtin_format(shell.name));
		shell.path = rh_job_which(step->job, shell.name);
	}
	if (!shell.path) {
		int r = rh_err_set(err, -ENOENT, "%s: command not found", shell.name);

		shell_deinit(&shell);
		return r;
	}
	*ret_shell = shell;
	return 0;
}

/* A string member of the step, evaluated; NULL if there is none. */
static int member(
	struct rh_step *step, struct json_object *value, char **ret_text, struct rh_err *err)
{
	_cleanup_(rh_json_putp) struct json_object *contexts = NULL;

	*ret_text = NULL;
	if (!value)
		return 0;

	_cleanup_(rh_freep) char *text = rh_expr_text(value);
	struct rh_expr_env env = rh_step_expr(step, &contexts);

	return rh_template_text(text, &env, ret_text, err);
}

/* The step's own value, else that of defaults.run. Composite steps have no defaults. */
static int member_or_default(
	struct rh_step *step, const char *key, char **ret_text, struct rh_err *err)
{
	struct json_object *own = rh_json_get(step->def, key);

	if (own || step->outer)
		return member(step, own, ret_text, err);

	struct json_object *defaults =
		rh_json_get(rh_json_get(step->job->message, "defaults"), "run");

	return member(step, rh_json_get(defaults, key), ret_text, err);
}

void rh_step_print_env(struct rh_step *step)
{
	if (json_object_object_length(step->env)) {
		rh_record_line(step->record, "env:");
		json_object_object_foreach (step->env, key, value) {
			rh_record_printf(
				step->record, "  %s: %s", key, json_object_get_string(value));
		}
	}
}

static void print_details(struct rh_step *step, const char *script, const struct shell *shell)
{
	_cleanup_(rh_freep) char *copy = rh_dup(script);
	const char *first = script + strspn(script, " \t\r\n");
	char *rest = copy;
	size_t n = strlen(copy);

	while (n && copy[n - 1] == '\n')
		copy[--n] = '\0';
	rh_record_printf(step->record, "##[group]Run %.*s", (int)strcspn(first, "\r\n"), first);
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
		rh_record_printf(step->record, "\x1b[36;1m%s\x1b[0m", line);
	rh_record_printf(step->record, "shell: %s %s", shell->path, shell->format);
	rh_step_print_env(step);
	rh_record_line(step->record, "##[endgroup]");
}

/* pwsh scripts are framed so that the last program's status is the script's. */
static char *fix_up(const char *shell, const char *script)
{
	if (!shell || (strcmp(shell, "pwsh") != 0 && strcmp(shell, "powershell") != 0))
		return rh_dup(script);
	return rh_fmt("$ErrorActionPreference = 'stop'\n%s\nif ((Test-Path -LiteralPath "
		      "variable:\\LASTEXITCODE)) { exit $LASTEXITCODE }",
		script);
}

/* The shell's arguments with the script's path in them. */
static char *fill_format(const char *format, const char *path)
{
	struct rh_text out = {0};
	const char *at = format, *hole = NULL;

	while ((hole = strstr(at, "{0}"))) {
		rh_text_add(&out, at, (size_t)(hole - at));
		rh_text_puts(&out, path);
		at = hole + 3;
	}
	rh_text_puts(&out, at);
	return rh_text_take(&out);
}

/* Starts the shell on a file. @cwd is relative to the workspace or absolute. */
static int start(struct rh_step *step, const struct shell *shell, const char *file, const char *cwd,
	struct rh_err *err)
{
	_cleanup_(rh_freep) char *arguments = fill_format(shell->format, file);
	_cleanup_(rh_freep) char *directory = !cwd || !*cwd ? rh_dup(step->job->workspace)
		: *cwd == '/'                               ? rh_dup(cwd)
			      : rh_fmt("%s/%s", step->job->workspace, cwd);
	_cleanup_(rh_json_putp) struct json_object *env = rh_step_environment(step);
	char **argv = rh_args_split(shell->path, arguments);
	struct rh_command_line line = {
		.path = shell->path, .argv = argv, .cwd = directory, .env = env};
	int r = rh_step_process(step, &line, err);

	rh_args_free(argv);
	return r;
}

static int run_script(struct rh_step *step, const char *script, const struct shell *shell,
	const char *cwd, struct rh_err *err)
{
	_cleanup_(rh_freep) char *guid = rh_guid();
	_cleanup_(rh_freep) char *file =
		rh_fmt("%s/%s%s", step->job->temp, guid, builtin_extension(shell->name));
	_cleanup_(rh_freep) char *contents = fix_up(shell->name, script);

	print_details(step, script, shell);
	if (!shell->format || !strstr(shell->format, "{0}"))
		return rh_err_set(err, -EINVAL,
			"Invalid shell option. Shell must be a valid built-in (bash, sh, cmd, "
			"powershell, pwsh) or a format string containing '{0}'");

	int r = rh_file_write_str(file, contents);

	if (r)
		return rh_err_set(err, r, "%s: %s", file, strerror(-r));
	return start(step, shell, file, cwd, err);
}

int rh_script_run(struct rh_step *step, struct rh_err *err)
{
	_cleanup_(rh_freep) char *script = NULL;
	_cleanup_(rh_freep) char *option = NULL;
	_cleanup_(rh_freep) char *cwd = NULL;
	_cleanup_(shell_deinit) struct shell shell = {0};
	int r = member(step, rh_json_get(step->def, "run"), &script, err);

	if (!r)
		r = member_or_default(step, "shell", &option, err);
	if (!r)
		r = member_or_default(step, "working-directory", &cwd, err);
	rh_job_write_event(step->job);
	if (!r)
		r = find_shell(step, option, &shell, err);
	if (r)
		return r;
	rh_filecmd_init(step);
	r = run_script(step, script, &shell, cwd, err);
	rh_filecmd_process(step);
	return r;
}

int rh_hook_run(struct rh_step *step, struct rh_err *err)
{
	_cleanup_(shell_deinit) struct shell shell = {.name = rh_dup("bash")};

	rh_record_printf(step->record,
		"A job %s hook has been configured by the self-hosted runner administrator",
		step->stage == RH_STAGE_PRE ? "started" : "completed");
	if (!rh_file_exists(step->hook))
		return rh_err_set(err, -ENOENT, "File doesn't exist");
	rh_job_write_event(step->job);
	shell.path = rh_job_which(step->job, "bash");
	if (!shell.path)
		shell.path = rh_job_which(step->job, "sh");
	if (!shell.path)
		return rh_err_set(err, -ENOENT, "sh: command not found");
	rh_record_printf(step->record, "##[group]Run '%s'", step->hook);
	rh_record_printf(step->record, "shell: %s %s", shell.path, builtin_format("bash"));
	rh_record_line(step->record, "##[endgroup]");
	shell.format = rh_dup(builtin_format("sh"));
	rh_filecmd_init(step);

	int r = start(step, &shell, step->hook, NULL, err);

	rh_filecmd_process(step);
	return r;
}
