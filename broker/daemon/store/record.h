/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Records (the structures of store.h) and columns, joined by tables: one row per column says its
 * name, where it is in the structure and what it is. Copying, binding, reading back and JSON all
 * follow the table.
 */

#include <json-c/json.h>

#include "broker/daemon/store/db.h"
#include "broker/daemon/store/store.h"

enum rh_column_kind {
	RH_COLUMN_ID, /* struct rh_id; NULL if it is null */
	RH_COLUMN_TEXT, /* const char *, valid UTF-8, at most RH_STORE_TEXT_MAX */
	RH_COLUMN_LONG, /* the same, at most RH_STORE_LONG_MAX; JSON in JSON */
	RH_COLUMN_NAME, /* enum; its name */
	RH_COLUMN_INT64,
	RH_COLUMN_UINT64,
	RH_COLUMN_INT32,
	RH_COLUMN_UINT32,
	RH_COLUMN_BOOL,
};

struct rh_column {
	const char *name; /* snake_case; camelCase in JSON */
	const char *const *names; /* of an enum, NULL-terminated */
	size_t offset;
	enum rh_column_kind kind;
	bool keep; /* an empty value does not replace what is stored */
};

struct rh_table {
	const char *name;
	const struct rh_column *columns;
	size_t n;
	size_t n_key; /* the first columns are the key; 0: rows are only added */
	size_t record_size;
};

extern const struct rh_table rh_table_jobs;
extern const struct rh_table rh_table_steps;
extern const struct rh_table rh_table_containers;
extern const struct rh_table rh_table_events;
extern const struct rh_table rh_table_isolation;

extern const char *const rh_job_state_names[];
extern const char *const rh_job_result_names[];

/* A copy of a record that another thread may use. */
struct rh_row;

/* Return: NULL if out of memory. */
struct rh_row *rh_row_new(const struct rh_table *table, const void *record);
void rh_row_free(struct rh_row *row);
size_t rh_row_size(const struct rh_row *row); /* bytes of memory */
const struct rh_table *rh_row_table(const struct rh_row *row);
/* Binds all columns in their order. Return: 0; negative errno. */
int rh_row_bind(const struct rh_row *row, struct rh_stmt *stmt);

/**
 * rh_record_read() - the statement's columns, from the first, into a record with owned strings
 *
 * Return: 0; -ENOMEM, with what was read so far: rh_record_deinit() is owed either way.
 */
int rh_record_read(const struct rh_table *table, struct rh_stmt *stmt, void *record);
void rh_record_deinit(const struct rh_table *table, void *record);

/* Adds the statement's columns to @object. Return: 0; -ENOMEM. */
int rh_record_to_json(
	const struct rh_table *table, struct rh_stmt *stmt, struct json_object *object);

/* Index of @name among @names, or -1. */
int rh_name_find(const char *const *names, const char *name);

static inline void json_object_putp(struct json_object **object)
{
	(void)json_object_put(*object);
}

/* Adds a value under a key, consuming it; NULL is out of memory. Return: 0; -ENOMEM. */
int rh_json_put(struct json_object *object, const char *key, struct json_object *value);
