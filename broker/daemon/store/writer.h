/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The one thread that writes.
 */

#include "broker/daemon/store/db.h"
#include "broker/daemon/store/lane.h"
#include "broker/daemon/store/record.h"
#include "broker/daemon/store/retain.h"

#define RH_WRITER_QUEUE_MAX 4096
#define RH_WRITER_BYTES_MAX ((size_t)4 * 1024 * 1024)
#define RH_WRITER_TABLES    5

enum rh_write_kind {
	RH_WRITE_ROW,
	RH_WRITE_RETAIN,
	RH_WRITE_TOUCH, /* after a checkpoint: take the first commit's sync upon ourselves */
};

struct rh_write {
	struct rh_lane_item item; /* first */
	enum rh_write_kind kind;
	struct rh_row *row;
	struct rh_retain retain;
	int r;
};

struct rh_writer {
	struct rh_lane lane;
	struct rh_db *db;
	struct rh_stmt *begin;
	struct rh_stmt *commit;
	struct rh_stmt *touch;
	struct rh_stmt *puts[RH_WRITER_TABLES];
	struct rh_retainer *retainer;
	/* The thread's own. */
	struct rh_list work; /* what is to be written, what failed before at the front */
	struct rh_retain retain; /* active until nothing is left to delete */
	int next_checkpoint;
	bool failing;
	/* For the loop thread to read. */
	_Atomic uint64_t n_written;
	_Atomic uint64_t n_failed;
	_Atomic int last_error; /* 0: the last transaction was written */
	/* The log has grown: the owner gets it checkpointed elsewhere. Context: the thread. */
	void (*on_log_grown)(void *arg);
	void *arg;
};

/* @db becomes the writer's, also on failure. Return: 0; negative errno. */
int rh_writer_init(struct rh_writer *writer, struct rh_db *db, uv_async_t *async);
/* Of one whose thread never ran, or has ended. */
void rh_writer_deinit(struct rh_writer *writer);
int rh_writer_start(struct rh_writer *writer);

/* @write is consumed on 0. Context: any thread. */
int rh_writer_push(struct rh_writer *writer, struct rh_write *write);
/* Return: NULL if out of memory; @record is copied, NULL for other kinds. */
struct rh_write *rh_write_new(
	enum rh_write_kind kind, const struct rh_table *table, const void *record);
void rh_write_free(struct rh_write *write);
