/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates: strings, mappings and lists that hold ${{ expressions }}, and conditions.
 */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/expr.h"
#include "common/text.h"

/* The "}}" that ends an expression; quotes are respected. NULL if there is none. */
static const char *end_of(const char *at)
{
	for (bool quoted = false; *at; at++) {
		if (*at == '\'')
			quoted = !quoted;
		else if (!quoted && at[0] == '}' && at[1] == '}')
			return at;
	}
	return NULL;
}

static int eval_part(const char *start, const char *end, const struct rh_expr_env *env,
	struct json_object **ret_value, struct rh_err *err)
{
	_cleanup_(rh_freep) char *raw = rh_must(strndup(start, (size_t)(end - start)));
	_cleanup_(rh_freep) char *expression = rh_trimmed(raw);

	if (!*expression)
		return rh_err_set(err, -EINVAL, "An expression was expected");
	return rh_expr_eval(expression, env, ret_value, err);
}

/* A string that is one expression and nothing else keeps its type; other strings become text. */
static int eval_string(const char *text, const struct rh_expr_env *env,
	struct json_object **ret_value, struct rh_err *err)
{
	_cleanup_(rh_text_deinit) struct rh_text out = {0};

	for (const char *at = text;;) {
		const char *start = strstr(at, "${{");
		const char *end = start ? end_of(start + 3) : NULL;
		_cleanup_(rh_json_putp) struct json_object *value = NULL;

		if (!start) {
			rh_text_puts(&out, at);
			*ret_value = rh_must(json_object_new_string(out.data));
			return 0;
		}
		if (!end)
			return rh_err_set(
				err, -EINVAL, "The expression is not closed: %.80s", start);

		int r = eval_part(start + 3, end, env, &value, err);

		if (r)
			return r;
		if (start == text && !end[2]) {
			*ret_value = rh_steal(&value);
			return 0;
		}

		_cleanup_(rh_freep) char *part = rh_expr_text(value);

		rh_text_add(&out, at, (size_t)(start - at));
		rh_text_puts(&out, part);
		at = end + 2;
	}
}

int rh_template_text(
	const char *text, const struct rh_expr_env *env, char **ret_text, struct rh_err *err)
{
	_cleanup_(rh_json_putp) struct json_object *value = NULL;
	int r = eval_string(text, env, &value, err);

	if (!r)
		*ret_text = rh_expr_text(value);
	return r;
}

static int eval_list(struct json_object *list, const struct rh_expr_env *env,
	struct json_object **ret_value, struct rh_err *err)
{
	_cleanup_(rh_json_putp) struct json_object *out = rh_must(json_object_new_array());

	for (size_t i = 0; i < rh_json_len(list); i++) {
		struct json_object *item = NULL;
		int r = rh_template_value(json_object_array_get_idx(list, i), env, &item, err);

		if (r)
			return r;
		(void)json_object_array_add(out, item);
	}
	*ret_value = rh_steal(&out);
	return 0;
}

int rh_template_value(struct json_object *value, const struct rh_expr_env *env,
	struct json_object **ret_value, struct rh_err *err)
{
	if (rh_json_is(value, json_type_string))
		return eval_string(json_object_get_string(value), env, ret_value, err);
	if (rh_json_is(value, json_type_array))
		return eval_list(value, env, ret_value, err);
	if (!rh_json_is(value, json_type_object)) {
		*ret_value = json_object_get(value);
		return 0;
	}

	_cleanup_(rh_json_putp) struct json_object *out = rh_must(json_object_new_object());

	json_object_object_foreach (value, key, member) {
		struct json_object *item = NULL;
		int r = rh_template_value(member, env, &item, err);

		if (r)
			return r;
		rh_json_set(out, key, item);
	}
	*ret_value = rh_steal(&out);
	return 0;
}

int rh_template_strings(struct json_object *map, const struct rh_expr_env *env,
	struct json_object **ret_map, struct rh_err *err)
{
	_cleanup_(rh_json_putp) struct json_object *whole = NULL;
	_cleanup_(rh_json_putp) struct json_object *out = rh_must(json_object_new_object());
	int r = rh_template_value(map, env, &whole, err);

	if (r)
		return r;
	if (rh_json_is(whole, json_type_object)) {
		json_object_object_foreach (whole, key, member) {
			_cleanup_(rh_freep) char *text = rh_expr_text(member);

			rh_json_set_str(out, key, text);
		}
	}
	*ret_map = rh_steal(&out);
	return 0;
}

/* Whether the expression calls always(), success(), failure() or cancelled(). */
static bool asks_for_status(const char *expression)
{
	static const char *const names[] = {"always", "success", "failure", "cancelled"};

	for (const char *p = expression; *p; p++) {
		if (*p == '\'') {
			p += strcspn(p + 1, "'") + 1;
			if (!*p)
				return false;
			continue;
		}
		if (!isalpha((unsigned char)*p) ||
			(p > expression && (isalnum((unsigned char)p[-1]) || strchr("_.-", p[-1]))))
			continue;
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			size_t n = strlen(names[i]);

			if (strncasecmp(p, names[i], n) == 0 && p[n + strspn(p + n, " ")] == '(')
				return true;
		}
	}
	return false;
}

/* The condition without a ${{ }} around all of it. */
static char *bare_condition(struct json_object *condition)
{
	_cleanup_(rh_freep) char *text = rh_expr_text(condition);
	_cleanup_(rh_freep) char *trimmed = rh_trimmed(text);
	const char *end = rh_starts_with(trimmed, "${{") ? end_of(trimmed + 3) : NULL;

	if (!end || end[2])
		return rh_steal(&trimmed);

	_cleanup_(rh_freep) char *inner =
		rh_must(strndup(trimmed + 3, (size_t)(end - trimmed - 3)));

	return rh_trimmed(inner);
}

int rh_condition_eval(struct json_object *condition, const struct rh_expr_env *env, bool *ret_holds,
	struct rh_err *err)
{
	_cleanup_(rh_freep) char *bare = bare_condition(condition);
	_cleanup_(rh_freep) char *whole = NULL;
	_cleanup_(rh_json_putp) struct json_object *value = NULL;
	int r = 0;

	if (!*bare)
		whole = rh_dup("success()");
	else if (asks_for_status(bare))
		whole = rh_dup(bare);
	else
		whole = rh_fmt("success() && (%s)", bare);
	/* Text around expressions makes a string, which holds, as on GitHub. */
	r = strstr(whole, "${{") ? eval_string(bare, env, &value, err)
				 : rh_expr_eval(whole, env, &value, err);
	if (!r)
		*ret_holds = rh_expr_truthy(value);
	return r;
}
