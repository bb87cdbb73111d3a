/* SPDX-License-Identifier: Apache-2.0 */

/*
 * JSON from the engine: parsed strictly, looked into without trust.
 */

#include "broker/daemon/engine/docker_json.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runnerhub/err.h"

#define JSON_DEPTH_MAX 24

int rh_docker_json_parse(
	const char *data, size_t size, enum json_type type, struct json_object **ret_object)
{
	struct json_tokener *tokener = NULL;
	_cleanup_(rh_docker_json_putp) struct json_object *object = NULL;
	enum json_tokener_error error = json_tokener_success;

	while (size > 0 && isspace((unsigned char)data[size - 1]))
		size--;
	if (size == 0 || size > INT_MAX)
		return rh_origin(-EPROTO);
	tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
	if (!tokener)
		return rh_origin(-ENOMEM);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, data, (int)size);
	error = json_tokener_get_error(tokener);
	if (error == json_tokener_success && json_tokener_get_parse_end(tokener) != size)
		error = json_tokener_error_parse_unexpected;
	json_tokener_free(tokener);
	if (error != json_tokener_success || !json_object_is_type(object, type))
		return rh_origin(-EPROTO);
	*ret_object = rh_steal(&object);
	return 0;
}

int rh_docker_json_list(const char *data, size_t data_size, size_t size,
	struct json_object **ret_array, void **ret_list)
{
	_cleanup_(rh_docker_json_putp) struct json_object *array = NULL;
	int r = rh_docker_json_parse(data, data_size, json_type_array, &array);
	void *list = NULL;

	if (r < 0)
		return rh_trace(r);
	if (json_object_array_length(array) > RH_DOCKER_LIST_MAX)
		return rh_origin(-EPROTO);
	list = calloc(json_object_array_length(array) + 1, size);
	if (!list)
		return rh_origin(-ENOMEM);
	*ret_array = rh_steal(&array);
	*ret_list = list;
	return 0;
}

struct json_object *rh_docker_json_member(
	struct json_object *object, const char *key, enum json_type type)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(object, json_type_object) ||
		!json_object_object_get_ex(object, key, &value) ||
		!json_object_is_type(value, type))
		return NULL;
	return value;
}

const char *rh_docker_json_text(struct json_object *object, const char *key)
{
	struct json_object *value = rh_docker_json_member(object, key, json_type_string);

	return value ? json_object_get_string(value) : "";
}

int64_t rh_docker_json_number(struct json_object *object, const char *key)
{
	struct json_object *value = rh_docker_json_member(object, key, json_type_int);

	return value ? json_object_get_int64(value) : 0;
}

bool rh_docker_json_flag(struct json_object *object, const char *key)
{
	struct json_object *value = rh_docker_json_member(object, key, json_type_boolean);

	return value && json_object_get_boolean(value);
}

int64_t rh_docker_json_time_ms(struct json_object *object, const char *key)
{
	struct tm tm = {0};
	const char *rest = strptime(rh_docker_json_text(object, key), "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t ms = 0;

	if (!rest || tm.tm_year < 70) /* "0001-01-01T00:00:00Z" is never */
		return 0;
	if (*rest == '.') {
		for (int digit = 0, factor = 100; digit < 3; digit++, factor /= 10) {
			if (!isdigit((unsigned char)rest[1]))
				break;
			ms += (int64_t)(*++rest - '0') * factor;
		}
	}
	return (int64_t)timegm(&tm) * 1000 + ms;
}

int rh_docker_json_id(struct json_object *object, const char *key, char ret_id[RH_ENGINE_ID_SIZE])
{
	const char *text = rh_docker_json_text(object, key);
	size_t n = strspn(text, "0123456789abcdef");

	if (n != RH_ENGINE_ID_SIZE - 1 || text[n] != '\0')
		return rh_origin(-EPROTO);
	memcpy(ret_id, text, RH_ENGINE_ID_SIZE);
	return 0;
}
