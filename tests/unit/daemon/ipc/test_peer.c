/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/ipc/peer.h: who may connect, ownership, cutting, closing.
 */

#include "broker/daemon/ipc/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rh-test.h"
#include "runnerhub/fd.h"

static uv_loop_t loop;
static struct rh_log *log_;
static struct rh_peer_server *server;
static char path[64];
static bool allow;
static int n_first, n_later, n_gone, n_closed;
static struct rh_peer *last;

static bool allowed(void *arg, uid_t uid)
{
	return allow;
}

static void on_later(void *arg, struct rh_peer *peer, struct rh_wire_msg *msg)
{
	n_later++;
}

static void on_gone(void *arg, struct rh_peer *peer)
{
	n_gone++;
	last = NULL;
}

static void on_first(void *arg, struct rh_peer *peer, struct rh_wire_msg *msg)
{
	n_first++;
	last = peer;
	rh_peer_own(peer, on_later, on_gone, NULL);
}

static void on_closed(void *arg)
{
	n_closed++;
}

static void set_up(void)
{
	struct rh_err err = {0};

	(void)snprintf(path, sizeof(path), "/tmp/rh-peer-%d.sock", (int)getpid());
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	log_ = rh_log_new(STDERR_FILENO, RH_LOG_ERROR, RH_LOG_TEXT);

	struct rh_peer_server_options options = {
		.loop = &loop, .log = log_, .path = path, .allowed = allowed, .on_first = on_first};

	ck_assert_int_eq(rh_peer_server_start(&options, &server, &err), 0);
	allow = true;
	n_first = n_later = n_gone = n_closed = 0;
}

static void tear_down(void)
{
	rh_peer_server_close(server, on_closed, NULL);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(n_closed, 1);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	rh_log_free(log_);
	(void)unlink(path);
}

static int dial(void)
{
	int fd = rh_unix_connect(path, SOCK_SEQPACKET | SOCK_NONBLOCK);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* Runs the loop until *n reaches @want, at most 100 rounds. */
static void run_until(const int *n, int want)
{
	for (int i = 0; i < 100 && *n < want; i++)
		(void)uv_run(&loop, UV_RUN_NOWAIT);
	ck_assert_int_eq(*n, want);
}

START_TEST(messages_reach_first_the_server_then_the_owner)
{
	int fd = dial();

	ck_assert_int_eq(rh_wire_send(fd, RH_WIRE_STEP, NULL, 0, NULL, 0), 0);
	run_until(&n_first, 1);
	ck_assert_int_eq(rh_wire_send(fd, RH_WIRE_HOST_HOOK_DONE, NULL, 0, NULL, 0), 0);
	run_until(&n_later, 1);
	ck_assert_int_eq(rh_peer_server_count(server), 1);
	(void)close(fd);
	run_until(&n_gone, 1);
}
END_TEST

START_TEST(strangers_get_one_line)
{
	struct rh_wire_msg msg;

	allow = false;

	int fd = dial();

	for (int i = 0; i < 10; i++)
		(void)uv_run(&loop, UV_RUN_NOWAIT);
	ck_assert_int_eq(rh_wire_recv(fd, &msg), 0);
	ck_assert_int_eq(msg.type, RH_WIRE_REFUSED);
	ck_assert_int_eq(rh_wire_recv(fd, &msg), RH_WIRE_E_EOF);
	ck_assert_int_eq(n_first, 0);
	(void)close(fd);
}
END_TEST

START_TEST(malformed_packets_cut_the_peer)
{
	int fd = dial();

	ck_assert_int_eq(rh_wire_send(fd, RH_WIRE_STEP, NULL, 0, NULL, 0), 0);
	run_until(&n_first, 1);
	ck_assert_int_eq(send(fd, "garbage", 7, 0), 7);
	run_until(&n_gone, 1);
	(void)close(fd);
}
END_TEST

START_TEST(a_peer_that_does_not_read_is_cut)
{
	static const char body[4000];
	int fd = dial();
	int r = 0;

	ck_assert_int_eq(rh_wire_send(fd, RH_WIRE_STEP, NULL, 0, NULL, 0), 0);
	run_until(&n_first, 1);
	for (int i = 0; i < 4096 && r == 0; i++)
		r = rh_peer_send(last, RH_WIRE_TEXT, body, sizeof(body));
	ck_assert_int_eq(r, -EAGAIN);
	run_until(&n_gone, 1);
	(void)close(fd);
}
END_TEST

START_TEST(what_was_sent_before_close_arrives)
{
	struct rh_wire_msg msg;
	int fd = dial();

	ck_assert_int_eq(rh_wire_send(fd, RH_WIRE_STEP, NULL, 0, NULL, 0), 0);
	run_until(&n_first, 1);
	rh_peer_refuse(last, "no");
	ck_assert_int_eq(rh_wire_recv(fd, &msg), 0);
	ck_assert_str_eq((const char *)msg.body, "no");
	ck_assert_int_eq(rh_wire_recv(fd, &msg), RH_WIRE_E_EOF);
	ck_assert_int_eq(n_gone, 0);
	(void)close(fd);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *tcase = tcase_create("peers");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, messages_reach_first_the_server_then_the_owner);
	tcase_add_test(tcase, strangers_get_one_line);
	tcase_add_test(tcase, malformed_packets_cut_the_peer);
	tcase_add_test(tcase, a_peer_that_does_not_read_is_cut);
	tcase_add_test(tcase, what_was_sent_before_close_arrives);
	suite_add_tcase(suite, tcase);
}

RH_TEST_MAIN("peer", tests);
