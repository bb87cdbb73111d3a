/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/mount/mount.h: the broker's side with real helpers.
 */

#include "broker/daemon/mount/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/mount/mounter.h"
#include "fake.h"
#include "rh-test.h"
#include "runnerhub/clock.h"

static uv_loop_t loop;
static struct rh_log *log_;
static struct rh_mounter *mounter;
static bool closed;

struct answer {
	int n;
	int r;
	struct rh_mount_result result;
	uint64_t bytes;
	uint64_t n_files;
	struct rh_err err;
};

static void on_done(
	void *arg, int r, const struct rh_mount_result *result, const struct rh_err *err)
{
	struct answer *answer = arg;

	answer->n++;
	answer->r = r;
	answer->result = *result;
	answer->err = *err;
}

static void on_swept(void *arg, int r, uint64_t bytes, uint64_t n_files)
{
	struct answer *answer = arg;

	answer->n++;
	answer->r = r;
	answer->bytes = bytes;
	answer->n_files = n_files;
}

static void on_closed(void *arg)
{
	closed = true;
}

static void setup(void)
{
	struct rh_err err;

	fake_setup();
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	log_ = rh_log_new(STDERR_FILENO, RH_LOG_ERROR, RH_LOG_TEXT);
	ck_assert_ptr_nonnull(log_);
	ck_assert_int_eq(rh_mounter_fork(&mounter, &err), 0);
	ck_assert_int_eq(rh_mounter_start(mounter, &loop, log_), 0);
}

static void teardown(void)
{
	pid_t zygote = mounter->zygote.pid;

	rh_mounter_close(mounter, on_closed, NULL);
	rh_mounter_close(mounter, NULL, NULL);
	ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	ck_assert(closed);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	ck_assert_int_eq(kill(zygote, 0), -1); /* reaped */
	rh_log_free(log_);
	fake_teardown();
}

static void run_until(const struct answer *answer, int n)
{
	while (answer->n < n)
		ck_assert_int_ne(uv_run(&loop, UV_RUN_ONCE), 0);
}

START_TEST(a_job_comes_and_goes)
{
	struct fake_container c = fake_start(NULL);
	struct rh_mount_attach attach = fake_attach(&c, 0);
	const struct rh_mount_release release = {
		.work = fake_work,
		.repo = "demo",
		.runner_uid = FAKE_RUNNER_UID,
		.runner_gid = FAKE_RUNNER_GID,
		.id_map_base = FAKE_BASE,
		.scrub_workspace = true,
	};
	struct answer answer = {0};

	ck_assert_int_eq(rh_mounter_attach(mounter, &attach, on_done, &answer), 0);
	ck_assert_int_eq(answer.n, 0);
	run_until(&answer, 1);
	ck_assert_msg(answer.r == 0, "%s", answer.err.text);
	ck_assert(answer.result.id_mapped);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("_temp/g")), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_chown_1000, in_work("_temp/g")), 0);
	fake_stop(&c);

	ck_assert_int_eq(rh_mounter_release(mounter, &release, on_done, &answer), 0);
	run_until(&answer, 2);
	ck_assert_msg(answer.r == 0, "%s", answer.err.text);
	ck_assert_int_eq(fake_exists(in_work("demo/demo/f")), -ENOENT);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo")), 47);
	ck_assert_int_eq(fake_exists(in_work("_temp/g")), -ENOENT);
	ck_assert_int_eq(fake_exists(in_work("_runnerhub/leased-demo")), -ENOENT);

	ck_assert_int_eq(rh_mounter_sweep(mounter, fake_work, on_swept, &answer), 0);
	run_until(&answer, 3);
	ck_assert_int_eq(answer.r, 0);
	ck_assert_uint_eq(answer.n_files, 2);
	ck_assert_uint_ge(answer.bytes, 8192);
	ck_assert_int_eq(rmdir(in_work("_runnerhub/trash")), 0);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *helpers = tcase_create("helpers");

	tcase_add_checked_fixture(helpers, setup, teardown);
	tcase_add_test(helpers, a_job_comes_and_goes);
	suite_add_tcase(suite, helpers);
}

RH_TEST_MAIN("mount", tests);
