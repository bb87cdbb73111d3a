/* SPDX-License-Identifier: Apache-2.0 */

/*
 * hook/verb_exec.c through the real programs, a Worker, the preload library, the hook program, with
 * a broker that behaves well: what a step is given, and what comes back.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rh-test.h"
#include "support/fixture.h"

static void shell_with(const char *const *options, const char *script)
{
	host_run(&host,
		&(struct run_spec){.options = options, .argv = WORDS("/bin/sh", "-c", script)},
		&run);
}

static void shell(const char *script)
{
	shell_with(WORDS("step"), script);
}

START_TEST(status_and_streams_come_back)
{
	fake_broker_start(&broker, &host, FAKE_SERVE);
	shell("echo out; echo err >&2; exit 37");
	ck_assert_int_eq(run.status, 37);
	ck_assert_str_eq(run.out, "out\n");
	ck_assert_str_eq(run.err, "err\n");
	shell("kill -9 $$");
	ck_assert_int_eq(run.status, 137);
	shell("true");
	ck_assert_int_eq(run.status, 0);
	ck_assert_int_eq(host_log_count(&host, "leaked=0"), 3);
	/*
	 * The block, the broker's socket, the channel (its other end for a moment more), the
	 * signals; never the Listener's pipes.
	 */
	ck_assert_int_eq(
		host_log_count(&host, "peer fds=4") + host_log_count(&host, "peer fds=5"), 3);
	ck_assert_int_eq(host_log_count(&host, "sigpipe=1"), 3);
}
END_TEST

START_TEST(the_step_is_what_the_worker_started)
{
	char line[1200];

	fake_broker_start(&broker, &host, FAKE_SERVE);
	host_run(&host,
		&(struct run_spec){.options = WORDS("step", "set=FROM_JOB=a b",
					   "set=PATH=/job/bin:/usr/local/bin:"
					   "/usr/bin:/bin"),
			.argv = WORDS("/usr/bin/env", "-u", "", "/bin/sh", "-c", "exit 0", "",
				"two\nlines", "\xff\xfe"),
			.env = WORDS("PIPELINE_JOB_OOMSCOREADJ=77")},
		&run);
	(void)snprintf(line, sizeof(line), "block path=/usr/bin/env cwd=%s n_args=9 ", host.work);
	ck_assert_int_eq(host_log_count(&host, line), 1);
	ck_assert_int_eq(host_log_count(&host, "umask=22 oom=77"), 1);
	ck_assert_int_eq(host_log_count(&host, "env FROM_JOB=a b"), 1);
	ck_assert_int_eq(host_log_count(&host, "env RUNNER_TEMP=/work/_temp"), 1);
	ck_assert_int_eq(host_log_count(&host, "env LANG="), 1);
	ck_assert_int_eq(host_log_count(&host, "env HOST_SECRET"), 0);
	ck_assert_int_eq(host_log_count(&host, "env HOME"), 0);
	ck_assert_int_eq(host_log_count(&host, "env LD_"), 0);
	ck_assert_int_eq(host_log_count(&host, "env ACTIONS_RUNNER_HOOK"), 0);
}
END_TEST

START_TEST(nobody_reads_its_arguments)
{
	fake_broker_start(&broker, &host, FAKE_SERVE);
	shell("echo secret");
	ck_assert_str_eq(run.out, "secret\n");
	ck_assert_int_eq(host_log_count(&host, "peer name=/bin/sh args=0"), 1);
}
END_TEST

START_TEST(an_environment_may_be_empty)
{
	fake_broker_start(&broker, &host, FAKE_SERVE);
	host_run(&host,
		&(struct run_spec){.options = WORDS("empty"), .argv = WORDS("/usr/bin/env")}, &run);
	ck_assert_int_eq(run.status, 0);
	ck_assert_str_eq(run.out, "");
	ck_assert_int_eq(host_log_count(&host, "n_envs=0 "), 1);
}
END_TEST

START_TEST(stdin_comes_through)
{
	fake_broker_start(&broker, &host, FAKE_SERVE);
	host_run(&host,
		&(struct run_spec){.options = WORDS("step"),
			.argv = WORDS("/bin/cat"),
			.input = "some\xff input"},
		&run);
	ck_assert_str_eq(run.out, "some\xff input");
	/* Closed at once, as the runner does: end of file at once. */
	host_run(&host, &(struct run_spec){.options = WORDS("step"), .argv = WORDS("/bin/cat")},
		&run);
	ck_assert_int_eq(run.status, 0);
	ck_assert_int_lt(run.ms, 5000);
}
END_TEST

START_TEST(closed_descriptors_become_null)
{
	fake_broker_start(&broker, &host, FAKE_SERVE);
	shell_with(WORDS("step", "close=0"), "cat; readlink /proc/self/fd/0");
	ck_assert_str_eq(run.out, "/dev/null\n");
	shell_with(WORDS("step", "close=012"), "echo x; echo y >&2; exit 8");
	ck_assert_int_eq(run.status, 8);
	ck_assert_str_eq(run.out, "");
	shell_with(WORDS("step", "close=2"), "echo x; echo y >&2; readlink /proc/self/fd/2");
	ck_assert_str_eq(run.out, "x\n/dev/null\n");
}
END_TEST

START_TEST(few_descriptors_suffice)
{
	fake_broker_start(&broker, &host, FAKE_SERVE);
	shell_with(WORDS("step", "files=10"), "exit 6");
	ck_assert_int_eq(run.status, 6);
	host_set_waits(&host, 200, 200);
	shell_with(WORDS("step", "files=5"), "exit 6");
	ck_assert_int_eq(run.status, 1);
	ck_assert_ptr_nonnull(strstr(run.err, "runnerhub: "));
}
END_TEST

START_TEST(a_stream_ends_when_the_step_closes_it)
{
	fake_broker_start(&broker, &host, FAKE_SERVE);
	/* The reader below gets end of file although the step goes on. */
	shell("exec 3>&2; { cat >&3; echo eof >&3; } < /dev/null; exec >&-; sleep 0.3; exit 2");
	ck_assert_int_eq(run.status, 2);
	ck_assert_str_eq(run.err, "eof\n");
}
END_TEST

START_TEST(long_output_is_whole)
{
	fake_broker_start(&broker, &host, FAKE_SERVE);
	shell("head -c 67108864 /dev/zero");
	ck_assert_int_eq(run.status, 0);
	ck_assert_uint_eq(run.out_size, 67108864);
}
END_TEST

START_TEST(long_arguments_are_whole)
{
	static char big[130000];
	char variable[64];

	fake_broker_start(&broker, &host, FAKE_SERVE);
	(void)snprintf(big, sizeof(big), "set=BIG=%0129991d", 0);
	host_run(&host,
		&(struct run_spec){.options = WORDS("step", big, "words=3000"),
			.argv = WORDS("/bin/sh", "-c", "echo $# ${#BIG}", "sh")},
		&run);
	(void)snprintf(variable, sizeof(variable), "3000 %zu\n", sizeof(big) - 1 - 8);
	ck_assert_str_eq(run.out, variable);
}
END_TEST

START_TEST(signals_reach_the_step)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

	fake_broker_start(&broker, &host, FAKE_SERVE);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		host_run(&host,
			&(struct run_spec){.options = WORDS("step"),
				.signal = signals[i],
				.argv = WORDS("/bin/sh", "-c",
					"trap 'echo int' INT; trap 'echo term; exit 3' TERM; "
					"trap 'echo hup; exit 4' HUP; trap 'echo quit; exit 5' "
					"QUIT; "
					"echo ready; while :; do sleep 0.05; done"),
				.second_signal = signals[i] == SIGINT ? SIGTERM : 0},
			&run);
		ck_assert_int_eq(run.status,
			signals[i] == SIGHUP            ? 4
				: signals[i] == SIGQUIT ? 5
							: 3);
		if (signals[i] == SIGINT)
			ck_assert_str_eq(run.out, "ready\nint\nterm\n");
	}
	/* Untrapped, and its status is the signal's. */
	host_run(&host,
		&(struct run_spec){.options = WORDS("step"),
			.signal = SIGTERM,
			.argv = WORDS("/bin/sh", "-c", "echo ready; exec sleep 60")},
		&run);
	ck_assert_int_eq(run.status, 128 + SIGTERM);
}
END_TEST

START_TEST(a_killed_client_is_seen)
{
	fake_broker_start(&broker, &host, FAKE_SERVE);
	host_run(&host,
		&(struct run_spec){.options = WORDS("step"),
			.signal = SIGKILL,
			.argv = WORDS("/bin/sh", "-c", "echo ready; sleep 60")},
		&run);
	ck_assert_int_eq(run.status, 128 + SIGKILL);
	for (int i = 0; i < 200 && host_log_count(&host, "client lost") == 0; i++)
		(void)usleep(10000);
	ck_assert_int_eq(host_log_count(&host, "client lost"), 1);
}
END_TEST

START_TEST(silence_after_go_has_none)
{
	host_set_waits(&host, 2000, 2000);
	fake_broker_start(&broker, &host, FAKE_SERVE);
	shell("sleep 3; exit 3");
	ck_assert_int_eq(run.status, 3);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *steps = tcase_create("steps");

	tcase_add_checked_fixture(steps, set_up, tear_down);
	tcase_set_timeout(steps, 60);
	tcase_add_test(steps, status_and_streams_come_back);
	tcase_add_test(steps, the_step_is_what_the_worker_started);
	tcase_add_test(steps, nobody_reads_its_arguments);
	tcase_add_test(steps, an_environment_may_be_empty);
	tcase_add_test(steps, stdin_comes_through);
	tcase_add_test(steps, closed_descriptors_become_null);
	tcase_add_test(steps, few_descriptors_suffice);
	tcase_add_test(steps, a_stream_ends_when_the_step_closes_it);
	tcase_add_test(steps, long_output_is_whole);
	tcase_add_test(steps, long_arguments_are_whole);
	tcase_add_test(steps, signals_reach_the_step);
	tcase_add_test(steps, a_killed_client_is_seen);
	tcase_add_test(steps, silence_after_go_has_none);
	suite_add_tcase(suite, steps);
}

RH_TEST_MAIN("hook/verb_exec", tests);
