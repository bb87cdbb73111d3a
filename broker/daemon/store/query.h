/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Queries for people: arguments checked, rows turned into JSON.
 */

#include "broker/daemon/store/db.h"
#include "broker/daemon/store/store.h"

#define RH_QUERY_ROWS_MAX   1000
#define RH_QUERY_STEPS_MAX  2000
#define RH_QUERY_EVENTS_MAX 500

enum rh_query_kind {
	RH_QUERY_JOBS,
	RH_QUERY_JOB,
	RH_QUERY_CONTAINERS,
	RH_QUERY_EVENTS,
	RH_QUERY_COUNTS,
	RH_QUERY_ISOLATION,
};

struct rh_query {
	enum rh_query_kind kind;
	int64_t limit;
	int64_t offset;
	int64_t since_ms;
	int64_t since_id; /* -1: the newest */
	bool all;
	/* "": any. */
	char state[16];
	char result[16];
	char runner[RH_STORE_TEXT_MAX + 1];
	char repository[RH_STORE_TEXT_MAX + 1];
	char id[RH_ID_TEXT_SIZE]; /* hex digits, the beginning of an id or all of it */
};

/* Context: any thread. Return: 0; -EINVAL (unknown query or argument, wrong type or range). */
int rh_query_parse(const char *name, struct json_object *args, struct rh_query *ret_query);

/* Statements, prepared when they are first needed. */
struct rh_querier;
/* @db is borrowed. Return: NULL if out of memory. */
struct rh_querier *rh_querier_new(struct rh_db *db);
void rh_querier_free(struct rh_querier *querier);
RH_DEFINE_CLEANUP(struct rh_querier *, rh_querier_free);

/**
 * rh_querier_run() - answer a query
 * @ret_data: an array or object, to be put
 *
 * Context: the thread of the connection. Return: 0; -ENOENT; -EEXIST (a prefix of several ids);
 * negative errno.
 */
int rh_querier_run(
	struct rh_querier *querier, const struct rh_query *query, struct json_object **ret_data);
