/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/store/store.h: records come back, order, bounds, closing, speed.
 */

#include "test_store.h"
#include "fixture.h"
#include "rh-test.h"
#include "runnerhub/clock.h"

static const struct rh_store_job whole_job = {
	.id = {{1, 2, 3}},
	.state = RH_JOB_RUNNING,
	.result = RH_JOB_RESULT_NONE,
	.runner = "runner",
	.profile = "profile",
	.repository = "o/r",
	.workflow = "w \xc3\xa4",
	.job_key = "build",
	.run_id = "123",
	.run_attempt = "1",
	.ref = "refs/heads/main",
	.sha = "0123",
	.actor = "a",
	.event_name = "push",
	.container = "c0ffee",
	.workspace = "r",
	.reason = "none",
	.worker_pid = 4242,
	.worker_start = INT64_C(1) << 40,
	.created_ms = 1000,
	.leased_ms = 2000,
	.ended_ms = 0,
	.start_us = 3300,
	.cold = true,
};

static void reopen(void)
{
	close_store();
	open_store();
}

START_TEST(a_job_comes_back_whole)
{
	ck_assert_uint_eq(opened->n_jobs, 0);
	ck_assert_int_eq(put_job(&whole_job), 0);
	reopen();
	ck_assert_uint_eq(opened->n_jobs, 1);

	const struct rh_store_job *job = &opened->jobs[0];

	ck_assert(rh_id_equal(&job->id, &whole_job.id));
	ck_assert_uint_eq(job->state, RH_JOB_RUNNING);
	ck_assert_str_eq(job->runner, "runner");
	ck_assert_str_eq(job->workflow, "w \xc3\xa4");
	ck_assert_str_eq(job->container, "c0ffee");
	ck_assert_int_eq(job->worker_pid, 4242);
	ck_assert_int_eq(job->worker_start, INT64_C(1) << 40);
	ck_assert_int_eq(job->leased_ms, 2000);
	ck_assert_int_eq(job->start_us, 3300);
	ck_assert(job->cold);
}
END_TEST

START_TEST(only_what_is_open_comes_back)
{
	static const char *const states[] = {
		"creating", "warm", "leased", "stopping", "removed", "failed"};

	for (unsigned i = 0; i <= RH_JOB_ENDED; i++) {
		struct rh_store_job job = {.id = id_of(i), .state = i, .created_ms = 10 - i};

		ck_assert_int_eq(put_job(&job), 0);
	}
	for (unsigned i = 0; i < 6; i++) {
		struct rh_store_container container = {
			.instance = id_of(100 + i), .state = states[i], .engine_id = "e"};

		if (i == 2)
			container.job = id_of(1);
		ck_assert_int_eq(put_container(&container), 0);
	}
	reopen();
	ck_assert_uint_eq(opened->n_jobs, 3);
	ck_assert_int_eq(opened->jobs[0].created_ms, 8); /* oldest first */
	ck_assert_uint_eq(opened->n_containers, 5);
	for (size_t i = 0; i < opened->n_containers; i++) {
		const struct rh_store_container *container = &opened->containers[i];
		struct rh_id job = id_of(1);

		ck_assert_str_ne(container->state, "removed");
		if (strcmp(container->state, "leased") == 0)
			ck_assert(rh_id_equal(&container->job, &job));
		else
			ck_assert(rh_id_is_null(&container->job));
	}
}
END_TEST

START_TEST(what_is_empty_does_not_erase)
{
	struct rh_store_job job = whole_job;
	struct rh_store_step step = {
		.job = job.id, .step = 7, .program = "bash", .label = "__run", .started_ms = 5};

	ck_assert_int_eq(put_job(&job), 0);
	job = (struct rh_store_job){
		.id = job.id, .state = RH_JOB_ENDED, .result = RH_JOB_FAILED, .reason = "why"};
	ck_assert_int_eq(put_job(&job), 0);
	ck_assert_int_eq(put_step(&step), 0);
	step = (struct rh_store_step){
		.job = job.id, .step = 7, .ended_ms = 9, .exit_code = 3, .wall_us = UINT64_MAX};
	ck_assert_int_eq(put_step(&step), 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM jobs WHERE repository='o/r' AND cold=0 "
				    "AND state='ended' AND result='failed' AND reason='why' AND "
				    "leased_ms=2000"),
		1);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM steps WHERE program='bash' AND "
				    "started_ms=5 AND ended_ms=9 AND exit_code=3 AND "
				    "wall_us=9223372036854775807"),
		1);
}
END_TEST

static int order[3000];
static int n_order;

static void on_ordered(void *arg, int r)
{
	ck_assert_int_eq(r, 0);
	order[n_order++] = (int)(intptr_t)arg;
}

START_TEST(answers_keep_their_order)
{
	struct rh_store_health health = {0};
	struct answer last = {0};

	for (int i = 0; i < 2000; i++) {
		struct rh_store_event event = {.time_ms = i, .kind = "k", .message = "m"};
		struct rh_store_step step = {.job = id_of(1), .step = (uint64_t)i};

		ck_assert_int_eq(rh_store_add_event(store, &event), 0);
		ck_assert_int_eq(
			rh_store_put_step(store, &step, on_ordered, (void *)(intptr_t)i), 0);
	}
	ck_assert_int_eq(
		rh_store_put_step(store, &(struct rh_store_step){.job = id_of(1)}, on_done, &last),
		0);
	run_until(&last.n);
	ck_assert_int_eq(last.r, 0);
	ck_assert_int_eq(n_order, 2000);
	for (int i = 0; i < n_order; i++)
		ck_assert_int_eq(order[i], i);
	rh_store_health(store, &health);
	ck_assert_uint_ge(health.n_written, 4001);
	ck_assert_uint_eq(health.n_failed, 0);
	ck_assert_int_eq(health.last_error, 0);
}
END_TEST

START_TEST(the_queue_is_bounded)
{
	static char big[RH_STORE_TEXT_MAX + 1];
	struct answer last = {0};
	sqlite3 *other = NULL;
	int n = 0;

	/* The writer waits for the lock, longer than this takes. */
	ck_assert_int_eq(sqlite3_open(store_path, &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	memset(big, 'x', RH_STORE_TEXT_MAX);
	while (rh_store_add_event(store, &(struct rh_store_event){.kind = big, .message = big}) ==
		0)
		n++;
	ck_assert_int_gt(n, 1500);
	ck_assert_int_lt(n, 2500);
	ck_assert_int_eq(
		rh_store_add_event(store, &(struct rh_store_event){.kind = big, .message = big}),
		-ENOBUFS);
	ck_assert_int_eq(sqlite3_close(other), SQLITE_OK);
	while (rh_store_put_step(store, &(struct rh_store_step){.job = id_of(1)}, on_done, &last) ==
		-ENOBUFS)
		(void)usleep(1000);
	run_until(&last.n);
	ck_assert_int_eq(last.r, 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM events"), n);
}
END_TEST

START_TEST(closing_writes_what_is_queued)
{
	struct answer answer = {0};

	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(rh_store_put_job(store, &(struct rh_store_job){.id = id_of(i)},
					 i == 999 ? on_done : NULL, &answer),
			0);
	close_store();
	ck_assert_int_eq(answer.n, 1);
	ck_assert_int_eq(answer.r, 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM jobs"), 1000);
	/* Nothing beside the file is left. */
	char wal[160];

	(void)snprintf(wal, sizeof(wal), "%s-wal", store_path);
	ck_assert_int_eq(access(wal, F_OK), -1);
}
END_TEST

static void on_closed(void *arg)
{
	*(int *)arg = 1;
}

START_TEST(after_closing_began_nothing_is_taken)
{
	struct answer answer = {0};
	int closed = 0;

	ck_assert_int_eq(rh_store_query(store, "counts", NULL, on_query, &answer), 0);
	rh_store_close(store, on_closed, &closed);
	ck_assert_int_eq(rh_store_put_job(store, &whole_job, on_done, &answer), -ESHUTDOWN);
	ck_assert_int_eq(rh_store_query(store, "counts", NULL, on_query, &answer), -ESHUTDOWN);
	run_until(&closed);
	ck_assert_int_eq(answer.n, 1); /* exactly once: an answer, or -ECANCELED */
	ck_assert(answer.r == 0 || answer.r == -ECANCELED);
	(void)json_object_put(answer.data);
	rh_store_open_free(opened);
	store = NULL;
}
END_TEST

static int by_time(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

START_TEST(a_commit_is_quick)
{
	static int us[500];
	struct rh_store_container container = {.state = "leased", .instance = id_of(1)};

	for (int i = 0; i < 500; i++) {
		struct answer answer = {0};
		int64_t start_us = rh_now_us();

		container.changed_ms = i;
		ck_assert_int_eq(rh_store_put_container(store, &container, on_done, &answer), 0);
		while (!answer.n)
			(void)uv_run(&loop, UV_RUN_ONCE);
		ck_assert_int_eq(answer.r, 0);
		us[i] = (int)(rh_now_us() - start_us);
	}
	qsort(us, 500, sizeof(us[0]), by_time);
	/* Generous: other work on the machine, sanitizers. */
	ck_assert_int_lt(us[250], 5000);
	(void)fprintf(stderr, "commit: p50 %d us, p99 %d us\n", us[250], us[495]);
}
END_TEST

static void tests_of_store(Suite *suite)
{
	TCase *tcase = tcase_create("store");

	tcase_add_checked_fixture(tcase, make_store, remove_store);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_job_comes_back_whole);
	tcase_add_test(tcase, only_what_is_open_comes_back);
	tcase_add_test(tcase, what_is_empty_does_not_erase);
	tcase_add_test(tcase, answers_keep_their_order);
	tcase_add_test(tcase, the_queue_is_bounded);
	tcase_add_test(tcase, closing_writes_what_is_queued);
	tcase_add_test(tcase, after_closing_began_nothing_is_taken);
	tcase_add_test(tcase, a_commit_is_quick);
	suite_add_tcase(suite, tcase);
}

RH_TEST_MAIN("store", tests_of_store, tests_of_query, tests_of_retain);
