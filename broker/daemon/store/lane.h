/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A lane: one thread, the bounded queue in front of it, and the answers behind it.
 *
 *   loop thread ── push ──▶ queue ── take ──▶ thread ── answer ──▶ uv_async ──▶ loop thread
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "broker/daemon/store/store.h"
#include "runnerhub/list.h"

/* How long patient items wait for others, in ms. */
#define RH_LANE_GATHER_MS 20

/* Who is called back. Lives apart from the work, which may outlive its answer (write.c). */
struct rh_lane_call {
	struct rh_list node;
	rh_store_done_fn done; /* or */
	rh_store_query_fn query;
	void *arg;
	int r;
	struct json_object *data; /* owned */
};

/* The head of what is queued. */
struct rh_lane_item {
	struct rh_list node;
	struct rh_lane_call *call; /* owned; NULL: nobody waits */
	size_t size; /* bytes that count against the bound */
	bool patient; /* may wait RH_LANE_GATHER_MS for company: a wake-up and a commit cost more */
};

struct rh_lane {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	uv_async_t *async;
	struct rh_list queue;
	struct rh_list answers;
	size_t n_max;
	size_t size_max;
	size_t n; /* items that exist: queued, or taken and not yet released */
	size_t size;
	int64_t deadline_ms; /* set by stop */
	bool hurried; /* something that is queued is not patient */
	bool stopping;
	bool running;
	bool exited;
};

/* Bounds of the queue. */
void rh_lane_init(struct rh_lane *lane, uv_async_t *async, size_t n_max, size_t size_max);
void rh_lane_deinit(struct rh_lane *lane);
/* Starts the thread. Return: 0; negative errno. */
int rh_lane_start(struct rh_lane *lane, void *(*run)(void *arg), void *arg);

/* Loop thread, or another lane's. Return: 0; -ENOBUFS; -ESHUTDOWN. The item is consumed on 0. */
int rh_lane_push(struct rh_lane *lane, struct rh_lane_item *item);
/* No more pushes; the thread should end by @deadline_ms. Context: loop thread. */
void rh_lane_stop(struct rh_lane *lane, int64_t deadline_ms);

/**
 * rh_lane_take() - move up to @n_max items to the end of @list
 * @timeout_ms: how long to wait for the first; negative: for ever
 *
 * Context: the lane's thread. Return: false if it should end and nothing is queued.
 */
bool rh_lane_take(struct rh_lane *lane, struct rh_list *list, size_t n_max, int timeout_ms);
bool rh_lane_has_work(struct rh_lane *lane);
/* Whether it is time to give up what is left. Context: the lane's thread. */
bool rh_lane_is_over(struct rh_lane *lane);
/* Sends answers to the loop, emptying @calls. Context: the lane's thread. */
void rh_lane_answer(struct rh_lane *lane, struct rh_list *calls);
/* The bound no longer counts so many. Context: the lane's thread. */
void rh_lane_release(struct rh_lane *lane, size_t n, size_t size);
/* The thread's last call. */
void rh_lane_exit(struct rh_lane *lane);

/* Context: loop thread. Moves the answers to the end of @calls; true once the thread has ended. */
bool rh_lane_collect(struct rh_lane *lane, struct rh_list *calls);
size_t rh_lane_length(struct rh_lane *lane);

struct rh_lane_call *rh_lane_call_new(rh_store_done_fn done, rh_store_query_fn query, void *arg);
/* Runs the callback and frees. Context: loop thread. */
void rh_lane_call_finish(struct rh_lane_call *call);
