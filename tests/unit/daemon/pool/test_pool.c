/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How many containers to create and to remove.
 */

#include "broker/daemon/pool/pool.h"
#include "rh-test.h"

#define TERMS                   \
	(struct rh_pool_terms)  \
	{                       \
		.n_parallel = 4 \
	}

static struct rh_pool_plan plan(struct rh_pool_input pool)
{
	struct rh_pool_plan result = {0};

	rh_pool_plan(&pool, 1, &TERMS, &result);
	return result;
}

START_TEST(test_fills_to_warm)
{
	ck_assert_uint_eq(plan((struct rh_pool_input){.want_warm = 3, .max = 9}).n_create, 3);
	ck_assert_uint_eq(
		plan((struct rh_pool_input){
			     .want_warm = 3, .max = 9, .n_idle = 1, .n_creating = 1, .n_taken = 5})
			.n_create,
		1);
	ck_assert_uint_eq(
		plan((struct rh_pool_input){.want_warm = 3, .max = 9, .n_idle = 3}).n_create, 0);
	/* Slots of the engine, not the pool, are the limit. */
	ck_assert_uint_eq(plan((struct rh_pool_input){.want_warm = 9, .max = 9}).n_create, 4);
}
END_TEST

START_TEST(test_never_above_max)
{
	ck_assert_uint_eq(
		plan((struct rh_pool_input){.want_warm = 3, .max = 4, .n_taken = 3}).n_create, 1);
	ck_assert_uint_eq(
		plan((struct rh_pool_input){.n_waiting = 3, .max = 2, .n_taken = 2}).n_create, 0);
	/* A smaller maximum after a reload. */
	ck_assert_uint_eq(
		plan((struct rh_pool_input){.want_warm = 3, .max = 4, .n_taken = 3, .n_idle = 3})
			.n_remove,
		2);
}
END_TEST

START_TEST(test_requests_and_announcements)
{
	/* What waits comes on top of the stock, but first, ... */
	ck_assert_uint_eq(
		plan((struct rh_pool_input){.want_warm = 1, .max = 9, .n_waiting = 2}).n_create, 2);
	ck_assert_uint_eq(plan((struct rh_pool_input){
				       .want_warm = 2, .max = 9, .n_creating = 2, .n_waiting = 1})
				  .n_create,
		0);
	/* ... an announced job does not: it will take of it. */
	ck_assert_uint_eq(plan((struct rh_pool_input){
				       .want_warm = 1, .max = 9, .n_idle = 1, .n_announced = 1})
				  .n_create,
		0);
	ck_assert_uint_eq(plan((struct rh_pool_input){
				       .want_warm = 1, .max = 9, .n_idle = 1, .n_announced = 3})
				  .n_create,
		2);
	/* Its container is made before the stock, ... */
	ck_assert_uint_eq(
		plan((struct rh_pool_input){.want_warm = 3, .max = 9, .n_announced = 1}).n_create,
		1);
	/* ... unless there is one. */
	ck_assert_uint_eq(plan((struct rh_pool_input){
				       .want_warm = 3, .max = 9, .n_announced = 1, .n_idle = 1})
				  .n_create,
		2);
	/* A job that cannot have one does not hold up the stock. */
	ck_assert_uint_eq(
		plan((struct rh_pool_input){.want_warm = 3, .max = 9, .n_idle = 1}).n_create, 2);
	/* When it asks, the container that was begun for it is the one it gets. */
	ck_assert_uint_eq(
		plan((struct rh_pool_input){.max = 9, .n_creating = 1, .n_waiting = 1}).n_create,
		0);
	/* Nobody came: the surplus goes. */
	ck_assert_uint_eq(
		plan((struct rh_pool_input){.want_warm = 1, .max = 9, .n_idle = 3}).n_remove, 2);
	ck_assert_uint_eq(plan((struct rh_pool_input){
				       .want_warm = 1, .max = 9, .n_idle = 3, .n_announced = 3})
				  .n_remove,
		0);
}
END_TEST

START_TEST(test_slots_are_shared)
{
	struct rh_pool_input pools[3] = {
		{.want_warm = 9, .max = 9},
		{.want_warm = 9, .max = 9, .n_waiting = 2},
		{.want_warm = 1, .max = 9, .n_creating = 1},
	};
	struct rh_pool_plan plans[3];

	rh_pool_plan(pools, 3, &(struct rh_pool_terms){.n_parallel = 6}, plans);
	ck_assert_uint_eq(plans[0].n_create, 0);
	ck_assert_uint_eq(plans[1].n_create, 2);
	ck_assert_uint_eq(plans[2].n_create, 0);
	rh_pool_plan(pools, 3, &(struct rh_pool_terms){.n_parallel = 2}, plans);
	ck_assert_uint_eq(plans[1].n_create, 1);
	pools[1].n_taken = pools[1].max; /* full: what waits there waits for a job's end */
	rh_pool_plan(pools, 3, &(struct rh_pool_terms){.n_parallel = 6}, plans);
	ck_assert_uint_eq(plans[0].n_create, 5);
	ck_assert_uint_eq(plans[1].n_create, 0);
	pools[1].n_taken = 0;
	pools[1].n_waiting = 0;
	rh_pool_plan(pools, 3, &(struct rh_pool_terms){.n_parallel = 6}, plans);
	ck_assert_uint_eq(plans[0].n_create, 3);
	ck_assert_uint_eq(plans[1].n_create, 2);
	pools[1].n_waiting = 2;
	rh_pool_plan(pools, 3, &(struct rh_pool_terms){.n_parallel = 6, .draining = true}, plans);
	ck_assert_uint_eq(plans[0].n_create, 0);
	ck_assert_uint_eq(plans[1].n_create, 2);
}
END_TEST

START_TEST(test_drain_removes_nothing)
{
	struct rh_pool_input pool = {.max = 9, .n_idle = 3};
	struct rh_pool_plan result = {0};

	rh_pool_plan(&pool, 1, &(struct rh_pool_terms){.n_parallel = 4, .draining = true}, &result);
	ck_assert_uint_eq(result.n_remove, 0);
}
END_TEST

START_TEST(test_backoff)
{
	struct rh_pool_input pool = {.want_warm = 3, .max = 9};
	struct rh_pool_plan result = {0};
	const int64_t waits[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
	struct rh_pool_terms terms = {.n_parallel = 4, .now_ms = 5000};

	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		rh_pool_backoff_failed(&pool.backoff, terms.now_ms);
		ck_assert_int_eq(pool.backoff.not_before_ms, terms.now_ms + waits[i]);
		terms.now_ms += waits[i];
		terms.now_ms--;
		rh_pool_plan(&pool, 1, &terms, &result);
		terms.now_ms++;
		ck_assert_uint_eq(result.n_create, 0);
		/* One to find out, not three. */
		rh_pool_plan(&pool, 1, &terms, &result);
		ck_assert_uint_eq(result.n_create, 1);
		pool.n_creating = 1;
		rh_pool_plan(&pool, 1, &terms, &result);
		ck_assert_uint_eq(result.n_create, 0);
		pool.n_creating = 0;
	}
	rh_pool_backoff_failed(&pool.backoff, terms.now_ms);
	rh_pool_backoff_hurry(&pool.backoff, terms.now_ms);
	rh_pool_plan(&pool, 1, &terms, &result);
	ck_assert_uint_eq(result.n_create, 1);
	rh_pool_backoff_succeeded(&pool.backoff);
	rh_pool_plan(&pool, 1, &terms, &result);
	ck_assert_uint_eq(result.n_create, 3);
}
END_TEST

static void tests_of_pool(Suite *suite)
{
	RH_ADD_TESTS(suite, "plan", test_fills_to_warm, test_never_above_max,
		test_requests_and_announcements, test_slots_are_shared, test_drain_removes_nothing,
		test_backoff);
}

RH_TEST_MAIN("pool", tests_of_pool);
