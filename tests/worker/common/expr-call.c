/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of expressions: one table row and one small function each.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/expr-parts.h"
#include "common/text.h"

typedef int (*call_fn)(struct rh_expr_run *run, struct json_object **args, size_t n_args,
	struct json_object **ret_value);

static int ret_bool(struct rh_expr_run *run, bool truth, struct json_object **ret_value)
{
	*ret_value = rh_expr_keep(run, json_object_new_boolean(truth));
	return 0;
}

static int ret_text(struct rh_expr_run *run, const char *text, struct json_object **ret_value)
{
	*ret_value = rh_expr_keep(run, rh_must(json_object_new_string(text)));
	return 0;
}

static int call_always(struct rh_expr_run *run, struct json_object **args, size_t n_args,
	struct json_object **ret_value)
{
	return ret_bool(run, true, ret_value);
}

static int call_success(struct rh_expr_run *run, struct json_object **args, size_t n_args,
	struct json_object **ret_value)
{
	return ret_bool(run, run->env->status == RH_STATUS_SUCCESS, ret_value);
}

static int call_failure(struct rh_expr_run *run, struct json_object **args, size_t n_args,
	struct json_object **ret_value)
{
	return ret_bool(run, run->env->status == RH_STATUS_FAILURE, ret_value);
}

static int call_cancelled(struct rh_expr_run *run, struct json_object **args, size_t n_args,
	struct json_object **ret_value)
{
	return ret_bool(run, run->env->status == RH_STATUS_CANCELLED, ret_value);
}

static int call_contains(struct rh_expr_run *run, struct json_object **args, size_t n_args,
	struct json_object **ret_value)
{
	if (rh_json_is(args[0], json_type_array)) {
		bool found = false;

		for (size_t i = 0; i < rh_json_len(args[0]); i++)
			found |= rh_expr_equal(json_object_array_get_idx(args[0], i), args[1]);
		return ret_bool(run, found, ret_value);
	}

	_cleanup_(rh_freep) char *text = rh_expr_text(args[0]);
	_cleanup_(rh_freep) char *part = rh_expr_text(args[1]);

	return ret_bool(run, strcasestr(text, part) != NULL, ret_value);
}

static int call_starts(struct rh_expr_run *run, struct json_object **args, size_t n_args,
	struct json_object **ret_value)
{
	_cleanup_(rh_freep) char *text = rh_expr_text(args[0]);
	_cleanup_(rh_freep) char *part = rh_expr_text(args[1]);

	return ret_bool(run, strncasecmp(text, part, strlen(part)) == 0, ret_value);
}

static int call_ends(struct rh_expr_run *run, struct json_object **args, size_t n_args,
	struct json_object **ret_value)
{
	_cleanup_(rh_freep) char *text = rh_expr_text(args[0]);
	_cleanup_(rh_freep) char *part = rh_expr_text(args[1]);
	size_t n = strlen(text), m = strlen(part);

	return ret_bool(run, n >= m && strcasecmp(text + n - m, part) == 0, ret_value);
}

/* '{0} {{ }}': the text of the arguments, doubled braces are one. */
static int call_format(struct rh_expr_run *run, struct json_object **args, size_t n_args,
	struct json_object **ret_value)
{
	_cleanup_(rh_freep) char *pattern = rh_expr_text(args[0]);
	_cleanup_(rh_text_deinit) struct rh_text out = {0};

	for (const char *p = pattern; *p; p++) {
		char *end = NULL;
		unsigned long n = 0;

		if ((*p == '{' || *p == '}') && p[1] == *p) {
			rh_text_add(&out, p++, 1);
			continue;
		}
		if (*p != '{' && *p != '}') {
			rh_text_add(&out, p, 1);
			continue;
		}
		n = strtoul(p + 1, &end, 10);
		if (*p == '}' || end == p + 1 || *end != '}' || n + 1 >= n_args)
			return rh_err_set(run->err, -EINVAL,
				"The following format string is invalid: %s", pattern);

		_cleanup_(rh_freep) char *text = rh_expr_text(args[n + 1]);

		rh_text_puts(&out, text);
		p = end;
	}
	return ret_text(run, out.data ? out.data : "", ret_value);
}

static int call_join(struct rh_expr_run *run, struct json_object **args, size_t n_args,
	struct json_object **ret_value)
{
	_cleanup_(rh_freep) char *mark = n_args > 1 ? rh_expr_text(args[1]) : rh_dup(",");
	_cleanup_(rh_text_deinit) struct rh_text out = {0};

	if (!rh_json_is(args[0], json_type_array)) {
		_cleanup_(rh_freep) char *text = rh_expr_text(args[0]);

		return ret_text(run, text, ret_value);
	}
	for (size_t i = 0; i < rh_json_len(args[0]); i++) {
		_cleanup_(rh_freep) char *text =
			rh_expr_text(json_object_array_get_idx(args[0], i));

		rh_text_puts(&out, i ? mark : "");
		rh_text_puts(&out, text);
	}
	return ret_text(run, out.data ? out.data : "", ret_value);
}

/* Two blanks a level, empty containers on one line. */
static void write_json(struct rh_text *out, struct json_object *value, int level)
{
	bool list = rh_json_is(value, json_type_array);
	bool first = true;

	if (!list && !rh_json_is(value, json_type_object)) {
		rh_text_puts(out,
			value ? json_object_to_json_string_ext(
					value, JSON_C_TO_STRING_NOSLASHESCAPE)
			      : "null");
		return;
	}
	rh_text_puts(out, list ? "[" : "{");
	for (size_t i = 0; i < rh_json_len(value); i++, first = false) {
		rh_text_printf(out, "%s\n%*s", first ? "" : ",", 2 * level + 2, "");
		write_json(out, json_object_array_get_idx(value, i), level + 1);
	}
	if (!list) {
		json_object_object_foreach (value, key, member) {
			_cleanup_(rh_json_putp) struct json_object *name =
				rh_must(json_object_new_string(key));

			rh_text_printf(out, "%s\n%*s", first ? "" : ",", 2 * level + 2, "");
			write_json(out, name, level + 1);
			rh_text_puts(out, ": ");
			write_json(out, member, level + 1);
			first = false;
		}
	}
	if (!first)
		rh_text_printf(out, "\n%*s", 2 * level, "");
	rh_text_puts(out, list ? "]" : "}");
}

static int call_to_json(struct rh_expr_run *run, struct json_object **args, size_t n_args,
	struct json_object **ret_value)
{
	_cleanup_(rh_text_deinit) struct rh_text out = {0};

	write_json(&out, args[0], 0);
	return ret_text(run, out.data, ret_value);
}

static int call_from_json(struct rh_expr_run *run, struct json_object **args, size_t n_args,
	struct json_object **ret_value)
{
	_cleanup_(rh_freep) char *text = rh_expr_text(args[0]);
	enum json_tokener_error error = json_tokener_success;

	*ret_value = rh_expr_keep(run, json_tokener_parse_verbose(text, &error));
	if (error != json_tokener_success)
		return rh_err_set(run->err, -EINVAL, "Error parsing fromJson: %s",
			json_tokener_error_desc(error));
	return 0;
}

static int call_hash_files(struct rh_expr_run *run, struct json_object **args, size_t n_args,
	struct json_object **ret_value)
{
	struct json_object *patterns = rh_expr_keep(run, rh_must(json_object_new_array()));
	_cleanup_(rh_freep) char *hash = NULL;

	if (!run->env->hash_files)
		return rh_err_set(run->err, -EINVAL, "Unrecognized function: 'hashFiles'");
	for (size_t i = 0; i < n_args; i++) {
		_cleanup_(rh_freep) char *text = rh_expr_text(args[i]);

		(void)json_object_array_add(patterns, rh_must(json_object_new_string(text)));
	}

	int r = run->env->hash_files(run->env->arg, patterns, &hash, run->err);

	return r ? r : ret_text(run, hash, ret_value);
}

static const struct {
	const char *name;
	size_t min_args, max_args;
	call_fn call;
} functions[] = {
	{"always", 0, 0, call_always},
	{"cancelled", 0, 0, call_cancelled},
	{"contains", 2, 2, call_contains},
	{"endsWith", 2, 2, call_ends},
	{"failure", 0, 0, call_failure},
	{"format", 1, RH_EXPR_ARGS_MAX, call_format},
	{"fromJSON", 1, 1, call_from_json},
	{"hashFiles", 1, RH_EXPR_ARGS_MAX, call_hash_files},
	{"join", 1, 2, call_join},
	{"startsWith", 2, 2, call_starts},
	{"success", 0, 0, call_success},
	{"toJSON", 1, 1, call_to_json},
};

bool rh_expr_is_function(const char *name)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (strcasecmp(functions[i].name, name) == 0)
			return true;
	return false;
}

int rh_expr_call(struct rh_expr_run *run, const char *name, struct json_object **args,
	size_t n_args, struct json_object **ret_value)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (strcasecmp(functions[i].name, name) != 0)
			continue;
		if (n_args < functions[i].min_args)
			return rh_err_set(
				run->err, -EINVAL, "Too few parameters supplied: '%s'", name);
		if (n_args > functions[i].max_args)
			return rh_err_set(
				run->err, -EINVAL, "Too many parameters supplied: '%s'", name);
		return functions[i].call(run, args, n_args, ret_value);
	}
	return -ENOENT;
}
