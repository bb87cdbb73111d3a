/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * JSON from the engine: parsed strictly, looked into without trust. Objects may be NULL.
 */

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/daemon/engine/engine.h"

/* For _cleanup_(). */
static inline void rh_docker_json_putp(struct json_object **object)
{
	(void)json_object_put(*object);
}

/* A whole document of the given type. Return: 0; -EPROTO; -ENOMEM. */
int rh_docker_json_parse(
	const char *data, size_t size, enum json_type type, struct json_object **ret_object);
/*
 * A whole array of at most RH_DOCKER_LIST_MAX, and room for what @size bytes an element become.
 * @ret_list: zeroed, at least one; freed by the caller. Return: 0; -EPROTO; -ENOMEM.
 */
int rh_docker_json_list(const char *data, size_t data_size, size_t size,
	struct json_object **ret_array, void **ret_list);
#define RH_DOCKER_LIST_MAX 4096u /* containers of ours on one host, or networks */
/* A member of the given type, or NULL. */
struct json_object *rh_docker_json_member(
	struct json_object *object, const char *key, enum json_type type);
/* "", 0 and false where there is none of that type. */
const char *rh_docker_json_text(struct json_object *object, const char *key);
int64_t rh_docker_json_number(struct json_object *object, const char *key);
bool rh_docker_json_flag(struct json_object *object, const char *key);
/*
 * RFC 3339 with any number of decimals, in UTC, as Docker writes it of containers; those of
 * networks may be in its own zone, and are for comparing. 0: no time, or never.
 */
int64_t rh_docker_json_time_ms(struct json_object *object, const char *key);
/* Return: 0; -EPROTO: it does not look like an identifier. */
int rh_docker_json_id(struct json_object *object, const char *key, char ret_id[RH_ENGINE_ID_SIZE]);
