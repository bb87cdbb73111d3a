/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/mount/mount.h: the broker's side with real helpers.
 */

#include "broker/daemon/mount/mount.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "rh-test.h"

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

	ck_assert_int_eq(rh_mounter_attach(fix_mounter, &attach, fix_on_done, &answer), 0);
	ck_assert_int_eq(answer.n, 0);
	fix_run_until(&answer, 1);
	ck_assert_msg(answer.r == 0, "%s", answer.err.text);
	ck_assert(answer.result.id_mapped);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("_temp/g")), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_chown_1000, in_work("_temp/g")), 0);
	fake_stop(&c);

	ck_assert_int_eq(rh_mounter_release(fix_mounter, &release, fix_on_done, &answer), 0);
	fix_run_until(&answer, 2);
	ck_assert_msg(answer.r == 0, "%s", answer.err.text);
	ck_assert_int_eq(fake_exists(in_work("demo/demo/f")), -ENOENT);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo")), 47);
	ck_assert_int_eq(fake_exists(in_work("_temp/g")), -ENOENT);
	ck_assert_int_eq(fake_exists(in_work("_runnerhub/leased-demo")), -ENOENT);

	ck_assert_int_eq(rh_mounter_sweep(fix_mounter, fake_work, fix_on_swept, &answer), 0);
	fix_run_until(&answer, 3);
	ck_assert_int_eq(answer.r, 0);
	ck_assert_uint_eq(answer.n_files, 2);
	ck_assert_uint_ge(answer.bytes, 8192);
	ck_assert_int_eq(rmdir(in_work("_runnerhub/trash")), 0);
}
END_TEST

START_TEST(sweeps_run_beside_attaches)
{
	struct answer swept = {0};
	struct answer made = {0};

	ck_assert_int_eq(kill(fix_helper("rh-sweep"), SIGSTOP), 0);
	ck_assert_int_eq(
		rh_mounter_remove_tree(fix_mounter, fake_state, "x", fix_on_swept, &swept), 0);
	ck_assert_int_eq(rh_mounter_remove_tree(fix_mounter, fake_state, "y", NULL, NULL), 0);
	fix_make_dir(&made, "x");
	fix_run_until(&made, 1);
	ck_assert_int_eq(made.r, 0);
	ck_assert_int_eq(swept.n, 0);
	ck_assert_int_eq(kill(fix_helper("rh-sweep"), SIGCONT), 0);
	fix_run_until(&swept, 1);
	ck_assert_int_eq(swept.r, 0);
}
END_TEST

/* A broker that stops does not wait for a huge workspace, but still removes its containers'. */
START_TEST(sweeps_end_before_the_mounter)
{
	struct answer swept = {0};
	struct answer waits = {0};
	struct answer removed = {0};

	ck_assert_int_eq(kill(fix_helper("rh-sweep"), SIGSTOP), 0);
	ck_assert_int_eq(rh_mounter_sweep(fix_mounter, fake_work, fix_on_swept, &swept), 0);
	ck_assert_int_eq(
		rh_mounter_remove_tree(fix_mounter, fake_state, "x", fix_on_swept, &removed), 0);
	ck_assert_int_eq(rh_mounter_sweep(fix_mounter, fake_work, fix_on_swept, &waits), 0);
	rh_mounter_end_sweeps(fix_mounter);
	ck_assert_int_eq(swept.n + waits.n, 0);
	ck_assert_int_eq(
		rh_mounter_sweep(fix_mounter, fake_work, fix_on_swept, &swept), -ECANCELED);
	fix_run_until(&swept, 1);
	fix_run_until(&waits, 1);
	fix_run_until(&removed, 1);
	ck_assert_int_eq(swept.r, -ECANCELED);
	ck_assert_int_eq(waits.r, -ECANCELED);
	ck_assert_int_eq(removed.r, 0);
	/* Once more: there is nothing left to end. */
	rh_mounter_end_sweeps(fix_mounter);
}
END_TEST

START_TEST(the_queue_is_bounded)
{
	struct answer answer = {0};
	char name[16];
	int n = 0;

	ck_assert_int_eq(kill(fix_helper("rh-mount"), SIGSTOP), 0);
	while (n < RH_MOUNT_QUEUE_MAX) {
		(void)snprintf(name, sizeof(name), "d%d", n++);
		fix_make_dir(&answer, name);
	}
	ck_assert_int_eq(rh_mounter_make_dir(fix_mounter, fake_state, "more", fix_on_done, &answer),
		-ENOBUFS);
	ck_assert_int_eq(
		rh_mounter_make_dir(fix_mounter, fake_state, NULL, fix_on_done, &answer), -ENOBUFS);
	ck_assert_int_eq(kill(fix_helper("rh-mount"), SIGCONT), 0);
	fix_run_until(&answer, n);
	ck_assert_int_eq(answer.r, 0);
	ck_assert_int_eq(
		rh_mounter_make_dir(fix_mounter, fake_state, NULL, fix_on_done, &answer), -EINVAL);
}
END_TEST

static struct answer cancelled;

START_TEST(closing_answers_what_waits)
{
	ck_assert_int_eq(kill(fix_helper("rh-mount"), SIGSTOP), 0);
	fix_make_dir(&cancelled, "a");
	fix_make_dir(&cancelled, "b");
	rh_mounter_close(fix_mounter, fix_on_closed, NULL);
	ck_assert_int_eq(cancelled.n, 0);
	ck_assert_int_eq(rh_mounter_make_dir(fix_mounter, fake_state, "c", fix_on_done, &cancelled),
		-ECANCELED);
	while (!fix_closed)
		(void)uv_run(&fix_loop, UV_RUN_ONCE);
	ck_assert_int_eq(cancelled.n, 2);
	ck_assert_int_eq(cancelled.r, -ECANCELED);
	/* For the fixture. */
	struct rh_err err;

	ck_assert_int_eq(rh_mounter_fork(&fix_mounter, &err), 0);
	ck_assert_int_eq(rh_mounter_start(fix_mounter, &fix_loop, fix_log), 0);
	fix_closed = false;
}
END_TEST

START_TEST(a_mounter_may_never_start)
{
	struct rh_mounter *other = NULL;
	struct rh_err err;

	fix_closed = false;
	ck_assert_int_eq(rh_mounter_fork(&other, &err), 0);
	ck_assert_int_eq(rh_mounter_sweep(other, fake_work, NULL, NULL), -ECANCELED);
	rh_mounter_end_sweeps(other);
	rh_mounter_close(other, fix_on_closed, NULL);
	ck_assert(fix_closed);
	fix_closed = false;
}
END_TEST

static void tests(Suite *suite)
{
	const TTest *const all[] = {a_job_comes_and_goes, sweeps_run_beside_attaches,
		sweeps_end_before_the_mounter, the_queue_is_bounded, closing_answers_what_waits,
		a_mounter_may_never_start};
	TCase *helpers = tcase_create("mounter");

	tcase_add_checked_fixture(helpers, fix_setup, fix_teardown);
	tcase_set_timeout(helpers, 30);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tcase_add_test(helpers, all[i]);
	suite_add_tcase(suite, helpers);
}

RH_TEST_MAIN("mount", tests);
