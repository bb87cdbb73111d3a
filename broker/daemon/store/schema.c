/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The schema and its migrations; statements made from the column tables.
 *
 * A migration, once released, is never edited: the next one changes what it made. There are no
 * foreign keys on purpose: a step whose job is not there (a store that was set aside while jobs
 * ran) is worth keeping, and rows are deleted by retain.c together.
 */

#include "broker/daemon/store/schema.h"

#include "runnerhub/err.h"

static const char version_1[] =
	"CREATE TABLE jobs("
	" id BLOB NOT NULL UNIQUE CHECK(length(id)=16),"
	" state TEXT NOT NULL, result TEXT NOT NULL, runner TEXT NOT NULL, profile TEXT NOT NULL,"
	" repository TEXT NOT NULL, workflow TEXT NOT NULL, job_key TEXT NOT NULL,"
	" run_id TEXT NOT NULL, run_attempt TEXT NOT NULL, ref TEXT NOT NULL, sha TEXT NOT NULL,"
	" actor TEXT NOT NULL, event_name TEXT NOT NULL, container TEXT NOT NULL,"
	" workspace TEXT NOT NULL, reason TEXT NOT NULL, worker_pid INTEGER NOT NULL,"
	" worker_start INTEGER NOT NULL, created_ms INTEGER NOT NULL, leased_ms INTEGER NOT NULL,"
	" ended_ms INTEGER NOT NULL, start_us INTEGER NOT NULL, cold INTEGER NOT NULL"
	") STRICT;"
	"CREATE INDEX jobs_state ON jobs(state,result);"
	"CREATE INDEX jobs_created ON jobs(created_ms);"
	"CREATE INDEX jobs_ended ON jobs(ended_ms) WHERE state='ended';"
	"CREATE TABLE steps("
	" job BLOB NOT NULL CHECK(length(job)=16), step INTEGER NOT NULL,"
	" program TEXT NOT NULL, label TEXT NOT NULL, started_ms INTEGER NOT NULL,"
	" ended_ms INTEGER NOT NULL, exit_code INTEGER NOT NULL, signal INTEGER NOT NULL,"
	" flags INTEGER NOT NULL, wall_us INTEGER NOT NULL, user_us INTEGER NOT NULL,"
	" sys_us INTEGER NOT NULL, peak_rss_kib INTEGER NOT NULL,"
	" PRIMARY KEY(job,step)"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE containers("
	" instance BLOB NOT NULL UNIQUE CHECK(length(instance)=16),"
	" engine_id TEXT NOT NULL, profile TEXT NOT NULL, image TEXT NOT NULL,"
	" state TEXT NOT NULL, reason TEXT NOT NULL, job BLOB,"
	" created_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL"
	") STRICT;"
	"CREATE INDEX containers_state ON containers(state,changed_ms);"
	"CREATE INDEX containers_job ON containers(job) WHERE job IS NOT NULL;"
	"CREATE TABLE events("
	" id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, kind TEXT NOT NULL,"
	" job BLOB, container BLOB, message TEXT NOT NULL"
	") STRICT;"
	"CREATE INDEX events_job ON events(job) WHERE job IS NOT NULL;"
	"CREATE INDEX events_loose ON events(id) WHERE job IS NULL;";

static const char version_2[] =
	"CREATE TABLE isolation("
	" job BLOB NOT NULL UNIQUE CHECK(length(job)=16), taken_ms INTEGER NOT NULL,"
	" verdict TEXT NOT NULL, data TEXT NOT NULL"
	") STRICT;";

/* migrations[i] leads from version i to i + 1. */
static const char *const migrations[] = {version_1, version_2};

int rh_schema_version(void)
{
	return (int)(sizeof(migrations) / sizeof(migrations[0]));
}

void rh_sql_touch(char ret_sql[RH_SQL_MAX])
{
	(void)snprintf(ret_sql, RH_SQL_MAX, "PRAGMA user_version=%d", rh_schema_version());
}

static int run_migrations(struct rh_db *db)
{
	char sql[RH_SQL_MAX];
	int64_t version = 0;
	int r = rh_db_number(db, "PRAGMA user_version", &version);

	if (r == 0 && (version < 0 || version > rh_schema_version()))
		return rh_origin(-ENOTSUP);
	if (r < 0 || version == rh_schema_version())
		return rh_trace(r);
	for (; r == 0 && version < rh_schema_version(); version++)
		r = rh_db_exec(db, migrations[version]);
	rh_sql_touch(sql);
	if (r == 0)
		r = rh_db_exec(db, sql);
	return rh_trace(r);
}

int rh_schema_migrate(struct rh_db *db)
{
	int r = rh_db_exec(db, "BEGIN IMMEDIATE");

	if (r == 0)
		r = run_migrations(db);
	if (r == 0)
		r = rh_db_exec(db, "COMMIT");
	if (r < 0)
		rh_db_rollback(db);
	return rh_trace(r);
}

/* A bounded sprintf that appends. The tables are ours: what they make fits. */
_printf_(2, 3) static void append(char *sql, const char *fmt, ...)
{
	size_t n = strlen(sql);
	va_list ap;

	va_start(ap, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above; it is not seen */
	(void)vsnprintf(sql + n, RH_SQL_MAX - n, fmt, ap);
	va_end(ap);
}

static void append_columns(const struct rh_table *table, char *sql)
{
	for (size_t i = 0; i < table->n; i++)
		append(sql, "%s%s", i ? "," : "", table->columns[i].name);
}

void rh_sql_put(const struct rh_table *table, char ret_sql[RH_SQL_MAX])
{
	ret_sql[0] = '\0';
	append(ret_sql, "INSERT INTO %s(", table->name);
	append_columns(table, ret_sql);
	append(ret_sql, ") VALUES(");
	for (size_t i = 0; i < table->n; i++)
		append(ret_sql, "%s?%zu", i ? "," : "", i + 1);
	append(ret_sql, ")");
	for (size_t i = 0; i < table->n_key; i++)
		append(ret_sql, "%s%s", i ? "," : " ON CONFLICT(", table->columns[i].name);
	if (table->n_key > 0)
		append(ret_sql, ") DO UPDATE SET ");
	for (size_t i = table->n_key; table->n_key > 0 && i < table->n; i++) {
		const struct rh_column *column = &table->columns[i];
		const char *name = column->name;
		const char *comma = i > table->n_key ? "," : "";

		if (!column->keep)
			append(ret_sql, "%s%s=excluded.%s", comma, name, name);
		else if (column->kind == RH_COLUMN_ID)
			append(ret_sql, "%s%s=coalesce(excluded.%s,%s)", comma, name, name, name);
		else
			append(ret_sql, "%s%s=coalesce(nullif(excluded.%s,%s),%s)", comma, name,
				name, column->kind == RH_COLUMN_TEXT ? "''" : "0", name);
	}
}

void rh_sql_select(
	const struct rh_table *table, const char *more, const char *rest, char ret_sql[RH_SQL_MAX])
{
	ret_sql[0] = '\0';
	append(ret_sql, "SELECT ");
	append_columns(table, ret_sql);
	append(ret_sql, "%s FROM %s %s", more, table->name, rest);
}
