/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Arguments of queries. They come from whoever may use the control socket: names, types and ranges
 * are checked, and what is not known is refused.
 */

#include "broker/daemon/store/query.h"
#include "broker/daemon/store/record.h"
#include "runnerhub/err.h"

enum { JOBS = 1, JOB = 2, CONTAINERS = 4, EVENTS = 8, COUNTS = 16, ISOLATION = 32 };

/* Index: enum rh_query_kind. The limit is what is given without one. */
static const struct {
	const char *name;
	int64_t limit;
} kinds[] = {{"jobs", 20}, {"job", 1}, {"containers", RH_QUERY_ROWS_MAX}, {"events", 100},
	{"counts", 1}, {"isolation", 1}};

enum type { NUMBER, TEXT, BOOLEAN };

static const struct {
	const char *name;
	unsigned kinds; /* of the queries that take it */
	enum type type;
	size_t offset;
	size_t size; /* of a text's buffer */
	int64_t min;
	int64_t max;
} rows[] = {
#define FIELD(field)  .offset = offsetof(struct rh_query, field)
#define BUFFER(field) FIELD(field), .size = sizeof(((struct rh_query *)NULL)->field)
	{"limit", JOBS | EVENTS | CONTAINERS, NUMBER, FIELD(limit), .min = 1,
		.max = RH_QUERY_ROWS_MAX},
	{"offset", JOBS, NUMBER, FIELD(offset), .max = INT64_MAX},
	{"since_ms", JOBS, NUMBER, FIELD(since_ms), .max = INT64_MAX},
	{"since_id", EVENTS, NUMBER, FIELD(since_id), .max = INT64_MAX},
	{"all", CONTAINERS, BOOLEAN, FIELD(all)},
	{"state", JOBS | CONTAINERS, TEXT, BUFFER(state)},
	{"result", JOBS, TEXT, BUFFER(result)},
	{"runner", JOBS, TEXT, BUFFER(runner)},
	{"repository", JOBS, TEXT, BUFFER(repository)},
	{"id", JOB | ISOLATION, TEXT, BUFFER(id)},
	{"job", EVENTS, TEXT, BUFFER(id)},
#undef BUFFER
#undef FIELD
};

static int set(size_t i, struct json_object *value, struct rh_query *query)
{
	void *p = (void *)((uintptr_t)query + rows[i].offset);
	int64_t number = 0;

	switch (rows[i].type) {
	case NUMBER:
		if (!json_object_is_type(value, json_type_int))
			return rh_origin(-EINVAL);
		number = json_object_get_int64(value);
		if (number < rows[i].min || number > rows[i].max)
			return rh_origin(-EINVAL);
		*(int64_t *)p = number;
		return 0;
	case BOOLEAN:
		if (!json_object_is_type(value, json_type_boolean))
			return rh_origin(-EINVAL);
		*(bool *)p = json_object_get_boolean(value);
		return 0;
	case TEXT:
	default:
		if (!json_object_is_type(value, json_type_string) ||
			(size_t)json_object_get_string_len(value) >= rows[i].size)
			return rh_origin(-EINVAL);
		(void)snprintf(p, rows[i].size, "%s", json_object_get_string(value));
		return 0;
	}
}

static int set_by_name(const char *name, struct json_object *value, struct rh_query *query)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].name, name) != 0 || !(rows[i].kinds & 1u << query->kind))
			continue;
		/* null is as if it were not there. */
		return value ? rh_trace(set(i, value, query)) : 0;
	}
	return rh_origin(-EINVAL);
}

static int check(const struct rh_query *query)
{
	static const char hex[] = "0123456789abcdefABCDEF";

	if (strspn(query->id, hex) != strlen(query->id))
		return rh_origin(-EINVAL);
	if ((kinds[query->kind].limit == 1 && query->kind != RH_QUERY_COUNTS) && !*query->id)
		return rh_origin(-EINVAL);
	if (query->kind != RH_QUERY_JOBS)
		return 0;
	if (*query->state && rh_name_find(rh_job_state_names, query->state) < 0)
		return rh_origin(-EINVAL);
	if (*query->result && rh_name_find(rh_job_result_names, query->result) < 0)
		return rh_origin(-EINVAL);
	return 0;
}

int rh_query_parse(const char *name, struct json_object *args, struct rh_query *ret_query)
{
	struct rh_query query = {.since_id = -1};
	size_t i = 0;

	while (i < sizeof(kinds) / sizeof(kinds[0]) && strcmp(kinds[i].name, name) != 0)
		i++;
	if (i == sizeof(kinds) / sizeof(kinds[0]))
		return rh_origin(-EINVAL);
	query.kind = (enum rh_query_kind)i;
	query.limit = kinds[i].limit;
	if (args && !json_object_is_type(args, json_type_object))
		return rh_origin(-EINVAL);
	if (args) {
		struct json_object_iterator it = json_object_iter_begin(args);
		struct json_object_iterator end = json_object_iter_end(args);

		for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
			int r = set_by_name(json_object_iter_peek_name(&it),
				json_object_iter_peek_value(&it), &query);

			if (r < 0)
				return rh_trace(r);
		}
	}
	int r = check(&query);

	if (r < 0)
		return rh_trace(r);
	*ret_query = query;
	return 0;
}
