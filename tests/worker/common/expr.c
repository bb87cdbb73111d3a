/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The evaluator: recursive descent that computes while it reads. What must not be computed (the
 * other side of && and ||) is read with "skip" raised, so that its syntax is still checked. Nesting
 * is bounded by MAX_DEPTH.
 */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/expr-parts.h"
#include "common/text.h"

#define MAX_DEPTH 50

struct parser {
	struct rh_expr_run *run;
	const char *all;
	const char *at;
	int depth;
	int skip;
};

static int parse_or(struct parser *p, struct json_object **ret_value);

static int fail(struct parser *p, const char *what, const char *detail)
{
	return rh_err_set(p->run->err, -EINVAL,
		"%s: '%.80s'. Located at position %zu within expression: %.200s", what, detail,
		(size_t)(p->at - p->all) + 1, p->all);
}

static void skip_blanks(struct parser *p)
{
	while (isspace((unsigned char)*p->at))
		p->at++;
}

/* Takes a token that stands here. A longer operator must be tried before its prefix. */
static bool take(struct parser *p, const char *token)
{
	skip_blanks(p);
	if (!rh_starts_with(p->at, token))
		return false;
	p->at += strlen(token);
	return true;
}

static bool is_word_start(char c)
{
	return isalpha((unsigned char)c) || c == '_';
}

static char *take_word(struct parser *p)
{
	const char *start = p->at;

	while (isalnum((unsigned char)*p->at) || *p->at == '_' || *p->at == '-')
		p->at++;
	return rh_must(strndup(start, (size_t)(p->at - start)));
}

static struct json_object *keep(struct parser *p, struct json_object *value)
{
	return rh_expr_keep(p->run, value);
}

static int parse_string(struct parser *p, struct json_object **ret_value)
{
	_cleanup_(rh_text_deinit) struct rh_text text = {0};

	for (p->at++; *p->at; p->at++) {
		if (*p->at == '\'' && p->at[1] != '\'') {
			p->at++;
			*ret_value = keep(p,
				rh_must(json_object_new_string_len(
					text.data ? text.data : "", (int)text.size)));
			return 0;
		}
		if (*p->at == '\'')
			p->at++;
		rh_text_add(&text, p->at, 1);
	}
	return fail(p, "Unexpected end of string", p->all);
}

static int parse_number(struct parser *p, struct json_object **ret_value)
{
	char *end = NULL;
	double number = strtod(p->at, &end);

	if (end == p->at || isalnum((unsigned char)*end))
		return fail(p, "Unexpected symbol", p->at);
	p->at = end;
	*ret_value = keep(p, rh_must(json_object_new_double(number)));
	return 0;
}

static int parse_call(struct parser *p, const char *name, struct json_object **ret_value)
{
	struct json_object *args[RH_EXPR_ARGS_MAX] = {0};
	size_t n_args = 0;

	if (!rh_expr_is_function(name))
		return fail(p, "Unrecognized function", name);
	for (bool first = true; !take(p, ")"); first = false) {
		if (!first && !take(p, ","))
			return fail(p, "Unexpected symbol", p->at);
		if (n_args == RH_EXPR_ARGS_MAX)
			return fail(p, "Too many parameters supplied", name);

		int r = parse_or(p, &args[n_args++]);

		if (r)
			return r;
	}
	return p->skip ? 0 : rh_expr_call(p->run, name, args, n_args, ret_value);
}

static int parse_word(struct parser *p, struct json_object **ret_value)
{
	_cleanup_(rh_freep) char *word = take_word(p);
	struct json_object *contexts = p->run->env->contexts;

	if (take(p, "("))
		return parse_call(p, word, ret_value);
	if (strcmp(word, "null") == 0)
		return 0;
	if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0) {
		*ret_value = keep(p, json_object_new_boolean(*word == 't'));
		return 0;
	}
	if (strcmp(word, "NaN") == 0 || strcmp(word, "Infinity") == 0) {
		*ret_value = keep(p, rh_must(json_object_new_double(strtod(word, NULL))));
		return 0;
	}
	json_object_object_foreach (contexts, name, value) {
		if (strcasecmp(name, word) == 0) {
			*ret_value = value;
			return 0;
		}
	}
	p->at -= strlen(word);
	return fail(p, "Unrecognized named-value", word);
}

static int parse_primary(struct parser *p, struct json_object **ret_value)
{
	skip_blanks(p);
	if (*p->at == '\'')
		return parse_string(p, ret_value);
	if (is_word_start(*p->at))
		return parse_word(p, ret_value);
	if (isdigit((unsigned char)*p->at) || *p->at == '-' || *p->at == '+' || *p->at == '.')
		return parse_number(p, ret_value);
	if (!take(p, "("))
		return fail(p, *p->at ? "Unexpected symbol" : "Unexpected end of expression",
			*p->at ? p->at : p->all);

	int r = parse_or(p, ret_value);

	if (!r && !take(p, ")"))
		r = fail(p, "Unexpected end of expression", p->all);
	return r;
}

static struct json_object *index_of(struct json_object *value, struct json_object *key)
{
	if (rh_json_is(value, json_type_array)) {
		double n = rh_expr_number(key);

		return n >= 0 && n < (double)rh_json_len(value)
			? json_object_array_get_idx(value, (size_t)n)
			: NULL;
	}

	_cleanup_(rh_freep) char *name = rh_expr_text(key);

	return rh_json_get_nocase(value, name);
}

/* value.*: the members as an array. A name behind it is looked up in each of them. */
static struct json_object *all_of(struct parser *p, struct json_object *value)
{
	struct json_object *list = keep(p, rh_must(json_object_new_array()));

	if (rh_json_is(value, json_type_object)) {
		json_object_object_foreach (value, name, member) {
			(void)name;
			(void)json_object_array_add(list, json_object_get(member));
		}
	}
	for (size_t i = 0; i < rh_json_len(value); i++)
		(void)json_object_array_add(
			list, json_object_get(json_object_array_get_idx(value, i)));
	return list;
}

static struct json_object *each_index(
	struct parser *p, struct json_object *list, struct json_object *key)
{
	struct json_object *out = keep(p, rh_must(json_object_new_array()));

	for (size_t i = 0; i < rh_json_len(list); i++) {
		struct json_object *found = index_of(json_object_array_get_idx(list, i), key);

		if (found)
			(void)json_object_array_add(out, json_object_get(found));
	}
	return out;
}

/* What stands behind a "." or "[". *ret_key is NULL and *ret_all true for a "*". */
static int parse_key(struct parser *p, bool bracket, struct json_object **ret_key, bool *ret_all)
{
	*ret_all = take(p, "*");
	if (!*ret_all && bracket) {
		int r = parse_or(p, ret_key);

		if (r)
			return r;
	} else if (!*ret_all) {
		skip_blanks(p);
		if (!is_word_start(*p->at))
			return fail(p, "Unexpected symbol", p->at);

		_cleanup_(rh_freep) char *word = take_word(p);

		*ret_key = keep(p, rh_must(json_object_new_string(word)));
	}
	if (bracket && !take(p, "]"))
		return fail(p, "Unexpected end of expression", p->all);
	return 0;
}

static int parse_postfix(struct parser *p, struct json_object **ret_value)
{
	bool filtered = false;
	int r = parse_primary(p, ret_value);

	while (!r) {
		bool bracket = take(p, "["), all = false;
		struct json_object *key = NULL;

		if (!bracket && !take(p, "."))
			break;
		r = parse_key(p, bracket, &key, &all);
		if (r || p->skip)
			continue;
		if (all)
			*ret_value = all_of(p, *ret_value);
		else if (filtered)
			*ret_value = each_index(p, *ret_value, key);
		else
			*ret_value = index_of(*ret_value, key);
		filtered |= all;
	}
	return r;
}

static int parse_not(struct parser *p, struct json_object **ret_value)
{
	skip_blanks(p);
	if (*p->at != '!' || p->at[1] == '=')
		return parse_postfix(p, ret_value);
	if (++p->depth > MAX_DEPTH)
		return fail(p, "Exceeded max expression depth", p->all);
	p->at++;

	int r = parse_not(p, ret_value);

	p->depth--;
	if (!r)
		*ret_value = keep(p, json_object_new_boolean(!rh_expr_truthy(*ret_value)));
	return r;
}

static int parse_compare(struct parser *p, struct json_object **ret_value)
{
	int r = parse_not(p, ret_value);

	while (!r) {
		bool less_equal = take(p, "<="), more_equal = !less_equal && take(p, ">=");
		bool less = !less_equal && !more_equal && take(p, "<");
		bool more = !less_equal && !more_equal && !less && take(p, ">");
		struct json_object *other = NULL;

		if (!less_equal && !more_equal && !less && !more)
			break;
		r = parse_not(p, &other);
		if (r)
			break;

		int order = rh_expr_compare(*ret_value, other);
		bool holds = (order == 0 && (less_equal || more_equal)) ||
			(order == -1 && (less || less_equal)) ||
			(order == 1 && (more || more_equal));

		*ret_value = keep(p, json_object_new_boolean(holds));
	}
	return r;
}

static int parse_equal(struct parser *p, struct json_object **ret_value)
{
	int r = parse_compare(p, ret_value);

	while (!r) {
		bool same = take(p, "==");
		struct json_object *other = NULL;

		if (!same && !take(p, "!="))
			break;
		r = parse_compare(p, &other);
		if (!r)
			*ret_value = keep(p,
				json_object_new_boolean(rh_expr_equal(*ret_value, other) == same));
	}
	return r;
}

/* One side of && or ||: read it, and compute it only if it decides. */
static int parse_side(struct parser *p, bool computed,
	int (*parse)(struct parser *p, struct json_object **ret_value),
	struct json_object **ret_value)
{
	struct json_object *value = NULL;

	p->skip += !computed;

	int r = parse(p, &value);

	p->skip -= !computed;
	if (!r && computed)
		*ret_value = value;
	return r;
}

static int parse_and(struct parser *p, struct json_object **ret_value)
{
	int r = parse_equal(p, ret_value);

	while (!r && take(p, "&&"))
		r = parse_side(p, rh_expr_truthy(*ret_value), parse_equal, ret_value);
	return r;
}

static int parse_or(struct parser *p, struct json_object **ret_value)
{
	if (++p->depth > MAX_DEPTH)
		return fail(p, "Exceeded max expression depth", p->all);

	int r = parse_and(p, ret_value);

	while (!r && take(p, "||"))
		r = parse_side(p, !rh_expr_truthy(*ret_value), parse_and, ret_value);
	p->depth--;
	return r;
}

int rh_expr_eval(const char *expression, const struct rh_expr_env *env,
	struct json_object **ret_value, struct rh_err *err)
{
	struct rh_expr_run run = {.env = env, .err = err, .kept = rh_must(json_object_new_array())};
	struct parser p = {.run = &run, .all = expression, .at = expression};
	struct json_object *value = NULL;
	int r = parse_or(&p, &value);

	skip_blanks(&p);
	if (!r && *p.at)
		r = fail(&p, "Unexpected symbol", p.at);
	if (!r)
		*ret_value = json_object_get(value);
	(void)json_object_put(run.kept);
	return r;
}
