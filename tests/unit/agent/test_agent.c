/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/agent: a whole agent, driven through its sockets.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rh-test.h"
#include "rig.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"

static struct rig rig;
static struct rig_result result;

static void start(void)
{
	rig_start(&rig);
}

static void stop(void)
{
	rig_stop(&rig);
}

START_TEST(status_and_streams_arrive)
{
	rig_run_sh(&rig, "echo out; echo err >&2; exit 37", &result);
	ck_assert_int_eq(result.exit_code, 37);
	ck_assert_str_eq(result.out, "out\n");
	ck_assert_str_eq(result.err, "err\n");
	ck_assert_int_eq(result.report.exit_code, 37);
	ck_assert_int_eq(result.report.signal, 0);
	ck_assert_uint_eq(result.report.flags, 0);
	ck_assert_uint_gt(result.report.wall_us, 0);
	ck_assert_uint_gt(result.report.peak_rss_kib, 0);
	ck_assert_int_gt(result.report.ended_wall_ms, 0);
	ck_assert_str_eq(result.text, "");
}
END_TEST

START_TEST(death_by_signal_is_128_and_more)
{
	rig_run_sh(&rig, "kill -9 $$", &result);
	ck_assert_int_eq(result.exit_code, 128 + SIGKILL);
	ck_assert_int_eq(result.report.signal, SIGKILL);
}
END_TEST

START_TEST(stdin_is_a_pipe_with_an_end)
{
	char *argv[4];
	struct rh_block_spec spec = rig_sh(argv, "cat; echo end");
	struct rig_step step = rig_go(&rig, &spec, true);

	ck_assert_int_eq(write(step.in, "in\n", 3), 3);
	rh_close(step.in);
	step.in = -1;
	rig_finish(&rig, &step, &result);
	ck_assert_int_eq(result.exit_code, 0);
	ck_assert_str_eq(result.out, "in\nend\n");
}
END_TEST

static void tests(Suite *suite)
{
	TCase *steps = tcase_create("steps");

	tcase_add_checked_fixture(steps, start, stop);
	tcase_add_test(steps, status_and_streams_arrive);
	tcase_add_test(steps, death_by_signal_is_128_and_more);
	tcase_add_test(steps, stdin_is_a_pipe_with_an_end);
	suite_add_tcase(suite, steps);
}

RH_TEST_MAIN("agent", tests);
