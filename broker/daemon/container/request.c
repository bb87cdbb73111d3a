/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Requests: who waits for a container, and who gets which.
 *
 * A request is in its pool's waiting list until a container is promised to it or it fails; then it
 * is due, and answered from the loop's next turn. A promised container that dies in between sends
 * its request back to wait.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/container/container_private.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"

#define TRIES_MAX       3u /* of creations that fail for reasons that may pass */
#define TIRED_AFTER_MS  2000
#define ENGINE_WAIT_MS  10000 /* a restart of the engine takes a few seconds */
#define ANSWER_EARLY_MS INT64_C(2000) /* before the job's own deadline, since we know why */

static void make_due(struct rh_container_request *request)
{
	rh_list_append(&request->all->due, &request->node);
	rh_containers_wake(request->all);
}

static void promise(struct rh_container_request *request, struct rh_container *container, bool cold)
{
	rh_container_set_custody(container, RH_CUSTODY_REQUEST);
	container->request = request;
	request->container = container;
	request->cold = cold;
	make_due(request);
}

static void wait_in_pool(struct rh_container_request *request)
{
	rh_list_append(&request->pool->waiting, &request->node);
	request->pool->n_waiting++;
}

static struct rh_container_request *take_waiting(struct rh_container_pool *pool)
{
	struct rh_container_request *request =
		rh_list_first(&pool->waiting, struct rh_container_request, node);

	if (request) {
		rh_list_remove(&request->node);
		pool->n_waiting--;
	}
	return request;
}

static void make_idle(struct rh_container *container)
{
	rh_container_set_custody(container, RH_CUSTODY_POOL);
	rh_list_append(&container->pool->idle, &container->idle_node);
	container->pool->n_idle++;
}

static void arrived(struct rh_container *container)
{
	if (container->coming)
		container->pool->n_coming--;
	container->coming = false;
}

void rh_container_offer(struct rh_container *container)
{
	struct rh_container_request *request = NULL;

	arrived(container);
	if (container->state != RH_CONTAINER_WARM || container->dying)
		return;
	if (rh_container_has_ended(container)) {
		rh_container_init_ended(container);
		return;
	}
	/* While it was being made. Who waits gets one that is made now. */
	if (rh_container_is_stale(container)) {
		rh_container_end(container, "its profile was changed", false);
		return;
	}
	request = take_waiting(container->pool);
	if (request)
		promise(request, container, true);
	else
		make_idle(container);
}

void rh_container_withdraw(struct rh_container *container)
{
	struct rh_container_request *request = rh_steal(&container->request);

	arrived(container);
	if (!rh_list_is_empty(&container->idle_node)) {
		rh_list_remove(&container->idle_node);
		container->pool->n_idle--;
	}
	if (container->custody != RH_CUSTODY_OWNER)
		container->custody = RH_CUSTODY_NONE;
	if (request) {
		request->container = NULL;
		rh_list_remove(&request->node);
		wait_in_pool(request);
	}
}

void rh_containers_answer_due(struct rh_containers *all)
{
	while (!rh_list_is_empty(&all->due)) {
		struct rh_container_request *request =
			rh_list_first(&all->due, struct rh_container_request, node);
		struct rh_container *container = request->container;

		rh_list_remove(&request->node);
		if (container) {
			container->request = NULL;
			rh_container_set_custody(container, RH_CUSTODY_OWNER);
		}
		request->cb(request->arg, request->r, container, request->cold, &request->err);
		free(request);
	}
}

/* The oldest that lives: one may have died in this very turn of the loop. */
static struct rh_container *first_idle(struct rh_container_pool *pool)
{
	struct rh_container *idle = NULL;

	while ((idle = rh_list_first(&pool->idle, struct rh_container, idle_node))) {
		if (!rh_container_has_ended(idle))
			break;
		rh_container_init_ended(idle);
	}
	return idle;
}

/* NULL: there is none, or it must not be handed out now. */
static struct rh_container *take_idle(struct rh_containers *all, struct rh_container_pool *pool)
{
	struct rh_container *idle =
		rh_containers_network_problem(all, pool) ? NULL : first_idle(pool);

	if (idle) {
		rh_list_remove(&idle->idle_node);
		pool->n_idle--;
	}
	return idle;
}

void rh_containers_serve_waiting(struct rh_containers *all)
{
	rh_list_for_each (at, &all->pools) {
		struct rh_container_pool *pool = rh_list_entry(at, struct rh_container_pool, node);
		struct rh_container *idle = NULL;

		while (!rh_list_is_empty(&pool->waiting) && (idle = take_idle(all, pool)))
			rh_container_offer(idle);
	}
}

int rh_containers_acquire(struct rh_containers *all, const struct rh_profile *profile,
	const char *runner, rh_container_acquired_fn cb, void *arg,
	struct rh_container_request **ret_request)
{
	struct rh_container_pool *pool = rh_containers_pool_get(all, profile->name);
	struct rh_container *idle = NULL;
	struct rh_container_request *request = NULL;

	if (all->closing)
		return rh_origin(-ESHUTDOWN);
	if (!pool)
		return rh_origin(-ENOMEM);
	if (!pool->profile)
		return rh_origin(-ENOENT);
	request = calloc(1, sizeof(*request));
	if (!request)
		return rh_origin(-ENOMEM);
	*request = (struct rh_container_request){
		.all = all,
		.pool = pool,
		.cb = cb,
		.arg = arg,
		.began_ms = rh_now_ms(),
	};
	rh_container_pool_forget_runner(pool, runner);
	idle = take_idle(all, pool);
	if (idle) {
		promise(request, idle, false);
	} else {
		wait_in_pool(request);
		rh_pool_backoff_hurry(&pool->backoff, request->began_ms);
		rh_containers_fill(all);
	}
	*ret_request = request;
	return 0;
}

void rh_container_request_cancel(struct rh_container_request *request)
{
	struct rh_container *container = request->container;

	if (!container && request->r == 0)
		request->pool->n_waiting--;
	rh_list_remove(&request->node);
	if (container) {
		container->request = NULL;
		rh_container_set_custody(container, RH_CUSTODY_POOL);
		rh_container_offer(container);
	}
	free(request);
}

static void fail(struct rh_container_request *request, int r, const struct rh_err *err)
{
	rh_list_remove(&request->node);
	request->pool->n_waiting--;
	request->r = r;
	request->err = *err;
	make_due(request);
}

void rh_containers_fail_waiting(struct rh_containers *all, struct rh_container_pool *pool, int r,
	const struct rh_err *err, bool only_tired)
{
	int64_t now_ms = rh_now_ms();

	rh_list_for_each (at, &pool->waiting) {
		struct rh_container_request *request =
			rh_list_entry(at, struct rh_container_request, node);
		bool tired = ++request->n_failures >= TRIES_MAX &&
			now_ms - request->began_ms >= TIRED_AFTER_MS;

		if (!only_tired || tired)
			fail(request, r, err);
	}
}

/* Why a request has waited in vain, for people. */
static int explain_wait(
	struct rh_containers *all, const struct rh_container_pool *pool, struct rh_err *err)
{
	uint32_t n_taken =
		pool->n_by_state[RH_CONTAINER_WARM] + pool->n_by_state[RH_CONTAINER_LEASED];

	if (!pool->profile)
		return rh_err_set(err, -ENOENT,
			"profile %s is not configured any more; configure it, or give the runner "
			"another",
			pool->name);
	if (!rh_engine_is_up(all->options.engine))
		return rh_err_set(err, -ENOTCONN, "%s", rh_engine_problem(all->options.engine));
	if (pool->profile && n_taken >= pool->profile->max)
		return rh_err_set(err, -EBUSY,
			"all %u containers of profile %s are in use; raise its max, or have fewer "
			"runners",
			pool->profile->max, pool->name);
	if (rh_containers_network_problem(all, pool))
		return rh_err_set(err, -EIO, "the network is not safe: %s",
			rh_containers_network_problem(all, pool));
	if (pool->problem[0])
		return rh_err_set(err, -EIO, "%s", pool->problem);
	return rh_err_set(err, -ETIMEDOUT, "the container engine was too slow");
}

void rh_containers_fail_orphans(struct rh_containers *all, struct rh_container_pool *pool)
{
	struct rh_err err = {0};

	if (!pool->profile)
		rh_containers_fail_waiting(all, pool, explain_wait(all, pool, &err), &err, false);
}

void rh_containers_tick_requests(struct rh_containers *all, int64_t now_ms)
{
	int64_t limit_ms = (int64_t)all->config->job_start_wait_ms;
	bool is_up = rh_engine_is_up(all->options.engine);

	limit_ms = limit_ms > 2 * ANSWER_EARLY_MS ? limit_ms - ANSWER_EARLY_MS : limit_ms / 2;
	if (!is_up && limit_ms > ENGINE_WAIT_MS)
		limit_ms = ENGINE_WAIT_MS;
	rh_list_for_each (at, &all->pools) {
		struct rh_container_pool *pool = rh_list_entry(at, struct rh_container_pool, node);

		/* The longest waiting is first. */
		while (!rh_list_is_empty(&pool->waiting)) {
			struct rh_container_request *request =
				rh_list_first(&pool->waiting, struct rh_container_request, node);
			struct rh_err err = {0};

			if (now_ms - request->began_ms < limit_ms)
				break;
			fail(request, explain_wait(all, pool, &err), &err);
		}
	}
}

void rh_containers_drop_requests(struct rh_containers *all)
{
	rh_list_for_each (at, &all->pools) {
		struct rh_container_pool *pool = rh_list_entry(at, struct rh_container_pool, node);

		for (struct rh_container_request *request = NULL; (request = take_waiting(pool));)
			free(request);
	}
	while (!rh_list_is_empty(&all->due)) {
		struct rh_container_request *request =
			rh_list_first(&all->due, struct rh_container_request, node);

		rh_list_remove(&request->node);
		free(request);
	}
}
