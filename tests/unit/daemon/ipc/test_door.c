/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/ipc/door.h and strangers.h: no descriptor left, a removed file, another's file,
 * closing, and a log that nobody can fill.
 */

#include "broker/daemon/ipc/door.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/ipc/strangers.h"
#include "rh-test.h"
#include "runnerhub/fd.h"

static uv_loop_t loop;
static struct rh_log *log_;
static struct rh_door *door;
static char path[64];
static int log_pipe[2];
static int n_connections, n_full, n_closed;

static void on_connection(void *arg, int fd)
{
	ck_assert_ptr_eq(arg, &n_connections);
	n_connections++;
	rh_close(fd);
}

static void on_full(void *arg, int fd)
{
	ck_assert_ptr_eq(arg, &n_connections);
	ck_assert_int_eq(send(fd, "full", 4, 0), 4);
	n_full++;
}

static void on_closed(void *arg)
{
	n_closed++;
}

static int open_door(struct rh_err *err)
{
	const struct rh_door_options options = {
		.loop = &loop,
		.log = log_,
		.path = path,
		.type = SOCK_SEQPACKET,
		.mode = 0640,
		.gid = getegid(),
		.backlog = 16,
		.on_connection = on_connection,
		.on_full = on_full,
		.arg = &n_connections,
	};

	return rh_door_open(&options, &door, err);
}

static void set_up(void)
{
	struct rh_err err = {0};

	(void)snprintf(path, sizeof(path), "/tmp/rh-door-%d.sock", (int)getpid());
	ck_assert_int_eq(pipe2(log_pipe, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	log_ = rh_log_new(log_pipe[1], RH_LOG_WARNING, RH_LOG_TEXT);
	ck_assert_ptr_nonnull(log_);
	ck_assert_int_eq(open_door(&err), 0);
	n_connections = n_full = n_closed = 0;
}

static void tear_down(void)
{
	rh_door_close(door, on_closed, NULL);
	rh_door_close(door, on_closed, NULL);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(n_closed, 1);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	rh_log_free(log_);
	(void)close(log_pipe[0]);
	(void)close(log_pipe[1]);
	(void)unlink(path);
}

static int dial(void)
{
	int fd = rh_unix_connect(path, SOCK_SEQPACKET);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void turn_loop(void)
{
	for (int i = 0; i < 10; i++)
		(void)uv_run(&loop, UV_RUN_NOWAIT);
}

/* Lines of the log so far. */
static int count_log(const char *word)
{
	static char text[65536];
	static size_t n;
	int found = 0;
	ssize_t got = 0;

	while ((got = read(log_pipe[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	for (const char *at = text; (at = strstr(at, word)); at++)
		found++;
	return found;
}

START_TEST(many_are_served)
{
	int fds[10];

	for (size_t i = 0; i < 10; i++)
		fds[i] = dial();
	turn_loop();
	ck_assert_int_eq(n_connections, 10);
	for (size_t i = 0; i < 10; i++)
		(void)close(fds[i]);
}
END_TEST

START_TEST(without_descriptors_it_turns_away_and_says_so_once)
{
	struct rlimit limit, old;
	int fds[3];

	for (size_t i = 0; i < 3; i++)
		fds[i] = dial();
	/* All that is open stays; nothing new can be. */
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	limit = old;
	limit.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	turn_loop();
	/* The spare one cannot be opened again under this limit either, which is the worst case. */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	ck_assert_int_eq(n_connections, 0);
	ck_assert_int_le(count_log("turned away"), 1);
	ck_assert_int_le(count_log("cannot accept"), 1);
	/* It rested, and the look each second brings it back. */
	ck_assert_int_eq(rh_door_check(door, &(struct rh_err){0}), 0);
	turn_loop();
	ck_assert_int_eq(n_connections + n_full, 3);
	for (size_t i = 0; i < 3; i++)
		(void)close(fds[i]);
}
END_TEST

START_TEST(the_spare_descriptor_answers_each)
{
	struct rlimit limit, old;
	char text[8] = "";
	int fds[3], highest = 0;

	for (size_t i = 0; i < 3; i++)
		fds[i] = dial();
	/* The lowest free number is the limit: every number below it is taken, the spare one too.
	 */
	highest = dup(STDIN_FILENO);
	ck_assert_int_ge(highest, 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	limit = old;
	limit.rlim_cur = (rlim_t)highest + 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	turn_loop();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	ck_assert_int_eq(n_connections, 0);
	ck_assert_int_eq(n_full, 3);
	ck_assert_int_eq(count_log("turned away"), 1);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(recv(fds[i], text, sizeof(text), 0), 4);
		(void)close(fds[i]);
	}
	(void)close(highest);
}
END_TEST

START_TEST(a_removed_file_comes_back)
{
	struct rh_err err = {0};
	struct stat st;
	int waiting = dial();

	ck_assert_int_eq(rh_door_check(door, &err), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rh_door_check(door, &err), 1);
	/* Who waited at the old one was served. */
	ck_assert_int_eq(n_connections, 1);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0640);
	ck_assert_int_eq(rh_door_check(door, &err), 0);

	int fd = dial();

	turn_loop();
	ck_assert_int_eq(n_connections, 2);
	(void)close(fd);
	(void)close(waiting);
}
END_TEST

START_TEST(another_ones_file_is_left_alone)
{
	struct rh_err err = {0};

	ck_assert_int_eq(unlink(path), 0);

	int other = rh_unix_listen(path, SOCK_SEQPACKET, 0600, 1);

	ck_assert_int_ge(other, 0);
	ck_assert_int_eq(rh_door_check(door, &err), -EEXIST);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	(void)close(other);
}
END_TEST

START_TEST(a_directory_that_is_gone_is_said)
{
	struct rh_door *first = door, *second = NULL;
	struct rh_err err = {0};
	char dir[64], old[64];

	memcpy(old, path, sizeof(old));
	(void)snprintf(dir, sizeof(dir), "/tmp/rh-door-%d", (int)getpid());
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	(void)snprintf(path, sizeof(path), "/tmp/rh-door-%d/s.sock", (int)getpid());
	ck_assert_int_eq(open_door(&err), 0);
	second = door;
	rh_test_remove_tree(dir);
	ck_assert_int_eq(rh_door_check(second, &err), -ENOENT);
	/* Nor can one be opened there. */
	ck_assert_int_eq(open_door(&err), -ENOENT);
	rh_door_close(second, NULL, NULL);
	door = first;
	memcpy(path, old, sizeof(path));
}
END_TEST

START_TEST(strangers_are_counted)
{
	const struct ucred cred = {.pid = 7, .uid = 8, .gid = 9};
	struct rh_strangers strangers = {0};
	int64_t now = 1000;

	for (int i = 0; i < 1000; i++)
		rh_strangers_add(&strangers, log_, &cred, now);
	ck_assert_int_eq(count_log("connection refused"), 1);
	rh_strangers_tell(&strangers, log_, now + 1000);
	ck_assert_int_eq(count_log("connections=999"), 0);
	now += RH_STRANGERS_EVERY_MS + 1;
	rh_strangers_tell(&strangers, log_, now);
	ck_assert_int_eq(count_log("connections=999"), 1);
	rh_strangers_tell(&strangers, log_, now + RH_STRANGERS_EVERY_MS + 1);
	ck_assert_int_eq(count_log("more connections"), 1);
	rh_strangers_add(&strangers, log_, &cred, now + RH_STRANGERS_EVERY_MS + 1);
	ck_assert_int_eq(count_log("connection refused"), 2);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *tcase = tcase_create("door");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, many_are_served);
	tcase_add_test(tcase, without_descriptors_it_turns_away_and_says_so_once);
	tcase_add_test(tcase, the_spare_descriptor_answers_each);
	tcase_add_test(tcase, a_removed_file_comes_back);
	tcase_add_test(tcase, another_ones_file_is_left_alone);
	tcase_add_test(tcase, a_directory_that_is_gone_is_said);
	tcase_add_test(tcase, strangers_are_counted);
	suite_add_tcase(suite, tcase);
}

RH_TEST_MAIN("door", tests);
