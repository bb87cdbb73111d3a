/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workflow commands in a step's output: ::name key=value,…::text, and ::stop-commands::.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/files.h"
#include "common/text.h"
#include "runner/step.h"

struct command {
	char *name;
	struct json_object *properties;
	char *data;
};

static void command_deinit(struct command *command)
{
	free(command->name);
	free(command->data);
	(void)json_object_put(command->properties);
}

/* %25, %0D, %0A; in properties %3A and %2C too. */
static char *unescape(const char *text, size_t size, bool property)
{
	static const struct {
		const char *code;
		char byte;
		bool property_only;
	} rows[] = {{"%0D", '\r', false}, {"%0A", '\n', false}, {"%3A", ':', true},
		{"%2C", ',', true}, {"%25", '%', false}};
	struct rh_text out = {0};

	rh_text_puts(&out, "");
	for (size_t i = 0; i < size; i++) {
		char byte = text[i];

		for (size_t k = 0; byte == '%' && k < sizeof(rows) / sizeof(rows[0]); k++) {
			if (i + 3 > size || strncasecmp(text + i, rows[k].code, 3) != 0 ||
				(rows[k].property_only && !property))
				continue;
			byte = rows[k].byte;
			i += 2;
			break;
		}
		rh_text_add(&out, &byte, 1);
	}
	return rh_text_take(&out);
}

static void parse_properties(const char *text, size_t size, struct json_object *properties)
{
	while (size) {
		const char *comma = memchr(text, ',', size);
		size_t n = comma ? (size_t)(comma - text) : size;
		const char *equals = memchr(text, '=', n);

		if (equals) {
			_cleanup_(rh_freep) char *raw =
				rh_must(strndup(text, (size_t)(equals - text)));
			_cleanup_(rh_freep) char *key = rh_trimmed(raw);
			_cleanup_(rh_freep) char *value =
				unescape(equals + 1, n - (size_t)(equals - text) - 1, true);

			rh_json_set_str(properties, key, value);
		}
		text += n + (comma != NULL);
		size -= n + (comma != NULL);
	}
}

/* Return: whether it has the form of a command. */
static bool parse(const char *line, struct command *ret_command)
{
	line += strspn(line, " \t");
	if (!rh_starts_with(line, "::"))
		return false;

	const char *end = strstr(line + 2, "::");

	if (!end || end == line + 2)
		return false;

	size_t n = strcspn(line + 2, " :");
	const char *rest = line + 2 + n;

	*ret_command = (struct command){
		.name = rh_must(strndup(line + 2, n)),
		.properties = rh_must(json_object_new_object()),
		.data = unescape(end + 2, strlen(end + 2), false),
	};
	if (*rest == ' ')
		parse_properties(rest + 1, (size_t)(end - rest) - 1, ret_command->properties);
	return true;
}

/* The step fails, but what it runs goes on. */
static void refuse(struct rh_step *step, const char *line, const char *why)
{
	rh_step_error(step, "Unable to process command '%s' successfully.", line);
	rh_step_error(step, "%s", why);
	step->command_failed = true;
}

/* ::add-matcher::: the file is read, as by the runner; its patterns are not applied. */
static void add_matcher(struct rh_step *step, const char *name)
{
	_cleanup_(rh_text_deinit) struct rh_text text = {0};
	_cleanup_(rh_freep) char *path =
		*name == '/' ? rh_dup(name) : rh_fmt("%s/%s", step->job->workspace, name);
	int r = rh_file_read(path, &text);
	_cleanup_(rh_json_putp) struct json_object *matchers = r ? NULL : rh_json_parse(text.data);

	if (!rh_json_has(matchers, "problemMatcher"))
		refuse(step, "add-matcher", r ? strerror(-r) : "not a problem matcher");

	struct json_object *list = rh_json_get(matchers, "problemMatcher");

	/* The runner names the owners that it has read. */
	for (size_t i = 0; i < rh_json_len(list); i++)
		rh_record_printf(step->record, "Added matchers: '%s'.",
			rh_json_str(json_object_array_get_idx(list, i), "owner", ""));
}

static bool show(struct rh_step *step, const struct command *c)
{
	static const char *const shown[] = {"error", "warning", "notice", "group"};

	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		if (strcmp(c->name, shown[i]) != 0)
			continue;
		rh_record_printf(step->record, "##[%s]%s", c->name, c->data);
		return true;
	}
	if (strcmp(c->name, "endgroup") == 0) {
		rh_record_line(step->record, "##[endgroup]");
		return true;
	}
	if (strcmp(c->name, "debug") == 0) {
		if (step->job->log.debug)
			rh_record_printf(step->record, "##[debug]%s", c->data);
		return true;
	}
	return false;
}

static void set_value(
	struct rh_step *step, struct json_object *into, const struct command *c, const char *line)
{
	const char *name = rh_json_str(c->properties, "name", "");

	if (!*name) {
		refuse(step, line, "Required field 'name' is missing in ##[set-output] command.");
		return;
	}
	rh_json_set_str(into, name, c->data);
	rh_record_printf(step->record,
		"##[warning]The `%s` command is deprecated and will be disabled soon. Please "
		"upgrade to using Environment Files. For more information see: "
		"https://github.blog/changelog/2022-10-11-github-actions-deprecating-save-state-"
		"and-set-output-commands/",
		c->name);
}

static bool act(struct rh_step *step, const struct command *c, const char *line)
{
	if (strcmp(c->name, "add-mask") == 0) {
		rh_mask_add(&step->job->log.mask, c->data);
	} else if (strcmp(c->name, "set-output") == 0) {
		set_value(step, step->outputs, c, line);
	} else if (strcmp(c->name, "save-state") == 0) {
		set_value(step, step->state, c, line);
	} else if (strcmp(c->name, "set-env") == 0 || strcmp(c->name, "add-path") == 0) {
		_cleanup_(rh_freep) char *why = rh_fmt(
			"The `%s` command is disabled. Please upgrade to using Environment Files "
			"or opt into unsecure command execution by setting the "
			"`ACTIONS_ALLOW_UNSECURE_COMMANDS` environment variable to `true`.",
			c->name);

		refuse(step, line, why);
	} else if (strcmp(c->name, "add-matcher") == 0) {
		add_matcher(step, c->data);
	} else if (strcmp(c->name, "stop-commands") == 0) {
		free(step->stop_token);
		step->stop_token = rh_dup(c->data);
		rh_record_line(step->record, line);
	} else {
		return strcmp(c->name, "remove-matcher") == 0 || strcmp(c->name, "echo") == 0;
	}
	return true;
}

bool rh_command_run(struct rh_step *step, const char *line)
{
	_cleanup_(command_deinit) struct command command = {0};

	if (!parse(line, &command))
		return false;
	if (step->stop_token) {
		if (strcmp(command.name, step->stop_token) == 0)
			free(rh_steal(&step->stop_token));
		return false;
	}
	return show(step, &command) || act(step, &command, line);
}
