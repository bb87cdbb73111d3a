/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Rows as JSON for people: camelCase fields, ids as hex.
 */

#include "broker/daemon/store/record.h"
#include "runnerhub/err.h"

int rh_json_put(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && json_object_object_add(object, key, value) == 0)
		return 0;
	(void)json_object_put(value);
	return rh_origin(-ENOMEM);
}

static void camel_case(const char *name, char *ret_text, size_t size)
{
	size_t n = 0;

	for (const char *p = name; *p && n + 1 < size; p++) {
		if (*p == '_' && p[1] >= 'a' && p[1] <= 'z')
			ret_text[n++] = (char)(*++p - 'a' + 'A');
		else
			ret_text[n++] = *p;
	}
	ret_text[n] = '\0';
}

static struct json_object *value_of(const struct rh_column *column, struct rh_stmt *stmt, int at)
{
	char text[RH_ID_TEXT_SIZE] = "";
	struct rh_id id = {0};
	const void *blob = NULL;
	size_t size = 0;

	switch (column->kind) {
	case RH_COLUMN_ID:
		blob = rh_stmt_blob(stmt, at, &size);
		if (size == sizeof(id)) {
			memcpy(&id, blob, size);
			rh_id_format(&id, text);
		}
		return json_object_new_string(text);
	case RH_COLUMN_LONG:
		return json_tokener_parse(rh_stmt_text(stmt, at));
	case RH_COLUMN_TEXT:
	case RH_COLUMN_NAME:
		return json_object_new_string(rh_stmt_text(stmt, at));
	case RH_COLUMN_BOOL:
		return json_object_new_boolean(rh_stmt_number(stmt, at) != 0);
	default:
		return json_object_new_int64(rh_stmt_number(stmt, at));
	}
}

int rh_record_to_json(
	const struct rh_table *table, struct rh_stmt *stmt, struct json_object *object)
{
	for (size_t i = 0; i < table->n; i++) {
		char key[64];

		camel_case(table->columns[i].name, key, sizeof(key));
		int r = rh_json_put(object, key, value_of(&table->columns[i], stmt, (int)i));

		if (r < 0)
			return rh_trace(r);
	}
	return 0;
}
