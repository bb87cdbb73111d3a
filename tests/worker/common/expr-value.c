/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of expressions: text, truth, numbers and comparisons as GitHub documents them.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/expr-parts.h"
#include "common/text.h"

static enum json_type type_of(struct json_object *value)
{
	enum json_type type = value ? json_object_get_type(value) : json_type_null;

	return type == json_type_int ? json_type_double : type;
}

char *rh_expr_text(struct json_object *value)
{
	switch (type_of(value)) {
	case json_type_null:
		return rh_dup("");
	case json_type_boolean:
		return rh_dup(json_object_get_boolean(value) ? "true" : "false");
	case json_type_double:
		return rh_fmt("%.15g", json_object_get_double(value));
	case json_type_string:
		return rh_dup(json_object_get_string(value));
	case json_type_array:
		return rh_dup("Array");
	default:
		return rh_dup("Object");
	}
}

bool rh_expr_truthy(struct json_object *value)
{
	double number = 0;

	switch (type_of(value)) {
	case json_type_null:
		return false;
	case json_type_boolean:
		return json_object_get_boolean(value);
	case json_type_double:
		number = json_object_get_double(value);
		return number != 0 && !isnan(number);
	case json_type_string:
		return json_object_get_string_len(value) > 0;
	default:
		return true;
	}
}

double rh_expr_number(struct json_object *value)
{
	switch (type_of(value)) {
	case json_type_null:
		return 0;
	case json_type_boolean:
		return json_object_get_boolean(value) ? 1 : 0;
	case json_type_double:
		return json_object_get_double(value);
	case json_type_string: {
		_cleanup_(rh_freep) char *text = rh_trimmed(json_object_get_string(value));
		char *end = NULL;
		double number = *text ? strtod(text, &end) : 0;

		return end && *end ? NAN : number;
	}
	default:
		return NAN;
	}
}

int rh_expr_compare(struct json_object *a, struct json_object *b)
{
	if (type_of(a) == json_type_string && type_of(b) == json_type_string) {
		int order = strcasecmp(json_object_get_string(a), json_object_get_string(b));

		return (order > 0) - (order < 0);
	}
	if ((type_of(a) == json_type_array || type_of(a) == json_type_object) &&
		type_of(a) == type_of(b))
		return a == b ? 0 : 2;

	double x = rh_expr_number(a), y = rh_expr_number(b);

	if (isnan(x) || isnan(y))
		return 2;
	return (x > y) - (x < y);
}

bool rh_expr_equal(struct json_object *a, struct json_object *b)
{
	return rh_expr_compare(a, b) == 0;
}

struct json_object *rh_expr_keep(struct rh_expr_run *run, struct json_object *value)
{
	if (value)
		(void)json_object_array_add(run->kept, value);
	return value;
}
