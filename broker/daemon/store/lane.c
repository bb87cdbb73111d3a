/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The queue between the loop and a thread of the store.
 *
 * One lock for both directions; it is held for a few instructions at a time. Memory of an item
 * counts against the bound until the thread releases it, so that what waits for a full disk is
 * bounded too.
 */

#include "broker/daemon/store/lane.h"

#include <signal.h>

#include "runnerhub/clock.h"
#include "runnerhub/err.h"

void rh_lane_init(struct rh_lane *lane, uv_async_t *async, size_t n_max, size_t size_max)
{
	pthread_condattr_t attr;

	*lane = (struct rh_lane){.async = async, .n_max = n_max, .size_max = size_max};
	rh_list_init(&lane->queue);
	rh_list_init(&lane->answers);
	/* None of these fails with glibc or musl on valid arguments. */
	(void)pthread_mutex_init(&lane->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&lane->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
}

void rh_lane_deinit(struct rh_lane *lane)
{
	(void)pthread_cond_destroy(&lane->changed);
	(void)pthread_mutex_destroy(&lane->lock);
}

int rh_lane_start(struct rh_lane *lane, void *(*run)(void *arg), void *arg)
{
	sigset_t all;
	sigset_t old;

	/* Signals are the loop's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	int r = pthread_create(&lane->thread, NULL, run, arg);

	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	lane->running = r == 0;
	return r == 0 ? 0 : rh_origin(-r);
}

int rh_lane_push(struct rh_lane *lane, struct rh_lane_item *item)
{
	int r = 0;

	(void)pthread_mutex_lock(&lane->lock);
	if (lane->stopping)
		r = rh_origin(-ESHUTDOWN);
	else if (lane->n >= lane->n_max || item->size > lane->size_max - lane->size)
		r = rh_origin(-ENOBUFS);
	if (r == 0) {
		lane->n++;
		lane->size += item->size;
		/* Of patient items the first wakes the thread, which then waits for the others. */
		if (!item->patient || rh_list_is_empty(&lane->queue))
			(void)pthread_cond_signal(&lane->changed);
		lane->hurried |= !item->patient;
		rh_list_append(&lane->queue, &item->node);
	}
	(void)pthread_mutex_unlock(&lane->lock);
	return r;
}

void rh_lane_stop(struct rh_lane *lane, int64_t deadline_ms)
{
	(void)pthread_mutex_lock(&lane->lock);
	lane->stopping = true;
	lane->deadline_ms = deadline_ms;
	(void)pthread_cond_signal(&lane->changed);
	(void)pthread_mutex_unlock(&lane->lock);
}

/* Waits until then, for ever if it is negative. Return: 0; ETIMEDOUT. */
static int wait_for_change(struct rh_lane *lane, int64_t until_ms)
{
	struct timespec until = {
		.tv_sec = (time_t)(until_ms / 1000),
		.tv_nsec = (long)(until_ms % 1000) * 1000000,
	};

	return until_ms < 0 ? pthread_cond_wait(&lane->changed, &lane->lock)
			    : pthread_cond_timedwait(&lane->changed, &lane->lock, &until);
}

static void wait_for_work(struct rh_lane *lane, int timeout_ms)
{
	int64_t until_ms = timeout_ms < 0 ? -1 : rh_now_ms() + timeout_ms;
	int r = 0;

	while (rh_list_is_empty(&lane->queue) && !lane->stopping && r == 0)
		r = wait_for_change(lane, until_ms);
	if (rh_list_is_empty(&lane->queue))
		return;
	until_ms = rh_now_ms() + RH_LANE_GATHER_MS;
	for (r = 0; !lane->hurried && !lane->stopping && r == 0;)
		r = wait_for_change(lane, until_ms);
}

bool rh_lane_take(struct rh_lane *lane, struct rh_list *list, size_t n_max, int timeout_ms)
{
	(void)pthread_mutex_lock(&lane->lock);
	wait_for_work(lane, timeout_ms);
	bool goes_on = !lane->stopping || !rh_list_is_empty(&lane->queue);

	for (size_t i = 0; i < n_max && !rh_list_is_empty(&lane->queue); i++) {
		struct rh_list *node = lane->queue.next;

		rh_list_remove(node);
		rh_list_append(list, node);
	}
	if (rh_list_is_empty(&lane->queue))
		lane->hurried = false;
	(void)pthread_mutex_unlock(&lane->lock);
	return goes_on;
}

bool rh_lane_has_work(struct rh_lane *lane)
{
	(void)pthread_mutex_lock(&lane->lock);
	bool has_work = lane->stopping || !rh_list_is_empty(&lane->queue);

	(void)pthread_mutex_unlock(&lane->lock);
	return has_work;
}

bool rh_lane_is_over(struct rh_lane *lane)
{
	(void)pthread_mutex_lock(&lane->lock);
	bool is_over = lane->stopping && rh_now_ms() >= lane->deadline_ms;

	(void)pthread_mutex_unlock(&lane->lock);
	return is_over;
}

void rh_lane_answer(struct rh_lane *lane, struct rh_list *calls)
{
	if (rh_list_is_empty(calls))
		return;
	(void)pthread_mutex_lock(&lane->lock);
	while (!rh_list_is_empty(calls)) {
		struct rh_list *node = calls->next;

		rh_list_remove(node);
		rh_list_append(&lane->answers, node);
	}
	/* With the lock held: see rh_lane_exit(). */
	(void)uv_async_send(lane->async);
	(void)pthread_mutex_unlock(&lane->lock);
}

void rh_lane_release(struct rh_lane *lane, size_t n, size_t size)
{
	(void)pthread_mutex_lock(&lane->lock);
	lane->n -= n;
	lane->size -= size;
	(void)pthread_mutex_unlock(&lane->lock);
}

void rh_lane_exit(struct rh_lane *lane)
{
	/* The loop closes the async handle only after it saw this, hence after the last send. */
	(void)pthread_mutex_lock(&lane->lock);
	lane->exited = true;
	(void)uv_async_send(lane->async);
	(void)pthread_mutex_unlock(&lane->lock);
}

bool rh_lane_collect(struct rh_lane *lane, struct rh_list *calls)
{
	(void)pthread_mutex_lock(&lane->lock);
	while (!rh_list_is_empty(&lane->answers)) {
		struct rh_list *node = lane->answers.next;

		rh_list_remove(node);
		rh_list_append(calls, node);
	}
	bool exited = lane->exited;

	(void)pthread_mutex_unlock(&lane->lock);
	if (exited && lane->running) {
		/* It has nothing left to do but to return. */
		(void)pthread_join(lane->thread, NULL);
		lane->running = false;
	}
	return exited;
}

size_t rh_lane_length(struct rh_lane *lane)
{
	(void)pthread_mutex_lock(&lane->lock);
	size_t n = lane->n;

	(void)pthread_mutex_unlock(&lane->lock);
	return n;
}

struct rh_lane_call *rh_lane_call_new(rh_store_done_fn done, rh_store_query_fn query, void *arg)
{
	struct rh_lane_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	*call = (struct rh_lane_call){.done = done, .query = query, .arg = arg};
	rh_list_init(&call->node);
	return call;
}

void rh_lane_call_finish(struct rh_lane_call *call)
{
	if (call->done)
		call->done(call->arg, call->r);
	if (call->query)
		call->query(call->arg, call->r, call->r < 0 ? NULL : call->data);
	(void)json_object_put(call->data);
	free(call);
}
