/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Filling the pools: what the plan says is done here, and failures are remembered.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/container/container_private.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"

static struct rh_pool_input input_of(const struct rh_container_pool *pool)
{
	uint32_t n_alive =
		pool->n_by_state[RH_CONTAINER_WARM] + pool->n_by_state[RH_CONTAINER_LEASED];

	return (struct rh_pool_input){
		.want_warm = pool->profile ? pool->profile->warm : 0,
		.max = pool->profile ? pool->profile->max : 0,
		.n_creating = pool->n_by_state[RH_CONTAINER_CREATING] + pool->n_coming,
		.n_idle = pool->n_idle,
		.n_taken = n_alive - pool->n_idle - pool->n_coming,
		.n_waiting = pool->n_waiting,
		.n_announced = pool->n_announced,
		.backoff = pool->backoff,
	};
}

static void create(struct rh_containers *all, struct rh_container_pool *pool, uint32_t n)
{
	/* Until the isolated network is known to be one, nobody is put into it. */
	if (rh_containers_network_problem(all, pool))
		return;
	if (n > 0 && !rh_containers_needs_met(all, pool))
		return;
	while (n-- > 0) {
		int r = rh_container_begin(all, pool);
		struct rh_err err = {0};

		if (r < 0) {
			(void)rh_err_set(
				&err, r, "a container could not be begun: %s", strerror(-r));
			rh_containers_pool_failed(all, pool, r, &err);
			return;
		}
	}
}

static void trim(struct rh_container_pool *pool, uint32_t n)
{
	while (n-- > 0 && !rh_list_is_empty(&pool->idle))
		rh_container_end(rh_list_first(&pool->idle, struct rh_container, idle_node),
			"it is not needed any more", false);
}

void rh_containers_fill(struct rh_containers *all)
{
	_cleanup_(rh_freep) struct rh_pool_input *inputs = NULL;
	_cleanup_(rh_freep) struct rh_pool_plan *plans = NULL;
	struct rh_pool_terms terms = {
		.n_parallel = all->config->engine_parallel,
		.draining = all->draining,
		.now_ms = rh_now_ms(),
	};
	uint32_t n = all->n_pools;
	size_t i = 0;

	if (all->closing || all->filling || all->adoption.cb ||
		!rh_engine_is_up(all->options.engine))
		return;
	inputs = calloc(n + 1, sizeof(*inputs));
	plans = calloc(n + 1, sizeof(*plans));
	if (!inputs || !plans)
		return; /* the next tick tries again */
	rh_list_for_each (at, &all->pools)
		inputs[i++] = input_of(rh_list_entry(at, struct rh_container_pool, node));
	rh_pool_plan(inputs, n, &terms, plans);
	/* What is done below may call this again: the numbers are of now. */
	all->filling = true;
	i = 0;
	rh_list_for_each (at, &all->pools) {
		struct rh_container_pool *pool = rh_list_entry(at, struct rh_container_pool, node);

		create(all, pool, plans[i].n_create);
		trim(pool, plans[i].n_remove);
		if (++i == n)
			break;
	}
	all->filling = false;
}

void rh_containers_refill(struct rh_containers *all)
{
	rh_containers_fill(all);
}

void rh_containers_drain(struct rh_containers *all)
{
	all->draining = true;
}

/* What another try does not mend: the configuration or the host must be changed. */
static bool is_lasting(int r)
{
	return r == -ENOENT || r == -EINVAL || r == -EEXIST || r == -EPROTO || r == -EACCES;
}

void rh_containers_pool_failed(
	struct rh_containers *all, struct rh_container_pool *pool, int r, const struct rh_err *err)
{
	if (strcmp(pool->problem, err->text) != 0)
		rh_log_error(all->log, "container not created", RH_STR("profile", pool->name),
			RH_STR("reason", err->text));
	(void)snprintf(pool->problem, sizeof(pool->problem), "%s", err->text);
	rh_pool_backoff_failed(&pool->backoff, rh_now_ms());
	rh_containers_fail_waiting(all, pool, r, err, !is_lasting(r));
}
