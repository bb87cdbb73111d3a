/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * SQLite behind our own error codes. A connection is used by one thread at a time; nothing here
 * locks.
 *
 * Codes: -EBUSY locked, -ENOSPC disk full, -EIO, -EROFS, -EACCES, -ENOMEM, -EBADMSG damaged,
 * -EINVAL constraint or type, -E2BIG too large, -ECANCELED interrupted.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runnerhub/cleanup.h"

struct rh_db;
struct rh_stmt;

#define RH_DB_ROW 1 /* rh_stmt_step(): a row is there */

/**
 * rh_db_open() - open or create, in WAL mode
 * @busy_ms:  how long one statement waits for another process's lock
 * @for_read: statements that change something are refused; checkpoints are not
 *
 * Checkpoints are never made by a commit: see rh_db_wal_pages().
 * Context: any thread, blocks on disk. Return: 0; negative errno.
 * Source:  sqlite.org/pragma.html, sqlite.org/wal.html
 */
int rh_db_open(const char *path, unsigned busy_ms, bool for_read, struct rh_db **ret_db);
void rh_db_close(struct rh_db *db);
RH_DEFINE_CLEANUP(struct rh_db *, rh_db_close);

/* Runs one or several statements without results. */
int rh_db_exec(struct rh_db *db, const char *sql);
/* The first column of the first row, as a number or a text. -ENODATA if there is none. */
int rh_db_number(struct rh_db *db, const char *sql, int64_t *ret_number);
int rh_db_text(struct rh_db *db, const char *sql, char *ret_text, size_t size);

/* Ends the open transaction, if there is one, without its changes. */
void rh_db_rollback(struct rh_db *db);
/* Pages in the write-ahead log, as the last commit of this connection left it. */
int rh_db_wal_pages(const struct rh_db *db);
/* Rows inserted, changed or deleted since it was opened. */
int64_t rh_db_changes(const struct rh_db *db);
/* Copies the log into the file as far as nobody reads it. */
int rh_db_checkpoint(struct rh_db *db);
/* Makes the running statement end with -ECANCELED. Context: any thread, until it is closed. */
void rh_db_interrupt(struct rh_db *db);
/* Statements that run past @deadline_ms (monotonic; 0: none) end with -ECANCELED. */
void rh_db_set_deadline(struct rh_db *db, int64_t deadline_ms);
/* Of the last call that failed, for people. */
const char *rh_db_message(struct rh_db *db);

int rh_db_prepare(struct rh_db *db, const char *sql, struct rh_stmt **ret_stmt);
void rh_stmt_free(struct rh_stmt *stmt);
RH_DEFINE_CLEANUP(struct rh_stmt *, rh_stmt_free);

/* Parameters count from 1 and are borrowed until the statement is reset. */
int rh_stmt_bind_number(struct rh_stmt *stmt, int at, int64_t number);
int rh_stmt_bind_text(struct rh_stmt *stmt, int at, const char *text, size_t size);
int rh_stmt_bind_blob(struct rh_stmt *stmt, int at, const void *data, size_t size);
int rh_stmt_bind_null(struct rh_stmt *stmt, int at);

/* Return: RH_DB_ROW; 0 when it is done; negative errno. */
int rh_stmt_step(struct rh_stmt *stmt);
/* Forgets results and parameters; owed after each use. */
void rh_stmt_reset(struct rh_stmt *stmt);
/* Columns count from 0; data is valid until the next step or reset. */
int64_t rh_stmt_number(struct rh_stmt *stmt, int at);
const char *rh_stmt_text(struct rh_stmt *stmt, int at); /* never NULL */
const void *rh_stmt_blob(struct rh_stmt *stmt, int at, size_t *ret_size);
