/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML to JSON: libyaml's events drive a stack of open mappings and sequences.
 *
 * A mapping remembers the key that waits for its value. Plain scalars become null, booleans and
 * numbers as in YAML 1.2's core schema; quoted and block scalars are strings.
 */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/json.h"
#include "common/text.h"
#include "common/yaml.h"

#define MAX_DEPTH 64

struct level {
	struct json_object *value; /* borrowed from its parent, or from the loader's root */
	char *key;
};

struct loader {
	struct json_object *root;
	struct level stack[MAX_DEPTH];
	int depth;
	bool done;
};

static bool one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(s, *words) == 0)
			return true;
	return false;
}

static bool is_number(const char *s, bool *ret_whole)
{
	size_t i = (s[0] == '-' || s[0] == '+');
	size_t n_digits = 0;
	bool whole = true;

	for (; s[i]; i++) {
		if (isdigit((unsigned char)s[i])) {
			n_digits++;
		} else if (s[i] == '.' && whole) {
			whole = false;
		} else if ((s[i] == 'e' || s[i] == 'E') && n_digits && s[i + 1]) {
			whole = false;
			i += (s[i + 1] == '-' || s[i + 1] == '+');
			if (strspn(s + i + 1, "0123456789") != strlen(s + i + 1))
				return false;
			break;
		} else {
			return false;
		}
	}
	*ret_whole = whole;
	return n_digits > 0;
}

static struct json_object *plain_scalar(const char *s)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"true", "True", "TRUE", NULL};
	static const char *const falses[] = {"false", "False", "FALSE", NULL};
	bool whole = false;

	if (one_of(s, nulls))
		return NULL;
	if (one_of(s, trues))
		return json_object_new_boolean(1);
	if (one_of(s, falses))
		return json_object_new_boolean(0);
	if (is_number(s, &whole))
		return whole ? json_object_new_int64(strtoll(s, NULL, 10))
			     : json_object_new_double(strtod(s, NULL));
	return json_object_new_string(s);
}

/* A copy in which NUL bytes became RH_YAML_NUL. */
static char *scalar_text(const yaml_event_t *event)
{
	size_t n = event->data.scalar.length;
	char *s = rh_must(malloc(n + 1));

	memcpy(s, event->data.scalar.value, n);
	s[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (!s[i])
			s[i] = RH_YAML_NUL;
	return s;
}

/* Puts a finished or just opened value where it belongs; consumes it. */
static int place(struct loader *l, struct json_object *value)
{
	if (l->depth == 0) {
		l->root = value;
		return 0;
	}

	struct level *top = &l->stack[l->depth - 1];

	if (json_object_is_type(top->value, json_type_array)) {
		(void)json_object_array_add(top->value, value);
		return 0;
	}
	rh_json_set(top->value, top->key, value);
	free(rh_steal(&top->key));
	return 0;
}

static int on_scalar(struct loader *l, const yaml_event_t *event)
{
	_cleanup_(rh_freep) char *text = scalar_text(event);
	struct level *top = l->depth ? &l->stack[l->depth - 1] : NULL;

	if (top && json_object_is_type(top->value, json_type_object) && !top->key) {
		if (rh_json_has(top->value, text))
			return -EEXIST;
		top->key = rh_steal(&text);
		return 0;
	}
	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		return place(l, plain_scalar(text));
	return place(l, rh_must(json_object_new_string(text)));
}

static int on_open(struct loader *l, struct json_object *value)
{
	if (l->depth == MAX_DEPTH) {
		(void)json_object_put(value);
		return -E2BIG;
	}
	if (l->depth && json_object_is_type(l->stack[l->depth - 1].value, json_type_object) &&
		!l->stack[l->depth - 1].key) {
		(void)json_object_put(value);
		return -EINVAL; /* a mapping or list as key */
	}
	(void)place(l, value);
	l->stack[l->depth++] = (struct level){.value = value};
	return 0;
}

static int on_event(struct loader *l, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(l, event);
	case YAML_MAPPING_START_EVENT:
		return on_open(l, rh_must(json_object_new_object()));
	case YAML_SEQUENCE_START_EVENT:
		return on_open(l, rh_must(json_object_new_array()));
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		l->depth--;
		return 0;
	case YAML_DOCUMENT_END_EVENT:
	case YAML_STREAM_END_EVENT:
		l->done = true;
		return 0;
	case YAML_ALIAS_EVENT:
		return -ENOTSUP;
	default:
		return 0;
	}
}

static const char *reason_of(int r)
{
	switch (r) {
	case -EEXIST:
		return "the key is there twice";
	case -E2BIG:
		return "nested too deeply";
	case -ENOTSUP:
		return "anchors and aliases are not supported";
	default:
		return "a key must be a scalar";
	}
}

int rh_yaml_load(const char *text, size_t size, struct json_object **ret_value, struct rh_err *err)
{
	struct loader l = {0};
	yaml_parser_t parser;
	int r = 0;

	if (!yaml_parser_initialize(&parser))
		return rh_err_set(err, -ENOMEM, "out of memory");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	while (!r && !l.done) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			r = rh_err_set(err, -EINVAL, "line %zu: %s", parser.problem_mark.line + 1,
				parser.problem ? parser.problem : "not YAML");
			break;
		}
		r = on_event(&l, &event);
		if (r)
			r = rh_err_set(err, -EINVAL, "line %zu: %s", event.start_mark.line + 1,
				reason_of(r));
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	for (int i = 0; i < MAX_DEPTH; i++)
		free(l.stack[i].key);
	if (r) {
		(void)json_object_put(l.root);
		return r;
	}
	*ret_value = l.root;
	return 0;
}
