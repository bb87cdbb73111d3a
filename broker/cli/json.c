/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reading the broker's answers.
 */

#include <stdio.h>

#include "broker/cli/cli.h"

struct json_object *rh_json_member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(object, json_type_object))
		return NULL;
	(void)json_object_object_get_ex(object, key, &value);
	return value;
}

const char *rh_json_text(struct json_object *object, const char *key)
{
	struct json_object *value = rh_json_member(object, key);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

int64_t rh_json_number(struct json_object *object, const char *key)
{
	struct json_object *value = rh_json_member(object, key);

	return json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0;
}

bool rh_json_bool(struct json_object *object, const char *key)
{
	struct json_object *value = rh_json_member(object, key);

	return json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

size_t rh_json_length(struct json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

void rh_cli_print_json_line(struct json_object *data)
{
	(void)puts(json_object_to_json_string_ext(
		data, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

void rh_cli_print_json(struct json_object *data)
{
	(void)puts(json_object_to_json_string_ext(data,
		JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
			JSON_C_TO_STRING_NOSLASHESCAPE));
}
