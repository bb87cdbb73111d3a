/* SPDX-License-Identifier: Apache-2.0 */

/*
 * When the disk, memory or another process gets in the way: answers come, nothing leaks, and it
 * goes on.
 */

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "rh-test.h"
#include "runnerhub/clock.h"

/* What sqlite3_step() returns for the next @fail_steps calls. */
static atomic_int fail_steps;
static atomic_int fail_code;
/* The allocation that fails, counted down on this thread; 0: none. */
static _Thread_local int fail_alloc;
static bool fail_async;
static int fail_thread; /* the n-th thread does not start */

int __wrap_sqlite3_step(sqlite3_stmt *stmt);
int __real_sqlite3_step(sqlite3_stmt *stmt);
void *__wrap_malloc(size_t size);
void *__real_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_calloc(size_t n, size_t size);
int __wrap_uv_async_init(uv_loop_t *l, uv_async_t *async, uv_async_cb cb);
int __real_uv_async_init(uv_loop_t *l, uv_async_t *async, uv_async_cb cb);
int __wrap_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
int __real_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg);

int __wrap_sqlite3_step(sqlite3_stmt *stmt)
{
	if (atomic_load(&fail_steps) > 0) {
		atomic_fetch_sub(&fail_steps, 1);
		return atomic_load(&fail_code);
	}
	return __real_sqlite3_step(stmt);
}

void *__wrap_malloc(size_t size)
{
	return fail_alloc > 0 && --fail_alloc == 0 ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fail_alloc > 0 && --fail_alloc == 0 ? NULL : __real_calloc(n, size);
}

int __wrap_uv_async_init(uv_loop_t *l, uv_async_t *async, uv_async_cb cb)
{
	return fail_async ? UV_EMFILE : __real_uv_async_init(l, async, cb);
}

int __wrap_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	return fail_thread > 0 && --fail_thread == 0
		? EAGAIN
		: __real_pthread_create(thread, attr, run, arg);
}

static void fail_next(int n, int code)
{
	atomic_store(&fail_code, code);
	atomic_store(&fail_steps, n);
}

static const struct rh_store_job job = {.id = {{1}}, .runner = "r"};

static struct rh_store_health health(void)
{
	struct rh_store_health h = {0};

	rh_store_health(store, &h);
	return h;
}

START_TEST(a_short_trouble_is_not_noticed)
{
	fail_next(1, SQLITE_BUSY);
	ck_assert_int_eq(put_job(&job), 0);
	fail_next(2, SQLITE_IOERR_WRITE);
	ck_assert_int_eq(put_job(&job), 0);
	ck_assert_uint_eq(health().n_failed, 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM jobs"), 1);
}
END_TEST

static const struct {
	int code;
	int r;
} codes[] = {
	{SQLITE_FULL, -ENOSPC},
	{SQLITE_BUSY, -EBUSY},
	{SQLITE_IOERR_FSYNC, -EIO},
	{SQLITE_IOERR_NOMEM, -ENOMEM},
	{SQLITE_NOMEM, -ENOMEM},
	{SQLITE_READONLY_DBMOVED, -EROFS},
	{SQLITE_CORRUPT_INDEX, -EBADMSG},
	{SQLITE_PERM, -EACCES},
	{SQLITE_INTERRUPT, -ECANCELED},
	{SQLITE_INTERNAL, -EIO},
};

START_TEST(a_long_trouble_is_told_in_time)
{
	int64_t start_ms = rh_now_ms();

	fail_next(1000000, codes[_i].code);
	ck_assert_int_eq(put_job(&job), codes[_i].r);
	ck_assert_int_lt(rh_now_ms() - start_ms, 2000);
	ck_assert_int_eq(health().last_error, codes[_i].r);
	ck_assert_uint_eq(health().n_queued, 1);
	/* The next one is told too, and both are written once it is over. */
	ck_assert_int_eq(put_step(&(struct rh_store_step){.job = job.id, .step = 1}), codes[_i].r);
	ck_assert_uint_eq(health().n_queued, 2);
	fail_next(0, 0);
	ck_assert_int_eq(put_step(&(struct rh_store_step){.job = job.id, .step = 2}), 0);
	ck_assert_uint_eq(health().n_queued, 0);
	ck_assert_int_eq(health().last_error, 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM jobs"), 1);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM steps"), 2);
}
END_TEST

START_TEST(it_tries_again_by_itself)
{
	fail_next(1000000, SQLITE_FULL);
	ck_assert_int_eq(put_job(&job), -ENOSPC);
	fail_next(0, 0);
	for (int i = 0; i < 500 && health().last_error; i++)
		(void)usleep(10000);
	ck_assert_int_eq(health().last_error, 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM jobs"), 1);
}
END_TEST

START_TEST(what_waits_is_bounded)
{
	struct rh_store_health h = {0};
	int n = 0;

	fail_next(1000000, SQLITE_FULL);
	ck_assert_int_eq(put_job(&job), -ENOSPC);
	for (int round = 0; round < 4; round++) {
		struct rh_store_event event = {.kind = "k", .message = "m"};

		while (rh_store_add_event(store, &event) == 0)
			n++;
		for (int i = 0; i < 500 && (h = health()).n_queued > 2048; i++)
			(void)usleep(10000);
		ck_assert_uint_le(h.n_queued, 2048);
	}
	ck_assert_uint_gt(h.n_failed, 0);
	fail_next(0, 0);
	ck_assert_int_eq(put_job(&job), 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM events"), n - (int64_t)h.n_failed + 1);
}
END_TEST

START_TEST(closing_gives_up_in_time)
{
	struct answer answer = {0};
	int64_t start_ms = rh_now_ms();

	fail_next(1000000, SQLITE_FULL);
	ck_assert_int_eq(rh_store_put_job(store, &job, on_done, &answer), 0);
	close_store();
	ck_assert_int_lt(rh_now_ms() - start_ms, 4000);
	ck_assert_int_eq(answer.n, 1);
	ck_assert_int_lt(answer.r, 0);
	fail_next(0, 0);
}
END_TEST

START_TEST(another_process_may_hold_the_lock)
{
	sqlite3 *other = NULL;
	struct json_object *data = NULL;

	ck_assert_int_eq(sqlite3_open(store_path, &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(put_job(&job), -EBUSY);
	/* Reading goes on. */
	data = query("counts", NULL, NULL);
	(void)json_object_put(data);
	ck_assert_int_eq(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(put_job(&job), 0);
	ck_assert_int_eq(sqlite3_close(other), SQLITE_OK);
}
END_TEST

START_TEST(a_refused_row_fails_alone)
{
	struct answer answers[3] = {{0}};

	sql_exec("CREATE TRIGGER t BEFORE INSERT ON steps WHEN NEW.step=2 BEGIN SELECT "
		 "RAISE(ABORT,'no'); END");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(
			rh_store_put_step(store,
				&(struct rh_store_step){.job = job.id, .step = (uint64_t)i + 1},
				on_done, &answers[i]),
			0);
	run_until(&answers[2].n);
	ck_assert_int_eq(answers[0].r, 0);
	ck_assert_int_eq(answers[1].r, -EINVAL);
	ck_assert_int_eq(answers[2].r, 0);
	ck_assert_uint_eq(health().n_failed, 1);
	ck_assert_int_eq(health().last_error, 0);
}
END_TEST

START_TEST(queries_fail_by_themselves)
{
	int r = 0;

	fail_next(1, SQLITE_IOERR_READ);
	ck_assert_ptr_null(query("jobs", NULL, &r));
	ck_assert_int_eq(r, -EIO);
	fail_next(1, SQLITE_NOMEM);
	ck_assert_ptr_null(query("counts", NULL, &r));
	ck_assert_int_eq(r, -ENOMEM);
	ck_assert_int_eq(put_job(&job), 0);
}
END_TEST

START_TEST(submitting_survives_missing_memory)
{
	struct answer answer = {0};
	int n = 0;

	for (n = 1; n < 10; n++) {
		fail_alloc = n;
		int r = rh_store_put_job(store, &job, on_done, &answer);

		fail_alloc = 0;
		if (r == 0)
			break;
		ck_assert_int_eq(r, -ENOMEM);
	}
	ck_assert_int_eq(n, 4); /* the write, its row, the call */
	run_until(&answer.n);
	ck_assert_int_eq(answer.r, 0);
	for (n = 1; n < 10; n++) {
		fail_alloc = n;
		int r = rh_store_query(store, "counts", NULL, on_query, &answer);

		fail_alloc = 0;
		if (r == 0)
			break;
		ck_assert_int_eq(r, -ENOMEM);
	}
	ck_assert_int_eq(n, 3);
	answer.n = 0;
	run_until(&answer.n);
	(void)json_object_put(answer.data);
}
END_TEST

START_TEST(starting_survives_missing_memory)
{
	struct rh_err err = {0};
	int n = 0;
	int r = -ENOMEM;

	for (n = 1; n < 100000 && r < 0; n++) {
		fail_alloc = n;
		r = rh_store_start(&loop, store_path, store_log, &store, &opened, &err);
		fail_alloc = 0;
		if (r < 0)
			ck_assert_int_eq(r, -ENOMEM);
		(void)uv_run(&loop, UV_RUN_NOWAIT);
	}
	ck_assert_int_eq(r, 0);
	ck_assert_int_gt(n, 5);
	close_store();
}
END_TEST

START_TEST(starting_survives_a_missing_handle_or_thread)
{
	struct rh_err err = {0};

	fail_async = true;
	ck_assert_int_eq(
		rh_store_start(&loop, store_path, store_log, &store, &opened, &err), UV_EMFILE);
	ck_assert_ptr_nonnull(strstr(err.text, "store.db: too many open files"));
	fail_async = false;
	for (int i = 1; i <= 2; i++) {
		fail_thread = i;
		ck_assert_int_eq(
			rh_store_start(&loop, store_path, store_log, &store, &opened, &err),
			-EAGAIN);
		(void)uv_run(&loop, UV_RUN_DEFAULT);
	}
	open_store();
	close_store();
}
END_TEST

START_TEST(a_long_check_goes_on_in_the_background)
{
	static const char junk[4096] = "junk";
	struct rh_store_health h = {0};
	FILE *file = NULL;
	int64_t page = 0;

	open_store();
	for (unsigned i = 0; i < 2000; i++) {
		struct rh_store_step step = {.job = job.id, .step = i, .program = "bash"};

		ck_assert_int_eq(rh_store_put_step(store, &step, NULL, NULL), 0);
	}
	close_store();
	/* The last page holds steps, which nobody looks at when it opens. */
	page = sql_number("PRAGMA page_count") - 1;
	file = fopen(store_path, "r+e");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fseek(file, (long)page * 4096, SEEK_SET), 0);
	ck_assert_uint_eq(fwrite(junk, sizeof(junk), 1, file), 1);
	ck_assert_int_eq(fclose(file), 0);

	fail_next(1, SQLITE_INTERRUPT); /* the check's time is over */
	open_store();
	h = health();
	ck_assert(!h.damaged_set_aside);
	ck_assert(wait_until_condemned());
	ck_assert_int_eq(put_job(&job), 0); /* it goes on */
	close_store();
	open_store();
	h = health();
	ck_assert(h.damaged_set_aside);
	close_store();
}
END_TEST

static void tests_of_failures(Suite *suite)
{
	TCase *running = tcase_create("running");
	TCase *starting = tcase_create("starting");

	tcase_add_checked_fixture(running, make_store, remove_store);
	tcase_set_timeout(running, 60);
	tcase_add_test(running, a_short_trouble_is_not_noticed);
	tcase_add_loop_test(running, a_long_trouble_is_told_in_time, 0,
		(int)(sizeof(codes) / sizeof(codes[0])));
	tcase_add_test(running, it_tries_again_by_itself);
	tcase_add_test(running, what_waits_is_bounded);
	tcase_add_test(running, closing_gives_up_in_time);
	tcase_add_test(running, another_process_may_hold_the_lock);
	tcase_add_test(running, a_refused_row_fails_alone);
	tcase_add_test(running, queries_fail_by_themselves);
	tcase_add_test(running, submitting_survives_missing_memory);
	suite_add_tcase(suite, running);
	tcase_add_checked_fixture(starting, make_dir, remove_dir);
	tcase_set_timeout(starting, 60);
	tcase_add_test(starting, starting_survives_missing_memory);
	tcase_add_test(starting, a_long_check_goes_on_in_the_background);
	tcase_add_test(starting, starting_survives_a_missing_handle_or_thread);
	suite_add_tcase(suite, starting);
}

RH_TEST_MAIN("store-failures", tests_of_failures);
