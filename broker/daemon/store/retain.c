/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Retention: ended jobs with their steps, events and containers, oldest first; then events and
 * containers that belong to no job.
 *
 * One run deletes so little that a lease that comes in the middle of it does not notice.
 */

#include "broker/daemon/store/retain.h"

#include "broker/daemon/store/schema.h"
#include "runnerhub/clock.h"
#include "runnerhub/err.h"

#define JOBS_AT_ONCE 8
#define ROWS_AT_ONCE 64
/* Per job that may be kept. */
#define LOOSE_EVENTS     20
#define LOOSE_CONTAINERS 2

enum {
	COUNT_ENDED,
	OLDEST_JOBS,
	DELETE_STEPS,
	DELETE_EVENTS,
	DELETE_CONTAINERS,
	DELETE_ISOLATION,
	DELETE_JOB,
	DELETE_LOOSE_EVENTS,
	COUNT_REMOVED,
	DELETE_LOOSE_CONTAINERS,
	N_STMTS,
};

static const char loose_events[] = RH_SQL_DELETE_LOOSE_EVENTS;
static const char loose_containers[] = RH_SQL_DELETE_LOOSE_CONTAINERS;

static const char *const sqls[N_STMTS] = {
	[COUNT_ENDED] = RH_SQL_COUNT_ENDED,
	[OLDEST_JOBS] = RH_SQL_OLDEST_JOBS,
	[DELETE_STEPS] = RH_SQL_DELETE_STEPS,
	[DELETE_EVENTS] = RH_SQL_DELETE_EVENTS,
	[DELETE_CONTAINERS] = RH_SQL_DELETE_CONTAINERS,
	[DELETE_ISOLATION] = RH_SQL_DELETE_ISOLATION,
	[DELETE_JOB] = RH_SQL_DELETE_JOB,
	[DELETE_LOOSE_EVENTS] = loose_events,
	[COUNT_REMOVED] = RH_SQL_COUNT_REMOVED,
	[DELETE_LOOSE_CONTAINERS] = loose_containers,
};

struct rh_retainer {
	struct rh_db *db;
	struct rh_stmt *stmts[N_STMTS];
};

int rh_retainer_new(struct rh_db *db, struct rh_retainer **ret_retainer)
{
	_cleanup_(rh_retainer_freep) struct rh_retainer *retainer = calloc(1, sizeof(*retainer));

	if (!retainer)
		return rh_origin(-ENOMEM);
	retainer->db = db;
	for (size_t i = 0; i < N_STMTS; i++) {
		int r = rh_db_prepare(db, sqls[i], &retainer->stmts[i]);

		if (r < 0)
			return rh_trace(r);
	}
	*ret_retainer = rh_steal(&retainer);
	return 0;
}

void rh_retainer_free(struct rh_retainer *retainer)
{
	if (!retainer)
		return;
	for (size_t i = 0; i < N_STMTS; i++)
		rh_stmt_free(retainer->stmts[i]);
	free(retainer);
}

/* Runs a statement with up to three numbers. Return: 0; negative errno. */
static int run(struct rh_stmt *stmt, const int64_t *numbers, int n)
{
	int r = 0;

	for (int i = 0; r == 0 && i < n; i++)
		r = rh_stmt_bind_number(stmt, i + 1, numbers[i]);
	if (r == 0)
		r = rh_stmt_step(stmt);
	rh_stmt_reset(stmt);
	return r < 0 ? rh_trace(r) : 0;
}

static int count(struct rh_stmt *stmt, int64_t *ret_count)
{
	int r = rh_stmt_step(stmt);

	if (r == RH_DB_ROW)
		*ret_count = rh_stmt_number(stmt, 0);
	rh_stmt_reset(stmt);
	return r < 0 ? rh_trace(r) : 0;
}

static int delete_job(struct rh_retainer *retainer, const struct rh_id *id)
{
	int r = 0;

	for (int i = DELETE_STEPS; r == 0 && i <= DELETE_JOB; i++) {
		r = rh_stmt_bind_blob(retainer->stmts[i], 1, id, sizeof(*id));
		if (r == 0)
			r = rh_stmt_step(retainer->stmts[i]);
		rh_stmt_reset(retainer->stmts[i]);
	}
	return rh_trace(r);
}

/* The oldest ended jobs that are beyond age, or among the @n_over that are beyond count. */
static int find_jobs(struct rh_retainer *retainer, int64_t cutoff_ms, int64_t n_over,
	struct rh_id *ids, size_t *ret_n)
{
	struct rh_stmt *stmt = retainer->stmts[OLDEST_JOBS];
	size_t n = 0;
	int r = rh_stmt_bind_number(stmt, 1, JOBS_AT_ONCE);

	while (r == 0 && (r = rh_stmt_step(stmt)) == RH_DB_ROW) {
		size_t size = 0;
		const void *blob = rh_stmt_blob(stmt, 0, &size);

		r = 0;
		if (size != sizeof(ids[n]) ||
			(rh_stmt_number(stmt, 1) >= cutoff_ms && (int64_t)n >= n_over))
			break;
		memcpy(&ids[n++], blob, size);
	}
	rh_stmt_reset(stmt);
	*ret_n = n;
	return rh_trace(r);
}

static int delete_jobs(
	struct rh_retainer *retainer, const struct rh_retain *what, int64_t cutoff_ms)
{
	struct rh_id ids[JOBS_AT_ONCE];
	int64_t n_ended = 0;
	size_t n = 0;
	int r = count(retainer->stmts[COUNT_ENDED], &n_ended);

	if (r == 0)
		r = find_jobs(retainer, cutoff_ms, n_ended - (int64_t)what->keep_jobs, ids, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = delete_job(retainer, &ids[i]);
	return rh_trace(r);
}

/* Removed ones, of jobs or not: beyond count whatever their age, then beyond age. */
static int delete_containers(
	struct rh_retainer *retainer, const struct rh_retain *what, int64_t cutoff_ms)
{
	struct rh_stmt *stmt = retainer->stmts[DELETE_LOOSE_CONTAINERS];
	int64_t n_removed = 0;
	int64_t n_over = 0;
	int r = count(retainer->stmts[COUNT_REMOVED], &n_removed);

	n_over = n_removed - (int64_t)what->keep_jobs * LOOSE_CONTAINERS;
	n_over = n_over > ROWS_AT_ONCE ? ROWS_AT_ONCE : n_over;
	if (r == 0 && n_over > 0)
		r = run(stmt, (const int64_t[]){INT64_MAX, n_over}, 2);
	if (r == 0)
		r = run(stmt, (const int64_t[]){cutoff_ms, ROWS_AT_ONCE}, 2);
	return rh_trace(r);
}

int rh_retainer_run(struct rh_retainer *retainer, const struct rh_retain *what, bool *ret_more)
{
	int64_t now_ms = rh_wall_ms();
	int64_t keep_ms = what->keep_ms < INT64_MAX / 2 ? (int64_t)what->keep_ms : INT64_MAX / 2;
	int64_t cutoff_ms = now_ms - keep_ms;
	int64_t before = rh_db_changes(retainer->db);
	int r = delete_jobs(retainer, what, cutoff_ms);

	if (r == 0)
		r = run(retainer->stmts[DELETE_LOOSE_EVENTS],
			(const int64_t[]){
				cutoff_ms, (int64_t)what->keep_jobs * LOOSE_EVENTS, ROWS_AT_ONCE},
			3);
	if (r == 0)
		r = delete_containers(retainer, what, cutoff_ms);
	*ret_more = r == 0 && rh_db_changes(retainer->db) != before;
	return rh_trace(r);
}
