/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/agent/stepfds.c
 */

#include "broker/agent/stepfds.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rh-test.h"

static int open_null(int flags)
{
	return open("/dev/null", flags | O_CLOEXEC);
}

START_TEST(streams_are_pipes_sockets_files_or_null)
{
	static const struct {
		const char *path;
		int flags;
		bool good;
	} rows[] = {
		{"/dev/null", O_RDWR, true},
		{"/proc/self/exe", O_RDONLY, true},
		{"/dev/null", O_PATH, false},
		{"/proc/self/exe", O_PATH, false},
		{"/dev/zero", O_RDONLY, false},
		{"/", O_RDONLY | O_DIRECTORY, false},
		{"/", O_PATH | O_DIRECTORY, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int k = 0; k < 3; k++) {
			struct rh_step_fds fds = {.block = -1,
				.stdio = {open_null(O_RDWR), open_null(O_RDWR), open_null(O_RDWR)},
				.channel = -1};

			(void)close(fds.stdio[k]);
			fds.stdio[k] = open(rows[i].path, rows[i].flags | O_CLOEXEC);
			ck_assert_int_ge(fds.stdio[k], 0);
			ck_assert_int_eq(rh_step_fds_check(&fds) == NULL, rows[i].good);
			rh_step_fds_deinit(&fds);
		}
	}
}
END_TEST

START_TEST(pipes_and_sockets_pass)
{
	struct rh_step_fds fds = RH_STEP_FDS_NONE;
	int pair[2];

	ck_assert_int_eq(pipe2(fds.stdio, O_CLOEXEC), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fds.stdio[2] = pair[0];
	ck_assert_ptr_null(rh_step_fds_check(&fds));
	rh_step_fds_deinit(&fds);
	(void)close(pair[1]);
}
END_TEST

static struct rh_wire_msg message(int n_fds, int channel_type)
{
	struct rh_wire_msg msg = {.n_fds = n_fds};
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, channel_type | SOCK_CLOEXEC, 0, pair), 0);
	for (int i = 0; i < n_fds; i++)
		msg.fds[i] = i == n_fds - 1 ? pair[0] : open_null(O_RDWR);
	(void)close(pair[1]);
	return msg;
}

START_TEST(five_with_a_packet_socket_at_the_end)
{
	struct rh_step_fds fds = RH_STEP_FDS_NONE;
	struct rh_wire_msg msg = message(5, SOCK_SEQPACKET);

	ck_assert_int_eq(rh_step_fds_take(&msg, &fds), 0);
	ck_assert_int_eq(msg.n_fds, 0);
	ck_assert(fcntl(fds.channel, F_GETFL) & O_NONBLOCK);
	rh_step_fds_deinit(&fds);
	ck_assert_int_eq(fds.channel, -1);
}
END_TEST

START_TEST(anything_else_is_left_in_the_message)
{
	static const struct {
		int n, type;
	} rows[] = {{4, SOCK_SEQPACKET}, {6, SOCK_SEQPACKET}, {5, SOCK_STREAM}, {5, SOCK_DGRAM}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rh_step_fds fds = RH_STEP_FDS_NONE;
		struct rh_wire_msg msg = message(rows[i].n, rows[i].type);

		ck_assert_int_eq(rh_step_fds_take(&msg, &fds), -EPROTO);
		ck_assert_int_eq(msg.n_fds, rows[i].n);
		rh_wire_msg_close_fds(&msg);
	}
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "stepfds", streams_are_pipes_sockets_files_or_null,
		pipes_and_sockets_pass, five_with_a_packet_socket_at_the_end,
		anything_else_is_left_in_the_message);
}

RH_TEST_MAIN("stepfds", tests);
