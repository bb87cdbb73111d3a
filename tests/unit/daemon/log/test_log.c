/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/log/log.h: every kind of descriptor, readers that do not read, dropped lines.
 */

#include "broker/daemon/log/log.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rh-test.h"
#include "runnerhub/clock.h"
#include "test_log.h"

static int fds[2]; /* read, write */
static char got[4 * 1024 * 1024];
static size_t n_got;

static void make_pipe(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
}

/* Reads until @text was seen or nothing comes for @ms. */
static bool read_within(int ms, const char *text)
{
	struct pollfd pfd = {.fd = fds[0], .events = POLLIN};

	while (n_got < sizeof(got) - 1) {
		if (strstr(got, text))
			return true;
		if (poll(&pfd, 1, ms) <= 0)
			return false;

		ssize_t n = read(fds[0], got + n_got, sizeof(got) - 1 - n_got);

		if (n <= 0)
			return false;
		n_got += (size_t)n;
		got[n_got] = '\0';
	}
	return false;
}

static bool read_until(const char *text)
{
	return read_within(10000, text);
}

/* Whatever is there already. */
static void drain(void)
{
	(void)read_within(200, "never said");
}

static size_t count(const char *text)
{
	size_t n = 0;

	for (const char *p = got; (p = strstr(p, text)); p++)
		n++;
	return n;
}

START_TEST(levels_choose)
{
	make_pipe();
	struct rh_log *log = rh_log_new(fds[1], RH_LOG_NOTICE, RH_LOG_TEXT);

	ck_assert(rh_log_enabled(log, RH_LOG_WARNING));
	ck_assert(!rh_log_enabled(log, RH_LOG_INFO));
	ck_assert(!rh_log_enabled(NULL, RH_LOG_ERROR));
	rh_log_info(log, "not this");
	rh_log_error(log, "this", RH_NUM("a", 1), RH_ERRNO(-2));
	rh_log_set(log, RH_LOG_DEBUG, RH_LOG_JSON);
	rh_log_debug(log, "that");
	ck_assert(read_until("that"));
	ck_assert_ptr_null(strstr(got, "not this"));
	ck_assert_ptr_nonnull(
		strstr(got, "Z error this a=1 error=\"No such file or directory\"\n"));
	ck_assert_ptr_nonnull(strstr(got, "\"level\":\"debug\",\"event\":\"that\"}\n"));
	rh_log_free(log);
	rh_log_free(NULL);
}
END_TEST

/* Whatever happens, writing 10 000 lines to a reader that sleeps takes no time. */
static void flood(struct rh_log *log)
{
	int64_t start_ms = rh_now_ms();

	for (int i = 0; i < 10000; i++)
		rh_log_info(log, "flood", RH_NUM("i", i), RH_STR("text", "0123456789 0123456789"));
	ck_assert_int_lt(rh_now_ms() - start_ms, 1500);
}

static void check_flood(struct rh_log *log)
{
	unsigned long lines = 0;

	flood(log);
	/* What is kept goes out with the lines that come once there is room. */
	for (int i = 0; i < 5; i++) {
		drain();
		rh_log_notice(log, "after the flood");
	}
	ck_assert(read_until("after the flood\n"));

	const char *lost = strstr(got, "warning log lines dropped lines=");

	ck_assert_ptr_nonnull(lost);
	lines = strtoul(strchr(lost, '=') + 1, NULL, 10);
	ck_assert_uint_eq(lines + count("info flood"), 10000);
	ck_assert_uint_eq(count("log lines dropped"), 1);
}

START_TEST(a_full_pipe_does_not_stall)
{
	make_pipe();
	struct rh_log *log = rh_log_new(fds[1], RH_LOG_INFO, RH_LOG_TEXT);

	/* The flags of the shared description stay. */
	ck_assert_int_eq(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
	check_flood(log);
	rh_log_free(log);
}
END_TEST

START_TEST(a_full_socket_does_not_stall)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	struct rh_log *log = rh_log_new(fds[1], RH_LOG_INFO, RH_LOG_TEXT);

	check_flood(log);
	rh_log_free(log);
}
END_TEST

START_TEST(the_thread_writes)
{
	make_pipe();
	struct rh_log *log = rh_log_new(fds[1], RH_LOG_INFO, RH_LOG_TEXT);

	ck_assert_int_eq(rh_log_start(log), 0);
	rh_log_info(log, "one");
	ck_assert(read_until("one\n"));
	flood(log);
	/* The thread goes on by itself: no further line is needed. */
	drain();
	ck_assert_uint_gt(count("info flood"), 500);
	rh_log_info(log, "last");
	rh_log_free(log);
	ck_assert(read_until("last\n"));
}
END_TEST

START_TEST(the_end_is_bounded)
{
	make_pipe();
	struct rh_log *log = rh_log_new(fds[1], RH_LOG_INFO, RH_LOG_TEXT);

	if (_i)
		ck_assert_int_eq(rh_log_start(log), 0);
	flood(log);

	int64_t start_ms = rh_now_ms();

	rh_log_free(log);
	ck_assert_int_lt(rh_now_ms() - start_ms, 3000);
}
END_TEST

START_TEST(a_gone_reader_is_survived)
{
	make_pipe();
	struct rh_log *log = rh_log_new(fds[1], RH_LOG_INFO, RH_LOG_TEXT);

	if (_i)
		ck_assert_int_eq(rh_log_start(log), 0);
	(void)close(fds[0]);
	flood(log);
	rh_log_free(log);
}
END_TEST

START_TEST(files_get_every_line)
{
	FILE *file = tmpfile();
	struct stat st;

	ck_assert_ptr_nonnull(file);
	struct rh_log *log = rh_log_new(fileno(file), RH_LOG_INFO, RH_LOG_JSON);

	ck_assert_int_eq(rh_log_start(log), 0);
	for (int i = 0; i < 100; i++)
		rh_log_info(log, "line");
	rh_log_free(log);
	ck_assert_int_eq(fstat(fileno(file), &st), 0);
	rewind(file);
	n_got = fread(got, 1, sizeof(got) - 1, file);
	ck_assert_uint_eq(count("\n"), 100);
	(void)fclose(file);
}
END_TEST

START_TEST(the_journal_gets_priorities)
{
	struct stat st;
	char text[64];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(fstat(fds[1], &st), 0);
	(void)snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", text, 1), 0);
	struct rh_log *log = rh_log_new(fds[1], RH_LOG_INFO, RH_LOG_TEXT);

	rh_log_notice(log, "hello");
	ck_assert(read_until("hello\n"));
	ck_assert_int_eq(strncmp(got, "<5>20", 5), 0);
	rh_log_free(log);
}
END_TEST

START_TEST(a_closed_descriptor_is_survived)
{
	struct rh_log *log = rh_log_new(-1, RH_LOG_INFO, RH_LOG_TEXT);

	flood(log);
	rh_log_free(log);
}
END_TEST

static void tests_of_log(Suite *suite)
{
	RH_ADD_TESTS(suite, "log", levels_choose, a_full_pipe_does_not_stall,
		a_full_socket_does_not_stall, the_thread_writes, files_get_every_line,
		the_journal_gets_priorities, a_closed_descriptor_is_survived);

	TCase *both = tcase_create("with and without the thread");

	tcase_add_loop_test(both, the_end_is_bounded, 0, 2);
	tcase_add_loop_test(both, a_gone_reader_is_survived, 0, 2);
	suite_add_tcase(suite, both);
}

RH_TEST_MAIN("log", tests_of_log, tests_of_format);
