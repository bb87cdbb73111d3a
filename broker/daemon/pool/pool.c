/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How many containers to create and to remove.
 */

#include "broker/daemon/pool/pool.h"

#define BACKOFF_FIRST_MS 1000
#define BACKOFF_LAST_MS  60000

static uint32_t minus(uint32_t a, uint32_t b)
{
	return a > b ? a - b : 0;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Idle containers that a pool should have when nobody waits. */
static uint32_t stock(const struct rh_pool_input *pool, bool draining)
{
	return draining ? 0 : larger(pool->want_warm, pool->n_announced);
}

/* How many more this pool may begin now, at most. */
static uint32_t room(const struct rh_pool_input *pool, int64_t now_ms)
{
	uint32_t left = minus(pool->max, pool->n_creating + pool->n_idle + pool->n_taken);

	if (pool->backoff.n_failures == 0)
		return left;
	if (now_ms < pool->backoff.not_before_ms || pool->n_creating > 0)
		return 0;
	return smaller(left, 1);
}

/* What containers are wanted for, most urgent first. */
enum level {
	LEVEL_WAITING,
	LEVEL_ANNOUNCED,
	LEVEL_STOCK,
};

static uint32_t target(const struct rh_pool_input *pool, enum level level, bool draining)
{
	if (level == LEVEL_WAITING)
		return pool->n_waiting;
	if (level == LEVEL_ANNOUNCED)
		return pool->n_waiting + (draining ? 0 : pool->n_announced);
	return pool->n_waiting + stock(pool, draining);
}

/* Hands out slots, one to each pool in turn, up to as many containers as the level wants. */
static void hand_out(const struct rh_pool_input *pools, size_t n, uint32_t *slots, enum level level,
	const struct rh_pool_terms *terms, struct rh_pool_plan *plans)
{
	bool given = true;

	while (*slots > 0 && given) {
		given = false;
		for (size_t i = 0; i<n && * slots> 0; i++) {
			uint32_t have = pools[i].n_creating + pools[i].n_idle + plans[i].n_create;

			if (have >= target(&pools[i], level, terms->draining) ||
				plans[i].n_create >= room(&pools[i], terms->now_ms))
				continue;
			plans[i].n_create++;
			(*slots)--;
			given = true;
		}
	}
}

/* Whether a job's container is being made, or will be now: stock would only slow it. */
static bool is_urgent(const struct rh_pool_input *pool, const struct rh_pool_plan *plan,
	const struct rh_pool_terms *terms)
{
	return pool->n_creating + plan->n_create > 0 &&
		pool->n_idle < target(pool, LEVEL_ANNOUNCED, terms->draining);
}

void rh_pool_plan(const struct rh_pool_input *pools, size_t n, const struct rh_pool_terms *terms,
	struct rh_pool_plan *ret_plans)
{
	uint32_t n_creating = 0;
	uint32_t slots = 0;

	for (size_t i = 0; i < n; i++) {
		const struct rh_pool_input *pool = &pools[i];
		uint32_t above_max =
			minus(pool->n_creating + pool->n_idle + pool->n_taken, pool->max);
		uint32_t surplus = minus(pool->n_idle, pool->n_waiting + stock(pool, false));

		ret_plans[i] = (struct rh_pool_plan){0};
		n_creating += pool->n_creating;
		if (!terms->draining)
			ret_plans[i].n_remove = smaller(pool->n_idle, larger(surplus, above_max));
	}
	slots = minus(terms->n_parallel, n_creating);
	hand_out(pools, n, &slots, LEVEL_WAITING, terms, ret_plans);
	hand_out(pools, n, &slots, LEVEL_ANNOUNCED, terms, ret_plans);
	for (size_t i = 0; i < n; i++) {
		if (is_urgent(&pools[i], &ret_plans[i], terms))
			return;
	}
	hand_out(pools, n, &slots, LEVEL_STOCK, terms, ret_plans);
}

void rh_pool_backoff_failed(struct rh_pool_backoff *backoff, int64_t now_ms)
{
	int64_t wait_ms = BACKOFF_FIRST_MS;

	for (uint32_t i = 0; i < backoff->n_failures && wait_ms < BACKOFF_LAST_MS; i++)
		wait_ms *= 2;
	if (wait_ms > BACKOFF_LAST_MS)
		wait_ms = BACKOFF_LAST_MS;
	if (backoff->n_failures < UINT32_MAX)
		backoff->n_failures++;
	backoff->not_before_ms = now_ms + wait_ms;
}

void rh_pool_backoff_succeeded(struct rh_pool_backoff *backoff)
{
	*backoff = (struct rh_pool_backoff){0};
}

void rh_pool_backoff_hurry(struct rh_pool_backoff *backoff, int64_t now_ms)
{
	if (backoff->not_before_ms > now_ms)
		backoff->not_before_ms = now_ms;
}
