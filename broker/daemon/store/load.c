/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Open jobs and containers, read at start.
 */

#include "broker/daemon/store/load.h"

#include "broker/daemon/store/record.h"
#include "broker/daemon/store/schema.h"
#include "runnerhub/err.h"

RH_DEFINE_CLEANUP(struct rh_store_open *, rh_store_open_free);

void rh_store_open_free(struct rh_store_open *open)
{
	if (!open)
		return;
	for (size_t i = 0; i < open->n_jobs; i++)
		rh_record_deinit(&rh_table_jobs, &open->jobs[i]);
	for (size_t i = 0; i < open->n_containers; i++)
		rh_record_deinit(&rh_table_containers, &open->containers[i]);
	free(open->jobs);
	free(open->containers);
	free(open);
}

/* Grows *records by one zeroed record. Return: 0; -ENOMEM. */
static int grow(void **records, size_t n, size_t size, void **ret_record)
{
	char *grown = reallocarray(*records, n + 1, size);

	if (!grown)
		return rh_origin(-ENOMEM);
	*records = grown;
	*ret_record = grown + n * size;
	memset(*ret_record, 0, size); /* of a type that only the table knows */
	return 0;
}

static int load(struct rh_db *db, const struct rh_table *table, const char *where, void **records,
	size_t *n)
{
	_cleanup_(rh_stmt_freep) struct rh_stmt *stmt = NULL;
	char sql[RH_SQL_MAX];

	rh_sql_select(table, "", where, sql);
	int r = rh_db_prepare(db, sql, &stmt);

	while (r == 0 && (r = rh_stmt_step(stmt)) == RH_DB_ROW) {
		void *record = NULL;

		r = grow(records, *n, table->record_size, &record);
		if (r < 0)
			break;
		(*n)++;
		r = rh_record_read(table, stmt, record);
	}
	return rh_trace(r);
}

int rh_store_load(struct rh_db *db, struct rh_store_open **ret_open)
{
	_cleanup_(rh_store_open_freep) struct rh_store_open *open = calloc(1, sizeof(*open));
	void *jobs = NULL;
	void *containers = NULL;

	if (!open)
		return rh_origin(-ENOMEM);
	int r = load(db, &rh_table_jobs, RH_SQL_OPEN_JOBS, &jobs, &open->n_jobs);

	open->jobs = jobs;
	if (r == 0)
		r = load(db, &rh_table_containers, RH_SQL_OPEN_CONTAINERS, &containers,
			&open->n_containers);
	open->containers = containers;
	if (r < 0)
		return rh_trace(r);
	*ret_open = rh_steal(&open);
	return 0;
}
