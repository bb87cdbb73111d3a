/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * json-c with fewer words. Workflows, contexts and environments of the stand-in are json objects;
 * NULL is null. "key" names a member; a missing object or member reads as null.
 */

#include <json-c/json.h>
#include <stdbool.h>

#include "runnerhub/cleanup.h"

static inline void rh_json_putp(struct json_object **object)
{
	(void)json_object_put(*object);
}

/* Borrowed member, or NULL. */
struct json_object *rh_json_get(struct json_object *object, const char *key);
/* The same, whatever the case of its letters. */
struct json_object *rh_json_get_nocase(struct json_object *object, const char *key);
/* Borrowed string of a member that is a string, else "otherwise". */
const char *rh_json_str(struct json_object *object, const char *key, const char *otherwise);
bool rh_json_has(struct json_object *object, const char *key);
bool rh_json_is(struct json_object *object, enum json_type type);
/* Elements of an array; 0 of anything else. */
size_t rh_json_len(struct json_object *array);

/* Sets a member. _set consumes the value, _set_str copies, _set_ref takes a reference. */
void rh_json_set(struct json_object *object, const char *key, struct json_object *value);
void rh_json_set_str(struct json_object *object, const char *key, const char *value);
void rh_json_set_ref(struct json_object *object, const char *key, struct json_object *value);
/* Sets in "into" a reference to every member of "from". */
void rh_json_merge(struct json_object *into, struct json_object *from);
struct json_object *rh_json_copy(struct json_object *object);
/* Parses a whole text. Return: new reference, or NULL if it is not JSON. */
struct json_object *rh_json_parse(const char *text);
