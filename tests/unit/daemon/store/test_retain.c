/* SPDX-License-Identifier: Apache-2.0 */

/*
 * rh_store_retain(): age, count, what belongs together, and that it never gets in the way.
 */

#include "fixture.h"
#include "rh-test.h"
#include "runnerhub/clock.h"
#include "test_store.h"

#define DAY INT64_C(86400000)

/* @n ended jobs, one a day, the newest today, each with two steps, an event and a container. */
static void put_jobs(unsigned n)
{
	int64_t now_ms = rh_wall_ms();

	for (unsigned i = 0; i < n; i++) {
		int64_t time_ms = now_ms - i * DAY;
		struct rh_store_job job = {
			.id = id_of(i), .state = RH_JOB_ENDED, .ended_ms = time_ms};
		struct rh_store_step step = {.job = job.id, .step = 1};
		struct rh_store_event event = {
			.job = job.id, .time_ms = time_ms, .kind = "k", .message = "m"};
		struct rh_store_container container = {.instance = id_of(10000 + i),
			.job = job.id,
			.state = "removed",
			.changed_ms = time_ms};

		ck_assert_int_eq(rh_store_put_job(store, &job, NULL, NULL), 0);
		ck_assert_int_eq(rh_store_put_step(store, &step, NULL, NULL), 0);
		step.step = 2;
		ck_assert_int_eq(rh_store_put_step(store, &step, NULL, NULL), 0);
		ck_assert_int_eq(rh_store_put_container(store, &container, NULL, NULL), 0);
		ck_assert_int_eq(rh_store_add_event(store, &event), 0);
	}
}

static void wait_for_jobs(int64_t n)
{
	for (int i = 0; i < 500 && sql_number("SELECT count(*) FROM jobs") != n; i++)
		ck_assert_int_eq(put_step(&(struct rh_store_step){.job = id_of(0), .step = 1}), 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM jobs"), n);
}

START_TEST(old_jobs_go_with_all_of_theirs)
{
	put_jobs(100);
	/* Not ended, however old. */
	ck_assert_int_eq(put_job(&(struct rh_store_job){.id = id_of(5000)}), 0);
	ck_assert_int_eq(rh_store_retain(store, 30 * DAY + DAY / 2, 1000), 0);
	wait_for_jobs(31 + 1);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM steps"), 62);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM events"), 31);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM containers"), 31);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM jobs WHERE state='starting'"), 1);
}
END_TEST

START_TEST(only_so_many_stay)
{
	put_jobs(100);
	ck_assert_int_eq(rh_store_retain(store, UINT64_MAX, 10), 0);
	wait_for_jobs(10);
	/* The newest ones. */
	ck_assert_int_eq(sql_number("SELECT count(*) FROM jobs WHERE id<=x'"
				    "abcd0000000000000000000000000009'"),
		10);
}
END_TEST

START_TEST(what_belongs_to_no_job_goes_too)
{
	int64_t old_ms = rh_wall_ms() - 10 * DAY;

	for (unsigned i = 0; i < 300; i++) {
		struct rh_store_event event = {.time_ms = old_ms, .kind = "k", .message = "m"};
		struct rh_store_container container = {.instance = id_of(i),
			.state = i ? "removed" : "warm",
			.changed_ms = old_ms};

		ck_assert_int_eq(rh_store_add_event(store, &event), 0);
		ck_assert_int_eq(rh_store_put_container(store, &container, NULL, NULL), 0);
	}
	ck_assert_int_eq(put_job(&(struct rh_store_job){.id = id_of(1)}), 0);
	ck_assert_int_eq(rh_store_retain(store, 5 * DAY, 1000), 0);
	for (int i = 0; i < 500 && sql_number("SELECT count(*) FROM events") > 1; i++)
		ck_assert_int_eq(put_job(&(struct rh_store_job){.id = id_of(1)}), 0);
	/* The newest event stays: its number must not be given again. */
	ck_assert_int_eq(sql_number("SELECT count(*) FROM events"), 1);
	ck_assert_int_eq(sql_number("SELECT max(id) FROM events"), 300);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM containers"), 1);
}
END_TEST

START_TEST(loose_records_are_bounded_by_count)
{
	int64_t now_ms = rh_wall_ms();

	for (unsigned i = 0; i < 100; i++) {
		struct rh_store_event event = {.time_ms = now_ms, .kind = "k", .message = "m"};
		struct rh_store_container container = {
			.instance = id_of(i), .state = "removed", .changed_ms = now_ms + i};

		ck_assert_int_eq(rh_store_add_event(store, &event), 0);
		ck_assert_int_eq(rh_store_put_container(store, &container, NULL, NULL), 0);
	}
	ck_assert_int_eq(put_job(&(struct rh_store_job){.id = id_of(1)}), 0);
	ck_assert_int_eq(rh_store_retain(store, UINT64_MAX, 2), 0);
	for (int i = 0; i < 500 && sql_number("SELECT count(*) FROM containers") > 4; i++)
		ck_assert_int_eq(put_job(&(struct rh_store_job){.id = id_of(1)}), 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM containers"), 4);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM events"), 41);
}
END_TEST

void tests_of_retain(Suite *suite)
{
	TCase *tcase = tcase_create("retain");

	tcase_add_checked_fixture(tcase, make_store, remove_store);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, old_jobs_go_with_all_of_theirs);
	tcase_add_test(tcase, only_so_many_stay);
	tcase_add_test(tcase, what_belongs_to_no_job_goes_too);
	tcase_add_test(tcase, loose_records_are_bounded_by_count);
	suite_add_tcase(suite, tcase);
}
