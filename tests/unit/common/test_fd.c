/* SPDX-License-Identifier: Apache-2.0 */

/*
 * include/runnerhub/fd.h: small files and Unix sockets of any path length.
 */

#include "runnerhub/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rh-test.h"

static char dir[512];

static void make_dir(void)
{
	/* Longer than sun_path, with a blank and UTF-8 in it. */
	(void)snprintf(dir, sizeof(dir), "/tmp/rh-fd-%d", (int)getpid());
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	for (int i = 0; i < 3; i++) {
		size_t n = strlen(dir);

		(void)snprintf(dir + n, sizeof(dir) - n, "/a \xc3\xa4 %040d", i);
		ck_assert_int_eq(mkdir(dir, 0700), 0);
	}
}

static void remove_dir(void)
{
	char path[600];

	(void)snprintf(path, sizeof(path), "%s/s.sock", dir);
	(void)unlink(path);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(rmdir(dir), 0);
		*strrchr(dir, '/') = '\0';
	}
}

START_TEST(long_socket_paths_work)
{
	char path[600];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/s.sock", dir);
	ck_assert_int_gt(strlen(path), 108);

	int listener = rh_unix_listen(path, SOCK_SEQPACKET, 0660, 4);

	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0660);

	int client = rh_unix_connect(path, SOCK_SEQPACKET);

	ck_assert_int_ge(client, 0);
	ck_assert_int_eq(fcntl(client, F_GETFD), FD_CLOEXEC);
	(void)close(client);
	(void)close(listener);
	ck_assert_int_eq(rh_unix_connect(path, SOCK_SEQPACKET), -ECONNREFUSED);
	/* A stale socket is replaced. */
	listener = rh_unix_listen(path, SOCK_SEQPACKET, 0600, 4);
	ck_assert_int_ge(listener, 0);
	(void)close(listener);
}
END_TEST

START_TEST(files_are_read_up_to_the_bound)
{
	char buf[64];

	ck_assert_int_gt(rh_read_file_at(AT_FDCWD, "/proc/self/comm", buf, sizeof(buf)), 0);
	ck_assert_int_eq(rh_read_file_at(AT_FDCWD, "/proc/self/status", buf, sizeof(buf)), -EFBIG);
	ck_assert_int_eq(rh_read_file_at(AT_FDCWD, "/nowhere", buf, sizeof(buf)), -ENOENT);
}
END_TEST

START_TEST(all_above_are_closed)
{
	int low = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int high = fcntl(low, F_DUPFD_CLOEXEC, 200);

	ck_assert_int_ge(high, 200);
	ck_assert_int_eq(rh_close_from(high), 0);
	ck_assert_int_eq(fcntl(high, F_GETFD), -1);
	ck_assert_int_ge(fcntl(low, F_GETFD), 0);
	(void)close(low);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *sockets = tcase_create("sockets");

	tcase_add_checked_fixture(sockets, make_dir, remove_dir);
	tcase_add_test(sockets, long_socket_paths_work);
	suite_add_tcase(suite, sockets);
	RH_ADD_TESTS(suite, "files", files_are_read_up_to_the_bound, all_above_are_closed);
}

RH_TEST_MAIN("fd", tests);
