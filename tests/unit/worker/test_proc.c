/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes: status, streams, signals, cancel, and starts from many threads at once.
 */

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"
#include "rh-test.h"
#include "runner/proc.h"
#include "runnerhub/clock.h"

struct collected {
	struct rh_text text;
};

static void on_line(void *arg, int stream, const char *line, size_t size)
{
	struct collected *c = arg;

	rh_text_printf(&c->text, "%d:%.*s;", stream, (int)size, line);
}

/* Runs a shell text. Return: as rh_proc_run(). */
static int run(const char *script, struct rh_cancel *cancel, int64_t timeout_ms,
	struct collected *collected, struct rh_proc_end *ret_end)
{
	char *argv[] = {(char[]){"/bin/bash"}, (char[]){"-c"}, (char *)(uintptr_t)script, NULL};
	const struct rh_proc_spec spec = {
		.path = argv[0],
		.argv = argv,
		.envp = environ,
		.cwd = "/",
		.cancel = cancel,
		.deadline_ms = timeout_ms ? rh_now_ms() + timeout_ms : 0,
		.on_line = on_line,
		.arg = collected,
	};
	struct rh_err err = {0};

	return rh_proc_run(&spec, ret_end, &err);
}

START_TEST(test_status_and_streams)
{
	struct collected c = {0};
	struct rh_proc_end end = {0};

	ck_assert_int_eq(run("cat; echo out; echo err >&2; pwd; exit 37", NULL, 0, &c, &end), 0);
	ck_assert_int_eq(end.exit_code, 37);
	ck_assert_ptr_nonnull(strstr(c.text.data, "1:out;"));
	ck_assert_ptr_nonnull(strstr(c.text.data, "2:err;"));
	ck_assert_ptr_nonnull(strstr(c.text.data, "1:/;"));
	ck_assert_uint_eq(end.n_bytes[0], 6);
	ck_assert_uint_eq(end.n_bytes[1], 4);
	rh_text_deinit(&c.text);
}
END_TEST

START_TEST(test_death_by_signal)
{
	struct collected c = {0};
	struct rh_proc_end end = {0};

	ck_assert_int_eq(run("kill -9 $$", NULL, 0, &c, &end), 0);
	ck_assert_int_eq(end.exit_code, 128 + 9);
	rh_text_deinit(&c.text);
}
END_TEST

START_TEST(test_start_fails)
{
	char *argv[] = {(char[]){"/bin/true"}, NULL};
	struct rh_proc_spec spec = {
		.path = "/no/such/program", .argv = argv, .envp = environ, .cwd = "/"};
	struct rh_proc_end end = {0};
	struct rh_err err = {0};

	ck_assert_int_eq(rh_proc_run(&spec, &end, &err), -ENOENT);
	spec.path = "/etc/passwd";
	ck_assert_int_eq(rh_proc_run(&spec, &end, &err), -EACCES);
	spec.path = "/bin/true";
	spec.cwd = "/no/such/directory";
	ck_assert_int_eq(rh_proc_run(&spec, &end, &err), -ENOENT);
	ck_assert_str_eq(err.text,
		"An error occurred trying to start process '/bin/true' with working directory "
		"'/no/such/directory'. No such file or directory");
}
END_TEST

/* Handlers go back to their defaults, what is ignored stays so, nothing is blocked. */
START_TEST(test_signals_of_the_child)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct collected c = {0};
	struct rh_proc_end end = {0};
	sigset_t before, after;

	(void)sigaction(SIGPIPE, &ignore, NULL);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &before);
	ck_assert_int_eq(run("grep -E 'Sig(Blk|Ign)' /proc/self/status", NULL, 0, &c, &end), 0);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &after);
	ck_assert_str_eq(c.text.data, "1:SigBlk:\t0000000000000000;1:SigIgn:\t0000000000001000;");
	for (int sig = 1; sig < 32; sig++)
		ck_assert_int_eq(sigismember(&before, sig), sigismember(&after, sig));
	rh_text_deinit(&c.text);
}
END_TEST

START_TEST(test_cancel_begins_with_sigint)
{
	struct rh_cancel cancel;
	struct collected c = {0};
	struct rh_proc_end end = {0};
	int64_t started_ms = rh_now_ms();

	rh_cancel_init(&cancel);
	ck_assert_int_eq(run("trap 'echo INT; exit 5' INT; while :; do sleep 0.05; done", &cancel,
				 2000, &c, &end),
		0);
	ck_assert_int_eq(end.exit_code, 5);
	ck_assert_str_eq(c.text.data, "1:INT;");
	ck_assert_int_eq(atomic_load(&cancel.reason), RH_CANCEL_TIMEOUT);
	ck_assert_int_lt(rh_now_ms() - started_ms, 9000);
	rh_cancel_deinit(&cancel);
	rh_text_deinit(&c.text);
}
END_TEST

/* INT is ignored, TERM comes 7.5 s later, KILL 2.5 s after that. */
START_TEST(test_cancel_to_the_end)
{
	struct rh_cancel cancel;
	struct collected c = {0};
	struct rh_proc_end end = {0};
	int64_t started_ms = rh_now_ms(), took_ms = 0;

	rh_cancel_init(&cancel);
	ck_assert_int_eq(run("trap 'echo TERM' TERM; trap '' INT; while :; do sleep 0.05; done",
				 &cancel, 2000, &c, &end),
		0);
	took_ms = rh_now_ms() - started_ms;
	ck_assert_int_eq(end.exit_code, 128 + 9);
	ck_assert_str_eq(c.text.data, "1:TERM;");
	ck_assert_int_ge(took_ms, 11900);
	ck_assert_int_lt(took_ms, 20000);
	rh_cancel_deinit(&cancel);
	rh_text_deinit(&c.text);
}
END_TEST

/* A daemon that keeps stdout costs five seconds; what it says later is lost. */
START_TEST(test_daemon_costs_five_seconds)
{
	struct collected c = {0};
	struct rh_proc_end end = {0};
	int64_t started_ms = rh_now_ms(), took_ms = 0;

	ck_assert_int_eq(run("(sleep 20; echo late) & echo now", NULL, 0, &c, &end), 0);
	took_ms = rh_now_ms() - started_ms;
	ck_assert_str_eq(c.text.data, "1:now;");
	ck_assert_int_ge(took_ms, 4900);
	ck_assert_int_lt(took_ms, 15000);
	rh_text_deinit(&c.text);
}
END_TEST

static void *start_many(void *arg)
{
	long n_wrong = 0;

	for (int i = 0; i < 50; i++) {
		struct collected c = {0};
		struct rh_proc_end end = {0};

		if (run("echo x; exit 3", NULL, 0, &c, &end) || end.exit_code != 3 ||
			strcmp(c.text.data, "1:x;") != 0)
			n_wrong++;
		rh_text_deinit(&c.text);
	}
	return (void *)(intptr_t)n_wrong;
}

START_TEST(test_many_threads)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, start_many, NULL), 0);
	for (int i = 0; i < 4; i++) {
		void *n_wrong = NULL;

		(void)pthread_join(threads[i], &n_wrong);
		ck_assert_ptr_null(n_wrong);
	}
}
END_TEST

static void tests(Suite *suite)
{
	TCase *slow = tcase_create("slow");

	RH_ADD_TESTS(suite, "proc", test_status_and_streams, test_death_by_signal, test_start_fails,
		test_signals_of_the_child, test_cancel_begins_with_sigint);
	tcase_set_timeout(slow, 60);
	tcase_add_test(slow, test_cancel_to_the_end);
	tcase_add_test(slow, test_daemon_costs_five_seconds);
	tcase_add_test(slow, test_many_threads);
	suite_add_tcase(suite, slow);
}

RH_TEST_MAIN("worker-proc", tests);
