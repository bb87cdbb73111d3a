/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Queries for people, on the reading thread.
 */

#include "broker/daemon/store/query.h"

#include "broker/daemon/store/record.h"
#include "broker/daemon/store/schema.h"
#include "runnerhub/err.h"

enum statement {
	JOBS,
	JOB_PREFIX,
	JOB,
	STEPS,
	CONTAINER,
	CONTAINERS,
	EVENTS,
	EVENTS_OF_JOB,
	EVENTS_SINCE,
	JOB_COUNTS,
	CONTAINER_COUNTS,
	ISOLATION,
	N_STATEMENTS,
};

/* Without a table the text is the whole statement. */
static const struct {
	const struct rh_table *table;
	const char *more;
	const char *sql;
} statements[N_STATEMENTS] = {
	[JOBS] = {&rh_table_jobs, "", RH_SQL_JOBS_WHERE},
	[JOB_PREFIX] = {NULL, "", RH_SQL_JOB_PREFIX},
	[JOB] = {&rh_table_jobs, "", RH_SQL_JOB_WHERE},
	[STEPS] = {&rh_table_steps, "", RH_SQL_STEPS_WHERE},
	[CONTAINER] = {&rh_table_containers, "", RH_SQL_CONTAINER_WHERE},
	[CONTAINERS] = {&rh_table_containers, "", RH_SQL_CONTAINERS_WHERE},
	[EVENTS] = {&rh_table_events, ",id", RH_SQL_EVENTS_WHERE},
	[EVENTS_OF_JOB] = {&rh_table_events, ",id", RH_SQL_EVENTS_OF_JOB_WHERE},
	[EVENTS_SINCE] = {&rh_table_events, ",id", RH_SQL_EVENTS_SINCE_WHERE},
	[ISOLATION] = {&rh_table_isolation, "", RH_SQL_ISOLATION_WHERE},
	[JOB_COUNTS] = {NULL, "", RH_SQL_JOB_COUNTS},
	[CONTAINER_COUNTS] = {NULL, "", RH_SQL_CONTAINER_COUNTS},
};

struct rh_querier {
	struct rh_db *db;
	struct rh_stmt *stmts[N_STATEMENTS];
};

struct rh_querier *rh_querier_new(struct rh_db *db)
{
	struct rh_querier *querier = calloc(1, sizeof(*querier));

	if (querier)
		querier->db = db;
	return querier;
}

void rh_querier_free(struct rh_querier *querier)
{
	if (!querier)
		return;
	for (size_t i = 0; i < N_STATEMENTS; i++)
		rh_stmt_free(querier->stmts[i]);
	free(querier);
}

static int get(struct rh_querier *querier, enum statement which, struct rh_stmt **ret_stmt)
{
	char sql[RH_SQL_MAX];
	int r = 0;

	if (!querier->stmts[which]) {
		if (statements[which].table)
			rh_sql_select(statements[which].table, statements[which].more,
				statements[which].sql, sql);
		else
			(void)snprintf(sql, sizeof(sql), "%s", statements[which].sql);
		r = rh_db_prepare(querier->db, sql, &querier->stmts[which]);
	}
	*ret_stmt = querier->stmts[which];
	return rh_trace(r);
}

static int bind_text(struct rh_stmt *stmt, int at, const char *text)
{
	return *text ? rh_trace(rh_stmt_bind_text(stmt, at, text, strlen(text)))
		     : rh_trace(rh_stmt_bind_null(stmt, at));
}

static int bind_id(struct rh_stmt *stmt, int at, const struct rh_id *id)
{
	return rh_trace(rh_stmt_bind_blob(stmt, at, id, sizeof(*id)));
}

/* Events have a column behind the record's: their number. */
static int add_row(struct json_object *array, enum statement which, struct rh_stmt *stmt)
{
	_cleanup_(json_object_putp) struct json_object *object = json_object_new_object();
	const struct rh_table *table = statements[which].table;
	int r = object ? rh_record_to_json(table, stmt, object) : rh_origin(-ENOMEM);

	if (r == 0 && *statements[which].more)
		r = rh_json_put(
			object, "id", json_object_new_int64(rh_stmt_number(stmt, (int)table->n)));
	if (r == 0 && json_object_array_add(array, object) < 0)
		r = rh_origin(-ENOMEM);
	if (r == 0)
		(void)rh_steal(&object);
	return rh_trace(r);
}

/* Runs a bound statement (@r: what binding it gave) and resets it. */
static int list(enum statement which, struct rh_stmt *stmt, int r, struct json_object **ret_array)
{
	_cleanup_(json_object_putp) struct json_object *array = json_object_new_array();

	if (r == 0 && !array)
		r = rh_origin(-ENOMEM);
	while (r == 0 && (r = rh_stmt_step(stmt)) == RH_DB_ROW)
		r = add_row(array, which, stmt);
	rh_stmt_reset(stmt);
	if (r == 0)
		*ret_array = rh_steal(&array);
	return rh_trace(r);
}

static int query_jobs(
	struct rh_querier *querier, const struct rh_query *query, struct json_object **ret_data)
{
	struct rh_stmt *stmt = NULL;
	int r = get(querier, JOBS, &stmt);

	if (r < 0)
		return rh_trace(r);
	r = bind_text(stmt, 1, query->state);
	if (r == 0)
		r = bind_text(stmt, 2, query->result);
	if (r == 0)
		r = bind_text(stmt, 3, query->runner);
	if (r == 0)
		r = bind_text(stmt, 4, query->repository);
	if (r == 0)
		r = rh_stmt_bind_number(stmt, 5, query->since_ms);
	if (r == 0)
		r = rh_stmt_bind_number(stmt, 6, query->limit);
	if (r == 0)
		r = rh_stmt_bind_number(stmt, 7, query->offset);
	return rh_trace(list(JOBS, stmt, r, ret_data));
}

static int query_containers(
	struct rh_querier *querier, const struct rh_query *query, struct json_object **ret_data)
{
	struct rh_stmt *stmt = NULL;
	int r = get(querier, CONTAINERS, &stmt);

	if (r < 0)
		return rh_trace(r);
	r = bind_text(stmt, 1, query->state);
	/* Who asks for removed ones by that name means them. */
	if (r == 0)
		r = rh_stmt_bind_number(stmt, 2, query->all || *query->state);
	if (r == 0)
		r = rh_stmt_bind_number(stmt, 3, query->limit);
	return rh_trace(list(CONTAINERS, stmt, r, ret_data));
}

/* The id that begins with the digits. Return: 0; -ENOENT; -EEXIST. */
static int find_job(struct rh_querier *querier, const char *digits, struct rh_id *ret_id)
{
	char low[RH_ID_TEXT_SIZE];
	char high[RH_ID_TEXT_SIZE];
	struct rh_id ids[2] = {{{0}}};
	struct rh_stmt *stmt = NULL;
	int n = (int)strlen(digits);
	size_t n_found = 0;
	int r = get(querier, JOB_PREFIX, &stmt);

	(void)snprintf(
		low, sizeof(low), "%s%.*s", digits, 32 - n, "00000000000000000000000000000000");
	(void)snprintf(
		high, sizeof(high), "%s%.*s", digits, 32 - n, "ffffffffffffffffffffffffffffffff");
	if (r == 0)
		r = rh_id_parse(low, &ids[0]);
	if (r == 0)
		r = rh_id_parse(high, &ids[1]);
	if (r < 0)
		return rh_trace(r);
	r = bind_id(stmt, 1, &ids[0]);
	if (r == 0)
		r = bind_id(stmt, 2, &ids[1]);
	while (r == 0 && (r = rh_stmt_step(stmt)) == RH_DB_ROW) {
		size_t size = 0;
		const void *blob = rh_stmt_blob(stmt, 0, &size);

		r = 0;
		if (n_found++ == 0 && size == sizeof(*ret_id))
			memcpy(ret_id, blob, size);
	}
	rh_stmt_reset(stmt);
	if (r == 0 && n_found == 0)
		return rh_origin(-ENOENT);
	if (r == 0 && n_found > 1)
		return rh_origin(-EEXIST);
	return rh_trace(r);
}

/* Rows of @which that belong to a job, at most @limit. */
static int list_of_job(struct rh_querier *querier, enum statement which, const struct rh_id *job,
	int64_t limit, struct json_object **ret_data)
{
	struct rh_stmt *stmt = NULL;
	int r = get(querier, which, &stmt);

	if (r < 0)
		return rh_trace(r);
	r = bind_id(stmt, 1, job);
	if (r == 0 && limit > 0)
		r = rh_stmt_bind_number(stmt, 2, limit);
	return rh_trace(list(which, stmt, r, ret_data));
}

/* Adds a list under a key; with @single its only entry, or null. */
static int add_list(
	struct json_object *object, const char *key, struct json_object *array, bool single)
{
	struct json_object *first = NULL;

	if (!single)
		return rh_trace(rh_json_put(object, key, array));
	first = json_object_get(json_object_array_get_idx(array, 0));
	(void)json_object_put(array);
	if (json_object_object_add(object, key, first) == 0)
		return 0;
	(void)json_object_put(first);
	return rh_origin(-ENOMEM);
}

static int query_job(
	struct rh_querier *querier, const struct rh_query *query, struct json_object **ret_data)
{
	static const struct {
		enum statement which;
		const char *key;
		int64_t limit;
	} parts[] = {{STEPS, "steps", RH_QUERY_STEPS_MAX},
		{EVENTS_OF_JOB, "events", RH_QUERY_EVENTS_MAX}, {CONTAINER, "containerRecord", 0}};
	_cleanup_(json_object_putp) struct json_object *jobs = NULL;
	_cleanup_(json_object_putp) struct json_object *job = NULL;
	struct rh_id id = {0};
	int r = find_job(querier, query->id, &id);

	if (r == 0)
		r = list_of_job(querier, JOB, &id, 0, &jobs);
	if (r < 0)
		return rh_trace(r);
	job = json_object_get(json_object_array_get_idx(jobs, 0));
	if (!job)
		return rh_origin(-ENOENT); /* deleted in between */
	for (size_t i = 0; r == 0 && i < sizeof(parts) / sizeof(parts[0]); i++) {
		struct json_object *array = NULL;

		r = list_of_job(querier, parts[i].which, &id, parts[i].limit, &array);
		if (r == 0)
			r = add_list(job, parts[i].key, array, parts[i].limit == 0);
	}
	if (r == 0)
		*ret_data = rh_steal(&job);
	return rh_trace(r);
}

static int query_events(
	struct rh_querier *querier, const struct rh_query *query, struct json_object **ret_data)
{
	enum statement which = query->since_id >= 0 ? EVENTS_SINCE
		: *query->id                        ? EVENTS_OF_JOB
						    : EVENTS;
	struct rh_stmt *stmt = NULL;
	struct rh_id id = {0};
	int r = *query->id ? find_job(querier, query->id, &id) : 0;

	if (r == 0)
		r = get(querier, which, &stmt);
	if (r < 0)
		return rh_trace(r);
	if (*query->id)
		r = bind_id(stmt, 1, &id);
	if (r == 0)
		r = rh_stmt_bind_number(stmt, 2, query->limit);
	if (r == 0 && which == EVENTS_SINCE)
		r = rh_stmt_bind_number(stmt, 3, query->since_id);
	return rh_trace(list(which, stmt, r, ret_data));
}

static int query_isolation(
	struct rh_querier *querier, const struct rh_query *query, struct json_object **ret_data)
{
	_cleanup_(json_object_putp) struct json_object *rows = NULL;
	struct rh_id id = {0};
	int r = find_job(querier, query->id, &id);

	if (r == 0)
		r = list_of_job(querier, ISOLATION, &id, 0, &rows);
	if (r < 0)
		return rh_trace(r);
	/* A job that never had a container has nothing, and is no mistake. */
	*ret_data = json_object_array_length(rows) > 0
		? json_object_get(json_object_array_get_idx(rows, 0))
		: json_object_new_object();
	return 0;
}

static int add_count(struct json_object *object, const char *key, int64_t n)
{
	struct json_object *old = NULL;

	if (json_object_object_get_ex(object, key, &old))
		n += json_object_get_int64(old);
	return rh_trace(rh_json_put(object, key, json_object_new_int64(n)));
}

/* Sums under the first column's text, and with @n_columns == 3 under the second's too. */
static int count_rows(
	struct rh_querier *querier, enum statement which, int n_columns, struct json_object *object)
{
	struct rh_stmt *stmt = NULL;
	int r = get(querier, which, &stmt);

	if (r == 0)
		r = add_count(object, "total", 0);
	while (r == 0 && (r = rh_stmt_step(stmt)) == RH_DB_ROW) {
		int64_t n = rh_stmt_number(stmt, n_columns - 1);

		r = add_count(object, "total", n);
		for (int i = 0; r == 0 && i < n_columns - 1; i++)
			if (*rh_stmt_text(stmt, i))
				r = add_count(object, rh_stmt_text(stmt, i), n);
	}
	if (stmt)
		rh_stmt_reset(stmt);
	return rh_trace(r);
}

static int query_counts(struct rh_querier *querier, struct json_object **ret_data)
{
	_cleanup_(json_object_putp) struct json_object *data = json_object_new_object();
	struct json_object *jobs = json_object_new_object();
	struct json_object *containers = json_object_new_object();
	int r = data ? 0 : rh_origin(-ENOMEM);
	int r_jobs = r == 0 ? rh_json_put(data, "jobs", jobs) : r;
	int r_containers = r == 0 ? rh_json_put(data, "containers", containers) : r;

	for (int i = 0; rh_job_state_names[i] && r_jobs == 0; i++)
		r_jobs = add_count(jobs, rh_job_state_names[i], 0);
	for (int i = 1; rh_job_result_names[i] && r_jobs == 0; i++)
		r_jobs = add_count(jobs, rh_job_result_names[i], 0);
	if (r_jobs == 0)
		r_jobs = count_rows(querier, JOB_COUNTS, 3, jobs);
	if (r_containers == 0)
		r_containers = count_rows(querier, CONTAINER_COUNTS, 2, containers);
	r = r_jobs < 0 ? r_jobs : r_containers;
	if (r == 0)
		*ret_data = rh_steal(&data);
	return rh_trace(r);
}

int rh_querier_run(
	struct rh_querier *querier, const struct rh_query *query, struct json_object **ret_data)
{
	switch (query->kind) {
	case RH_QUERY_JOBS:
		return rh_trace(query_jobs(querier, query, ret_data));
	case RH_QUERY_JOB:
		return rh_trace(query_job(querier, query, ret_data));
	case RH_QUERY_CONTAINERS:
		return rh_trace(query_containers(querier, query, ret_data));
	case RH_QUERY_EVENTS:
		return rh_trace(query_events(querier, query, ret_data));
	case RH_QUERY_ISOLATION:
		return rh_trace(query_isolation(querier, query, ret_data));
	case RH_QUERY_COUNTS:
		return rh_trace(query_counts(querier, ret_data));
	default:
		return rh_origin(-EINVAL);
	}
}
