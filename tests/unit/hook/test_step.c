/* SPDX-License-Identifier: Apache-2.0 */

/*
 * hook/step.h through the real programs, with a broker that is absent, or behaves badly: each is
 * one line and a failure, never a step that runs twice.
 */

#include "step.h"

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

static void shell(const char *script)
{
	host_run(&host,
		&(struct run_spec){
			.options = WORDS("step"), .argv = WORDS("/bin/sh", "-c", script)},
		&run);
}

/* What every way to lose a step has in common. */
static void expect_failure(const char *line)
{
	ck_assert_int_eq(run.status, 1);
	ck_assert_str_eq(run.out, "");
	ck_assert_msg(strstr(run.err, line) != NULL, "%s not in %s", line, run.err);
	ck_assert_int_eq(strncmp(run.err, "runnerhub: ", 11), 0);
	/* One line. */
	ck_assert_ptr_eq(strchr(run.err, '\n'), run.err + strlen(run.err) - 1);
}

START_TEST(no_broker_is_one_line)
{
	char path[400];

	(void)snprintf(path, sizeof(path), "%s/ran", host.work);
	host_set_waits(&host, 300, 300);
	shell("touch ran; echo ran");
	expect_failure("the step was not run");
	ck_assert_int_ge(run.ms, 300);
	ck_assert_int_lt(run.ms, 3000);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_broker_that_comes_late_is_found)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)usleep(300000);
		fake_broker_start(&broker, &host, FAKE_SERVE);
		(void)usleep(3000000);
		fake_broker_stop(&broker);
		_exit(0);
	}
	shell("exit 3");
	ck_assert_int_eq(run.status, 3);
	ck_assert_str_eq(run.err, "");
	(void)waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(a_refusal_is_shown)
{
	enum fake_mode modes[] = {FAKE_REFUSE, FAKE_REFUSE_CHANNEL_FIRST};

	fake_broker_start(&broker, &host, modes[_i]);
	shell("echo ran");
	expect_failure("runnerhub: this job has no container; see its log\n");
	ck_assert_int_eq(host_log_count(&host, "type step"), 1);
	ck_assert_int_lt(run.ms, 2000);
}
END_TEST

START_TEST(what_was_lost_before_go_is_sent_again)
{
	enum fake_mode modes[] = {FAKE_DROP_FIRST, FAKE_GARBAGE_BEFORE_GO};

	fake_broker_start(&broker, &host, modes[_i]);
	shell("echo once; exit 3");
	ck_assert_int_eq(run.status, 3);
	ck_assert_str_eq(run.out, "once\n");
	ck_assert_str_eq(run.err, "");
	ck_assert_int_eq(host_log_count(&host, "type step"), 2);
	ck_assert_int_eq(host_log_count(&host, "go"), 1);
}
END_TEST

START_TEST(an_agent_may_say_no)
{
	static const struct {
		enum fake_mode mode;
		const char *line;
	} rows[] = {
		{FAKE_NO_ROOM, "runnerhub: too many steps at once\n"},
		{FAKE_NO_ROOM_SUCCESS, "impossible status"},
	};

	fake_broker_start(&broker, &host, rows[_i].mode);
	shell("echo ran");
	expect_failure(rows[_i].line);
	ck_assert_int_eq(host_log_count(&host, "type step"), 1);
	ck_assert_int_lt(run.ms, 2000);
}
END_TEST

START_TEST(the_broker_may_leave)
{
	fake_broker_start(&broker, &host, FAKE_LEAVE);
	shell("sleep 0.2; echo done; exit 3");
	ck_assert_int_eq(run.status, 3);
	ck_assert_str_eq(run.out, "done\n");
}
END_TEST

START_TEST(a_silent_broker_has_a_deadline)
{
	host_set_waits(&host, 400, 400);
	fake_broker_start(&broker, &host, FAKE_SILENT);
	shell("echo ran");
	expect_failure("the step was not run");
	ck_assert_int_ge(run.ms, 400);
	ck_assert_int_lt(run.ms, 3000);
	for (int i = 0; i < 200 && host_log_count(&host, "silent until") == 0; i++)
		(void)usleep(10000);
	ck_assert_int_eq(host_log_count(&host, "silent until the end"), 1);
	ck_assert_int_eq(host_log_count(&host, "ready then: impossible"), 1);
}
END_TEST

/* The signal is seen before READY, which came before it could be taken back: the step has it. */
START_TEST(a_signal_beside_ready_reaches_the_step)
{
	fake_broker_start(&broker, &host, FAKE_READY_AND_SIGNAL);
	shell("trap 'exit 8' TERM; sleep 5 & wait");
	ck_assert_int_eq(run.status == 8 || run.status == 128 + SIGTERM, 1);
	ck_assert_int_eq(host_log_count(&host, "signal 15"), 1);
}
END_TEST

START_TEST(what_is_lost_after_go_is_a_failure)
{
	static const struct {
		enum fake_mode mode;
		const char *line;
	} rows[] = {
		{FAKE_LOST, "the container was killed (out of memory)"},
		{FAKE_GONE, "went away while the step ran"},
		{FAKE_GARBAGE, "went away while the step ran"},
		{FAKE_SHORT_EXIT, "went away while the step ran"},
		{FAKE_BAD_STATUS, "impossible status"},
	};

	fake_broker_start(&broker, &host, rows[_i].mode);
	shell("true");
	expect_failure(rows[_i].line);
	ck_assert_int_eq(host_log_count(&host, "type step"), 1);
	ck_assert_int_lt(run.ms, 4000);
}
END_TEST

/* Whether a process has come as far as to hold @sig back, to read it by descriptor. */
static bool holds_back(pid_t pid, int sig)
{
	char path[64], text[4096];

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);

	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';

	const char *blocked = strstr(text, "SigBlk:");

	return blocked && strtoull(blocked + strlen("SigBlk:"), NULL, 16) >> (sig - 1) & 1;
}

START_TEST(a_signal_before_go_ends_it)
{
	host_set_waits(&host, 20000, 20000);

	/* The Worker prints nothing, so that it is asked by the clock. */
	pid_t pid = fork();

	if (pid == 0) {
		char path[512];

		(void)snprintf(path, sizeof(path), "%s/exec", host.libexec);
		(void)execl(path, "/bin/true", (char *)NULL);
		_exit(99);
	}
	for (int i = 0; i < 1000 && !holds_back(pid, SIGINT); i++)
		(void)usleep(10000);
	ck_assert_int_eq(kill(pid, SIGINT), 0);

	int status = 0;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 128 + SIGINT);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *trouble = tcase_create("trouble");

	tcase_add_checked_fixture(trouble, set_up, tear_down);
	tcase_set_timeout(trouble, 60);
	tcase_add_test(trouble, no_broker_is_one_line);
	tcase_add_test(trouble, a_broker_that_comes_late_is_found);
	tcase_add_loop_test(trouble, a_refusal_is_shown, 0, 2);
	tcase_add_loop_test(trouble, what_was_lost_before_go_is_sent_again, 0, 2);
	tcase_add_loop_test(trouble, an_agent_may_say_no, 0, 2);
	tcase_add_test(trouble, the_broker_may_leave);
	tcase_add_test(trouble, a_silent_broker_has_a_deadline);
	tcase_add_test(trouble, a_signal_beside_ready_reaches_the_step);
	tcase_add_loop_test(trouble, what_is_lost_after_go_is_a_failure, 0, 5);
	tcase_add_test(trouble, a_signal_before_go_ends_it);
	suite_add_tcase(suite, trouble);
}

RH_TEST_MAIN("hook/step", tests);
