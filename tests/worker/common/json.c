/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json-c with fewer words, see json.h.
 */

#include <string.h>
#include <strings.h>

#include "common/json.h"
#include "common/text.h"

bool rh_json_is(struct json_object *object, enum json_type type)
{
	return object && json_object_is_type(object, type);
}

struct json_object *rh_json_get(struct json_object *object, const char *key)
{
	if (!rh_json_is(object, json_type_object))
		return NULL;
	return json_object_object_get(object, key);
}

struct json_object *rh_json_get_nocase(struct json_object *object, const char *key)
{
	struct json_object *exact = rh_json_get(object, key);

	if (exact || !rh_json_is(object, json_type_object))
		return exact;
	json_object_object_foreach (object, name, value) {
		if (strcasecmp(name, key) == 0)
			return value;
	}
	return NULL;
}

const char *rh_json_str(struct json_object *object, const char *key, const char *otherwise)
{
	struct json_object *value = rh_json_get(object, key);

	return rh_json_is(value, json_type_string) ? json_object_get_string(value) : otherwise;
}

bool rh_json_has(struct json_object *object, const char *key)
{
	return rh_json_is(object, json_type_object) && json_object_object_get_ex(object, key, NULL);
}

size_t rh_json_len(struct json_object *array)
{
	return rh_json_is(array, json_type_array) ? json_object_array_length(array) : 0;
}

void rh_json_set(struct json_object *object, const char *key, struct json_object *value)
{
	(void)json_object_object_add(object, key, value);
}

void rh_json_set_str(struct json_object *object, const char *key, const char *value)
{
	rh_json_set(object, key, rh_must(json_object_new_string(value)));
}

void rh_json_set_ref(struct json_object *object, const char *key, struct json_object *value)
{
	rh_json_set(object, key, json_object_get(value));
}

void rh_json_merge(struct json_object *into, struct json_object *from)
{
	if (!rh_json_is(from, json_type_object))
		return;
	json_object_object_foreach (from, key, value) {
		rh_json_set_ref(into, key, value);
	}
}

struct json_object *rh_json_copy(struct json_object *object)
{
	struct json_object *copy = NULL;

	if (object && json_object_deep_copy(object, &copy, NULL) < 0)
		abort();
	return copy;
}

struct json_object *rh_json_parse(const char *text)
{
	return json_tokener_parse(text);
}
