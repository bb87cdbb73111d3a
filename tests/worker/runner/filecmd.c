/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File commands: seven empty files a step, named in its environment, read and removed after it.
 *
 * Whoever wrote them may have replaced them by links or worse; the runner opens what it finds, and
 * so does this.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.h"
#include "common/text.h"
#include "runner/step.h"

#define SUMMARY_MAX ((size_t)1024 * 1024)

typedef int (*pair_fn)(
	struct rh_step *step, const char *name, const char *value, struct rh_err *err);

static int on_env(struct rh_step *step, const char *name, const char *value, struct rh_err *err)
{
	if (strcmp(name, "NODE_OPTIONS") == 0)
		return rh_err_set(err, -EPERM,
			"Can't store NODE_OPTIONS output parameter using '$GITHUB_ENV' command.");
	rh_json_set_str(step->job->env, name, value);
	return 0;
}

static int on_output(struct rh_step *step, const char *name, const char *value, struct rh_err *err)
{
	rh_json_set_str(step->outputs, name, value);
	return 0;
}

static int on_state(struct rh_step *step, const char *name, const char *value, struct rh_err *err)
{
	rh_json_set_str(step->state, name, value);
	return 0;
}

/* Takes one line out of *at, its end not included. Return: NULL behind the last one. */
static char *take_line(const char **at)
{
	const char *start = *at;
	size_t n = strcspn(start, "\n");

	if (!*start)
		return NULL;
	*at += n + (start[n] == '\n');
	if (n && start[n - 1] == '\r')
		n--;
	return rh_must(strndup(start, n));
}

/* NAME<<MARK, lines, MARK. */
static int heredoc(const char *mark, const char **at, char **ret_value, struct rh_err *err)
{
	_cleanup_(rh_text_deinit) struct rh_text value = {0};

	for (bool first = true;; first = false) {
		_cleanup_(rh_freep) char *line = take_line(at);

		if (!line)
			return rh_err_set(err, -EINVAL,
				"Invalid value. Matching delimiter not found '%s'", mark);
		if (strcmp(line, mark) == 0)
			break;
		rh_text_puts(&value, first ? "" : "\n");
		rh_text_puts(&value, line);
	}
	*ret_value = rh_text_take(&value);
	return 0;
}

static int parse_pairs(struct rh_step *step, const char *text, pair_fn on_pair, struct rh_err *err)
{
	int r = 0;

	for (const char *at = text; !r && *at;) {
		_cleanup_(rh_freep) char *line = take_line(&at);
		_cleanup_(rh_freep) char *value = NULL;
		char *equals = strchr(line, '='), *mark = strstr(line, "<<");

		if (!*line)
			continue;
		if (equals && (!mark || equals < mark)) {
			value = rh_dup(equals + 1);
			*equals = '\0';
		} else if (mark && mark > line && mark[2]) {
			*mark = '\0';
			r = heredoc(mark + 2, &at, &value, err);
		} else {
			return rh_err_set(err, -EINVAL, "Invalid format '%s'", line);
		}
		if (!r && !*line)
			r = rh_err_set(err, -EINVAL, "Invalid format. Name must not be empty");
		if (!r)
			r = on_pair(step, line, value, err);
	}
	return r;
}

static int process_env(struct rh_step *step, const char *text, struct rh_err *err)
{
	return parse_pairs(step, text, on_env, err);
}

static int process_output(struct rh_step *step, const char *text, struct rh_err *err)
{
	return parse_pairs(step, text, on_output, err);
}

static int process_state(struct rh_step *step, const char *text, struct rh_err *err)
{
	return parse_pairs(step, text, on_state, err);
}

static int process_path(struct rh_step *step, const char *text, struct rh_err *err)
{
	struct rh_job *job = step->job;

	for (const char *at = text; *at;) {
		_cleanup_(rh_freep) char *line = take_line(&at);
		char *before = job->prepend_path;

		if (!*line)
			continue;
		job->prepend_path = rh_fmt("%s%s%s", line, *before ? ":" : "", before);
		free(before);
	}
	return 0;
}

static char *path_of(struct rh_step *step, const char *kind)
{
	return rh_fmt("%s/%s_%s", step->job->commands_dir, kind, step->file_guid);
}

/* What is read from the masked copy goes to the service. */
static int upload(struct rh_step *step, const char *path)
{
	_cleanup_(rh_text_deinit) struct rh_text text = {0};
	int r = rh_file_read(path, &text);
	struct json_object *event = r ? NULL : rh_must(json_object_new_object());

	if (r)
		return r;
	rh_json_set_str(event, "e", "upload");
	rh_json_set(event, "number", json_object_new_int(step->record->number));
	rh_json_set_str(event, "text", text.data ? text.data : "");
	rh_log_event(&step->job->log, event);
	return 0;
}

/* The masked copy that is uploaded. */
static int process_summary(struct rh_step *step, const char *text, struct rh_err *err)
{
	_cleanup_(rh_freep) char *plain = path_of(step, "step_summary");
	_cleanup_(rh_freep) char *scrubbed = rh_fmt("%s-scrubbed", plain);
	_cleanup_(rh_freep) char *masked = rh_mask_apply(&step->job->log.mask, text);

	if (!*text)
		return 0;
	if (strlen(text) > SUMMARY_MAX)
		return rh_err_set(err, -EFBIG,
			"$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of "
			"1024k, got %zuk.",
			strlen(text) / 1024);

	int r = rh_file_write_str(scrubbed, masked ? masked : text);

	if (!r)
		r = upload(step, scrubbed);
	return r ? rh_err_set(err, r, "%s: %s", scrubbed, strerror(-r)) : 0;
}

static int process_nothing(struct rh_step *step, const char *text, struct rh_err *err)
{
	return 0;
}

static const struct {
	const char *file; /* the file's name begins so */
	const char *context; /* member of the github context, GITHUB_… of it in the environment */
	const char *command; /* in messages */
	int (*process)(struct rh_step *step, const char *text, struct rh_err *err);
} kinds[] = {
	{"add_path", "path", "path", process_path},
	{"set_env", "env", "env", process_env},
	{"set_output", "output", "output", process_output},
	{"save_state", "state", "state", process_state},
	{"step_summary", "step_summary", "step_summary", process_summary},
	{"artifacts", "artifacts", "artifacts", process_nothing},
	{"artifacts_list", "artifacts_list", "artifacts_list", process_nothing},
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

void rh_filecmd_init(struct rh_step *step)
{
	free(step->file_guid);
	step->file_guid = rh_guid();
	(void)rh_dir_make(step->job->commands_dir);
	for (size_t i = 0; i < N_KINDS; i++) {
		_cleanup_(rh_freep) char *path = path_of(step, kinds[i].file);

		rh_close(rh_file_open(path, O_RDWR | O_CREAT, 0666));
		rh_json_set_str(step->github, kinds[i].context, path);
	}
}

void rh_filecmd_process(struct rh_step *step)
{
	for (size_t i = 0; i < N_KINDS; i++) {
		_cleanup_(rh_freep) char *path = path_of(step, kinds[i].file);
		_cleanup_(rh_text_deinit) struct rh_text text = {0};
		struct rh_err err = {0};
		int r = rh_file_read(path, &text);

		(void)unlink(path);
		if (r == -ENOENT)
			continue;
		r = r ? rh_err_set(&err, r, "%s: %s", path, strerror(-r))
		      : kinds[i].process(step, text.data, &err);
		if (r) {
			rh_step_error(step, "Unable to process file command '%s' successfully.",
				kinds[i].command);
			rh_step_error(step, "%s", err.text);
			step->command_failed = true;
		}
	}
}
