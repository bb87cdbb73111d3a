/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The one thread that reads, with a connection of its own: it never waits for a write. Checkpoints
 * and the rest of the integrity check are made here too, away from what jobs wait for.
 */

#include "broker/daemon/store/db.h"
#include "broker/daemon/store/lane.h"
#include "broker/daemon/store/query.h"

#define RH_READER_QUEUE_MAX 256

enum rh_read_kind { RH_READ_QUERY, RH_READ_CHECKPOINT, RH_READ_CHECK };

struct rh_read {
	struct rh_lane_item item; /* first */
	enum rh_read_kind kind;
	struct rh_query query;
	int r_query; /* what was wrong with its arguments */
};

struct rh_reader {
	struct rh_lane lane;
	struct rh_db *db; /* changed with the lane's lock held */
	struct rh_querier *querier;
	/* Context: the thread. */
	void (*on_checkpoint)(void *arg);
	void (*on_damage)(void *arg);
	void *arg;
};

/* @db becomes the reader's, also on failure. Return: 0; negative errno. */
int rh_reader_init(struct rh_reader *reader, struct rh_db *db, uv_async_t *async);
/* Of one whose thread never ran, or has ended. */
void rh_reader_deinit(struct rh_reader *reader);
int rh_reader_start(struct rh_reader *reader);
/* Cancels what is queued and what is running. Context: loop thread. */
void rh_reader_stop(struct rh_reader *reader);

/* Without a callback. Context: any thread. Return: 0; -ENOBUFS; -ESHUTDOWN; -ENOMEM. */
int rh_reader_order(struct rh_reader *reader, enum rh_read_kind kind);
