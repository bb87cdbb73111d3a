/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The one file that includes SQLite's header.
 */

#include "broker/daemon/store/db.h"

#include <sqlite3.h>

#include "runnerhub/clock.h"
#include "runnerhub/err.h"

/* Virtual machine instructions between two looks at the clock. */
#define PROGRESS_STEPS 10000

struct rh_db {
	sqlite3 *sqlite;
	int wal_pages;
	int64_t deadline_ms;
};

/*
 * WAL lets reading and writing happen at once; NORMAL syncs at checkpoints alone, so that a commit
 * costs two writes and no wait: a crash of ours loses nothing, a power cut the last commits at
 * most. Page caches are small, because the broker is (DESIGN, section 9).
 */
static const char setup_sql[] = "PRAGMA journal_mode=WAL;"
				"PRAGMA synchronous=NORMAL;"
				"PRAGMA wal_autocheckpoint=0;"
				"PRAGMA journal_size_limit=4194304;"
				"PRAGMA foreign_keys=ON;"
				"PRAGMA cache_size=-256;"
				"PRAGMA cell_size_check=ON;"
				"PRAGMA secure_delete=OFF;"
				"PRAGMA trusted_schema=OFF;";

static int translate(struct rh_db *db, int rc)
{
	int system_errno = 0;

	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
		return 0;
	case SQLITE_ROW:
		return RH_DB_ROW;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return rh_origin(-EBUSY);
	case SQLITE_FULL:
		return rh_origin(-ENOSPC);
	case SQLITE_NOMEM:
		return rh_origin(-ENOMEM);
	case SQLITE_READONLY:
		return rh_origin(-EROFS);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return rh_origin(-EBADMSG);
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_RANGE:
		return rh_origin(-EINVAL);
	case SQLITE_TOOBIG:
		return rh_origin(-E2BIG);
	case SQLITE_INTERRUPT:
	case SQLITE_ABORT:
		return rh_origin(-ECANCELED);
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return rh_origin(-EACCES);
	case SQLITE_CANTOPEN:
		system_errno = sqlite3_system_errno(db->sqlite);
		return rh_origin(system_errno > 0 ? -system_errno : -EIO);
	case SQLITE_IOERR:
		return rh_origin(rc == SQLITE_IOERR_NOMEM ? -ENOMEM : -EIO);
	default:
		return rh_origin(-EIO);
	}
}

static int on_wal(void *arg, sqlite3 *sqlite, const char *name, int n_pages)
{
	struct rh_db *db = arg;

	db->wal_pages = n_pages;
	return SQLITE_OK;
}

static int on_progress(void *arg)
{
	const struct rh_db *db = arg;

	return db->deadline_ms > 0 && rh_now_ms() >= db->deadline_ms;
}

int rh_db_open(const char *path, unsigned busy_ms, bool for_read, struct rh_db **ret_db)
{
	_cleanup_(rh_db_closep) struct rh_db *db = calloc(1, sizeof(*db));
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
		SQLITE_OPEN_EXRESCODE;

	if (!db)
		return rh_origin(-ENOMEM);
	int r = translate(db, sqlite3_open_v2(path, &db->sqlite, flags, NULL));

	if (r < 0)
		return rh_trace(r);
	(void)sqlite3_busy_timeout(db->sqlite, (int)busy_ms);
	(void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	r = rh_db_exec(db, setup_sql);
	if (r == 0 && for_read)
		r = rh_db_exec(db, "PRAGMA query_only=ON");
	if (r < 0)
		return rh_trace(r);
	/* Takes the place of the automatic checkpoint. */
	(void)sqlite3_wal_hook(db->sqlite, on_wal, db);
	sqlite3_progress_handler(db->sqlite, PROGRESS_STEPS, on_progress, db);
	*ret_db = rh_steal(&db);
	return 0;
}

void rh_db_close(struct rh_db *db)
{
	if (!db)
		return;
	/* All statements are finalized by their owners, so this cannot be refused. */
	(void)sqlite3_close(db->sqlite);
	free(db);
}

int rh_db_exec(struct rh_db *db, const char *sql)
{
	return rh_trace(translate(db, sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL)));
}

/* Prepares and steps once. */
static int first_row(struct rh_db *db, const char *sql, struct rh_stmt **ret_stmt)
{
	_cleanup_(rh_stmt_freep) struct rh_stmt *stmt = NULL;
	int r = rh_db_prepare(db, sql, &stmt);

	if (r == 0)
		r = rh_stmt_step(stmt);
	if (r == 0)
		return rh_origin(-ENODATA);
	if (r < 0)
		return rh_trace(r);
	*ret_stmt = rh_steal(&stmt);
	return 0;
}

int rh_db_number(struct rh_db *db, const char *sql, int64_t *ret_number)
{
	_cleanup_(rh_stmt_freep) struct rh_stmt *stmt = NULL;
	int r = first_row(db, sql, &stmt);

	if (r == 0)
		*ret_number = rh_stmt_number(stmt, 0);
	return rh_trace(r);
}

int rh_db_text(struct rh_db *db, const char *sql, char *ret_text, size_t size)
{
	_cleanup_(rh_stmt_freep) struct rh_stmt *stmt = NULL;
	int r = first_row(db, sql, &stmt);

	if (r == 0)
		(void)snprintf(ret_text, size, "%s", rh_stmt_text(stmt, 0));
	return rh_trace(r);
}

void rh_db_rollback(struct rh_db *db)
{
	/* Some errors have done it already. */
	if (!sqlite3_get_autocommit(db->sqlite))
		(void)rh_db_exec(db, "ROLLBACK");
}

int rh_db_wal_pages(const struct rh_db *db)
{
	return db->wal_pages;
}

int64_t rh_db_changes(const struct rh_db *db)
{
	return sqlite3_total_changes64(db->sqlite);
}

int rh_db_checkpoint(struct rh_db *db)
{
	return rh_trace(translate(db,
		sqlite3_wal_checkpoint_v2(
			db->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL)));
}

void rh_db_interrupt(struct rh_db *db)
{
	sqlite3_interrupt(db->sqlite);
}

void rh_db_set_deadline(struct rh_db *db, int64_t deadline_ms)
{
	db->deadline_ms = deadline_ms;
}

const char *rh_db_message(struct rh_db *db)
{
	return sqlite3_errmsg(db->sqlite);
}

static sqlite3_stmt *of(struct rh_stmt *stmt)
{
	return (sqlite3_stmt *)stmt;
}

int rh_db_prepare(struct rh_db *db, const char *sql, struct rh_stmt **ret_stmt)
{
	sqlite3_stmt *stmt = NULL;
	int r = translate(db,
		sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL));

	if (r < 0)
		return rh_trace(r);
	*ret_stmt = (struct rh_stmt *)stmt;
	return 0;
}

void rh_stmt_free(struct rh_stmt *stmt)
{
	(void)sqlite3_finalize(of(stmt)); /* repeats the last step's error */
}

static int bound(int rc)
{
	return rc == SQLITE_OK ? 0 : rh_origin(rc == SQLITE_NOMEM ? -ENOMEM : -EINVAL);
}

int rh_stmt_bind_number(struct rh_stmt *stmt, int at, int64_t number)
{
	return rh_trace(bound(sqlite3_bind_int64(of(stmt), at, number)));
}

int rh_stmt_bind_text(struct rh_stmt *stmt, int at, const char *text, size_t size)
{
	return rh_trace(bound(sqlite3_bind_text(of(stmt), at, text, (int)size, SQLITE_STATIC)));
}

int rh_stmt_bind_blob(struct rh_stmt *stmt, int at, const void *data, size_t size)
{
	return rh_trace(bound(sqlite3_bind_blob(of(stmt), at, data, (int)size, SQLITE_STATIC)));
}

int rh_stmt_bind_null(struct rh_stmt *stmt, int at)
{
	return rh_trace(bound(sqlite3_bind_null(of(stmt), at)));
}

int rh_stmt_step(struct rh_stmt *stmt)
{
	struct rh_db db = {.sqlite = sqlite3_db_handle(of(stmt))};

	return rh_trace(translate(&db, sqlite3_step(of(stmt))));
}

void rh_stmt_reset(struct rh_stmt *stmt)
{
	(void)sqlite3_reset(of(stmt)); /* repeats the last step's error */
	(void)sqlite3_clear_bindings(of(stmt));
}

int64_t rh_stmt_number(struct rh_stmt *stmt, int at)
{
	return sqlite3_column_int64(of(stmt), at);
}

const char *rh_stmt_text(struct rh_stmt *stmt, int at)
{
	const char *text = (const char *)sqlite3_column_text(of(stmt), at);

	return text ? text : "";
}

const void *rh_stmt_blob(struct rh_stmt *stmt, int at, size_t *ret_size)
{
	const void *data = sqlite3_column_blob(of(stmt), at);

	*ret_size = data ? (size_t)sqlite3_column_bytes(of(stmt), at) : 0;
	return data;
}
