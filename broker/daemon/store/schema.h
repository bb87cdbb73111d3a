/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * All SQL of the store.
 */

#include "broker/daemon/store/db.h"
#include "broker/daemon/store/record.h"

#define RH_SQL_MAX 4096

/**
 * rh_schema_migrate() - bring the file to the newest version, in one transaction
 *
 * Return: 0; -ENOTSUP if a newer broker made it; negative errno.
 */
int rh_schema_migrate(struct rh_db *db);
/* The newest version: what PRAGMA user_version says afterwards. */
int rh_schema_version(void);

/* The upsert (or insert) of a table with all its columns as parameters. */
void rh_sql_put(const struct rh_table *table, char ret_sql[RH_SQL_MAX]);
/* "SELECT <all columns><more> FROM <table> <rest>" */
void rh_sql_select(
	const struct rh_table *table, const char *more, const char *rest, char ret_sql[RH_SQL_MAX]);

/* What load.c, retain.c, write.c and query.c say. */
#define RH_SQL_OPEN_JOBS "WHERE state IN ('starting','running','ending') ORDER BY created_ms"
#define RH_SQL_OPEN_CONTAINERS \
	"WHERE state IN ('creating','warm','leased','stopping','failed') ORDER BY created_ms"

/* Writes a page of the file without changing anything: see write.c. */
void rh_sql_touch(char ret_sql[RH_SQL_MAX]);

#define RH_SQL_COUNT_ENDED "SELECT count(*) FROM jobs WHERE state='ended'"
#define RH_SQL_OLDEST_JOBS \
	"SELECT id,ended_ms FROM jobs WHERE state='ended' ORDER BY ended_ms LIMIT ?1"
#define RH_SQL_DELETE_STEPS      "DELETE FROM steps WHERE job=?1"
#define RH_SQL_DELETE_EVENTS     "DELETE FROM events WHERE job=?1"
#define RH_SQL_DELETE_CONTAINERS "DELETE FROM containers WHERE job=?1 AND state='removed'"
#define RH_SQL_DELETE_ISOLATION  "DELETE FROM isolation WHERE job=?1"
#define RH_SQL_DELETE_JOB        "DELETE FROM jobs WHERE id=?1"
/* Events of no job: beyond age, or so many that ids have moved on by ?2. The newest one stays. */
#define RH_SQL_DELETE_LOOSE_EVENTS                                                \
	"DELETE FROM events WHERE id IN (SELECT id FROM events WHERE job IS NULL" \
	" AND id<(SELECT max(id) FROM events)"                                    \
	" AND (time_ms<?1 OR id<(SELECT max(id) FROM events)-?2) ORDER BY id LIMIT ?3)"
#define RH_SQL_COUNT_REMOVED "SELECT count(*) FROM containers WHERE state='removed'"
#define RH_SQL_DELETE_LOOSE_CONTAINERS                                              \
	"DELETE FROM containers WHERE instance IN (SELECT instance FROM containers" \
	" WHERE state='removed' AND changed_ms<?1 ORDER BY changed_ms LIMIT ?2)"

#define RH_SQL_JOBS_WHERE                                                  \
	"WHERE (?1 IS NULL OR state=?1) AND (?2 IS NULL OR result=?2)"     \
	" AND (?3 IS NULL OR runner=?3) AND (?4 IS NULL OR repository=?4)" \
	" AND created_ms>=?5 ORDER BY created_ms DESC, id LIMIT ?6 OFFSET ?7"
#define RH_SQL_JOB_PREFIX      "SELECT id FROM jobs WHERE id BETWEEN ?1 AND ?2 LIMIT 2"
#define RH_SQL_JOB_WHERE       "WHERE id=?1"
#define RH_SQL_ISOLATION_WHERE "WHERE job=?1"
#define RH_SQL_STEPS_WHERE     "WHERE job=?1 ORDER BY step LIMIT ?2"
#define RH_SQL_CONTAINER_WHERE "WHERE job=?1 ORDER BY changed_ms DESC LIMIT 1"
#define RH_SQL_CONTAINERS_WHERE                                       \
	"WHERE (?1 IS NULL OR state=?1) AND (?2 OR state<>'removed')" \
	" ORDER BY created_ms DESC LIMIT ?3"
/* The newest of them, shown oldest first. ?1 is the job, ?2 the limit in all three. */
#define RH_SQL_EVENTS_WHERE \
	"WHERE id IN (SELECT id FROM events ORDER BY id DESC LIMIT ?2) ORDER BY id"
#define RH_SQL_EVENTS_OF_JOB_WHERE                        \
	"WHERE id IN (SELECT id FROM events WHERE job=?1" \
	" ORDER BY id DESC LIMIT ?2) ORDER BY id"
#define RH_SQL_EVENTS_SINCE_WHERE "WHERE id>?3 AND (?1 IS NULL OR job=?1) ORDER BY id LIMIT ?2"
#define RH_SQL_JOB_COUNTS         "SELECT state,result,count(*) FROM jobs GROUP BY state,result"
#define RH_SQL_CONTAINER_COUNTS   "SELECT state,count(*) FROM containers GROUP BY state"
