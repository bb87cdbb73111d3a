/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How many containers to create and to remove. Pure: counts and the time come in, numbers go out.
 *
 * Each waiting request needs one container that is on its way; beyond these a pool keeps as many
 * idle as its profile's "warm" says, or as jobs are announced, if those are more.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* After a failed creation: how long to leave the engine alone. */
struct rh_pool_backoff {
	uint32_t n_failures; /* in a row */
	int64_t not_before_ms;
};

struct rh_pool_input {
	uint32_t want_warm;
	uint32_t max; /* creating, idle and taken together */
	uint32_t n_creating;
	uint32_t n_idle; /* warm, nobody's */
	uint32_t n_taken; /* warm or leased, somebody's */
	uint32_t n_waiting; /* requests without a container */
	uint32_t n_announced; /* jobs that are coming and have not asked yet */
	struct rh_pool_backoff backoff;
};

struct rh_pool_plan {
	uint32_t n_create;
	uint32_t n_remove; /* idle ones */
};

struct rh_pool_terms {
	uint32_t n_parallel; /* containers that may be in creation at once, over all pools */
	bool draining; /* only what is waited for is created, nothing is removed */
	int64_t now_ms;
};

/**
 * rh_pool_plan() - decide for all pools at once
 * @pools, @n:  one entry a profile
 * @ret_plans:  @n entries
 *
 * Requests come before announced jobs, and stock is made only while no job's container is: each
 * would slow the others. Where slots are short each pool gets one in turn. A pool whose last
 * creation failed tries one at a time.
 */
void rh_pool_plan(const struct rh_pool_input *pools, size_t n, const struct rh_pool_terms *terms,
	struct rh_pool_plan *ret_plans);

void rh_pool_backoff_failed(struct rh_pool_backoff *backoff, int64_t now_ms);
void rh_pool_backoff_succeeded(struct rh_pool_backoff *backoff);
/* Somebody waits: the next try may be now, however long the wait was to be. */
void rh_pool_backoff_hurry(struct rh_pool_backoff *backoff, int64_t now_ms);
