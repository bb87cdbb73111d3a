/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/mount/helper.h and zygote.h: helpers that die, hang, are lied to, or lie.
 */

#include "broker/daemon/mount/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "rh-test.h"

START_TEST(a_helper_killed_in_the_middle_fails_one_request)
{
	struct fake_container c = fake_start(NULL);
	struct rh_mount_attach attach = fake_attach(&c, 0);
	struct answer first = {0};
	struct answer second = {0};
	pid_t helper = fix_helper("rh-mount");

	ck_assert_int_eq(kill(helper, SIGSTOP), 0);
	ck_assert_int_eq(rh_mounter_attach(fix_mounter, &attach, fix_on_done, &first), 0);
	ck_assert_int_eq(rh_mounter_attach(fix_mounter, &attach, fix_on_done, &second), 0);
	ck_assert_int_eq(kill(helper, SIGKILL), 0);
	fix_run_until(&first, 1);
	ck_assert_int_eq(first.r, -EPIPE);
	ck_assert_ptr_nonnull(strstr(first.err.text, "helper died"));
	fix_run_until(&second, 1);
	ck_assert_msg(second.r == 0, "%s", second.err.text);
	fix_wait_replaced("rh-mount", helper);
	fake_stop(&c);
}
END_TEST

START_TEST(a_helper_that_died_idle_fails_nothing)
{
	struct answer answer = {0};
	pid_t helper = fix_helper("rh-mount");

	ck_assert_int_eq(kill(helper, SIGKILL), 0);
	fix_make_dir(&answer, "a");
	fix_run_until(&answer, 1);
	/* Either it was noticed first, or the request went to the dead one and failed. */
	ck_assert(answer.r == 0 || answer.r == -EPIPE);
	fix_make_dir(&answer, "b");
	fix_run_until(&answer, 2);
	ck_assert_int_eq(answer.r, 0);

	fix_wait_replaced("rh-mount", helper);
	helper = fix_helper("rh-mount");
	ck_assert_int_eq(kill(helper, SIGKILL), 0);
	while (fix_mounter->channels[RH_MOUNT_HELPER_FAST].link)
		(void)uv_run(&fix_loop, UV_RUN_ONCE);
	fix_make_dir(&answer, "c");
	fix_run_until(&answer, 3);
	ck_assert_int_eq(answer.r, 0);
}
END_TEST

START_TEST(a_helper_that_hangs_is_replaced)
{
	struct answer first = {0};
	struct answer second = {0};
	pid_t helper = fix_helper("rh-mount");

	fix_mounter->deadline_ms = 100;
	ck_assert_int_eq(kill(helper, SIGSTOP), 0);
	fix_make_dir(&first, "a");
	fix_run_until(&first, 1);
	ck_assert_int_eq(first.r, -ETIMEDOUT);
	fix_mounter->deadline_ms = 20000;
	fix_make_dir(&second, "b");
	fix_run_until(&second, 1);
	ck_assert_int_eq(second.r, 0);
	fix_wait_replaced("rh-mount", helper);
}
END_TEST

START_TEST(without_a_zygote_requests_fail)
{
	struct answer answer = {0};

	ck_assert_int_eq(kill(fix_mounter->zygote.pid, SIGKILL), 0);
	while (!fix_mounter->zygote_dead || fix_mounter->channels[0].link ||
		fix_mounter->channels[1].link)
		(void)uv_run(&fix_loop, UV_RUN_ONCE);
	fix_make_dir(&answer, "a");
	ck_assert_int_eq(answer.n, 0);
	fix_run_until(&answer, 1);
	ck_assert_int_lt(answer.r, 0);
	ck_assert_ptr_nonnull(strstr(answer.err.text, "restart runnerhubd"));
}
END_TEST

/* The zygote that follows is this program again, asked before its tests begin. */
__attribute__((constructor)) static void be_asked(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], RH_ZYGOTE_OPTION) == 0)
		rh_zygote_main(argv[2]);
}

START_TEST(a_zygote_that_died_is_followed_by_another)
{
	struct answer answer = {0};
	pid_t first = fix_mounter->zygote.pid;
	pid_t second = -1;

	rh_mounter_set_program(fix_mounter, "/proc/self/exe");
	ck_assert_int_eq(kill(first, SIGKILL), 0);
	/*
	 * Nobody has noticed: the request waits for the next one, fails with its helper, or is
	 * served by one that is about to end.
	 */
	fix_make_dir(&answer, "a");
	fix_run_until(&answer, 1);
	ck_assert(answer.r == 0 || answer.r == -EPIPE);
	while (fix_mounter->zygote.pid == first)
		(void)uv_run(&fix_loop, UV_RUN_ONCE);
	fix_make_dir(&answer, "b");
	fix_run_until(&answer, 2);
	ck_assert_msg(answer.r == 0, "%s", answer.err.text);
	second = fix_mounter->zygote.pid;
	ck_assert_int_ne(first, second);
	ck_assert_int_ne(fix_helper("rh-mount"), -1);

	/* Noticed first, and by both channels. */
	ck_assert_int_eq(kill(second, SIGKILL), 0);
	while (fix_mounter->zygote.pid == second)
		(void)uv_run(&fix_loop, UV_RUN_ONCE);
	fix_make_dir(&answer, "c");
	fix_run_until(&answer, 3);
	ck_assert_msg(answer.r == 0, "%s", answer.err.text);
}
END_TEST

START_TEST(zygotes_that_die_young_are_given_up)
{
	struct answer answer = {0};

	rh_mounter_set_program(fix_mounter, "/bin/false");
	ck_assert_int_eq(kill(fix_mounter->zygote.pid, SIGKILL), 0);
	while (!fix_mounter->zygote_dead)
		(void)uv_run(&fix_loop, UV_RUN_ONCE);
	fix_make_dir(&answer, "a");
	fix_run_until(&answer, 1);
	ck_assert_ptr_nonnull(strstr(answer.err.text, "restart runnerhubd"));
}
END_TEST

static int *n_handled;

static void on_fork_child(void)
{
	++*n_handled;
}

START_TEST(handlers_of_libraries_do_not_run)
{
	/* libuv's closes descriptors by number: in a helper they are other ones. */
	struct rh_mounter *other = NULL;
	struct answer answer = {0};
	struct rh_err err;

	n_handled =
		mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(n_handled, MAP_FAILED);
	ck_assert_int_eq(pthread_atfork(NULL, NULL, on_fork_child), 0);
	ck_assert_int_eq(rh_mounter_fork(&other, &err), 0);
	ck_assert_int_eq(rh_mounter_start(other, &fix_loop, fix_log), 0);
	ck_assert_int_eq(rh_mounter_make_dir(other, fake_state, "a", fix_on_done, &answer), 0);
	fix_run_until(&answer, 1);
	ck_assert_int_eq(answer.r, 0);
	ck_assert_int_eq(*n_handled, 0);
	rh_mounter_close(other, fix_on_closed, NULL);
	while (!fix_closed)
		(void)uv_run(&fix_loop, UV_RUN_ONCE);
	fix_closed = false;
}
END_TEST

START_TEST(helpers_hold_nothing_of_the_brokers)
{
	struct answer answer = {0};
	char path[64];
	char target[256];
	int leaked = 0;

	/* One that has served somebody has closed and ignores what it will. */
	fix_make_dir(&answer, "a");
	fix_run_until(&answer, 1);
	ck_assert_int_eq(answer.r, 0);
	ck_assert_int_eq(rh_mounter_sweep(fix_mounter, fake_work, fix_on_swept, &answer), 0);
	fix_run_until(&answer, 2);
	for (int fd = 0; fd < 64; fd++) {
		(void)snprintf(
			path, sizeof(path), "/proc/%d/fd/%d", (int)fix_helper("rh-mount"), fd);

		ssize_t n = readlink(path, target, sizeof(target) - 1);

		if (n < 0)
			continue;
		target[n] = '\0';
		/* Streams, its socket, its namespace and root. */
		if (fd > 3 && strncmp(target, "mnt:", 4) != 0 && strcmp(target, "/") != 0)
			leaked++;
	}
	ck_assert_int_eq(leaked, 0);
	/* They end with the broker, not with a terminal. */
	ck_assert_int_eq(kill(fix_helper("rh-sweep"), SIGTERM), 0);
	ck_assert_int_eq(kill(fix_helper("rh-sweep"), SIGINT), 0);

	ck_assert_int_eq(rh_mounter_sweep(fix_mounter, fake_work, fix_on_swept, &answer), 0);
	fix_run_until(&answer, 3);
	ck_assert_int_eq(answer.r, 0);
}
END_TEST

/* A helper that is given this packet: how it ended. */
static int helper_ends(const void *packet, size_t size)
{
	int pair[2] = {-1, -1};
	int status = 0;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);

	pid_t pid = fork();

	if (pid == 0) {
		(void)close(pair[0]);
		rh_mount_helper_main(pair[1], RH_MOUNT_HELPER_FAST);
	}
	(void)close(pair[1]);
	if (size > 0)
		ck_assert_int_eq(send(pair[0], packet, size, MSG_NOSIGNAL), (int)size);
	if (size == 0)
		(void)close(pair[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (size > 0)
		(void)close(pair[0]);
	ck_assert_msg(WIFEXITED(status), "signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

START_TEST(hostile_packets_end_a_helper)
{
	static uint8_t packet[RH_MOUNT_PACKET_MAX + 100];
	const struct rh_mount_request request = {
		.op = RH_MOUNT_SWEEP, .dir = {.parent = "/nowhere/at/all"}};
	int n = rh_mount_request_encode(&request, packet, sizeof(packet));

	ck_assert_int_eq(helper_ends(packet, 0), 0);
	ck_assert_int_eq(helper_ends(packet, (size_t)n - 1), 1);
	ck_assert_int_eq(helper_ends(packet, (size_t)n + 1), 1);
	ck_assert_int_eq(helper_ends(packet, sizeof(packet)), 1);
	ck_assert_int_eq(helper_ends("x", 1), 1);
	for (int i = 0; i < 64; i++) {
		/* Every byte of the head bent: refused, or answered with an error, never a crash.
		 */
		ck_assert_int_gt(rh_mount_request_encode(&request, packet, sizeof(packet)), 0);
		packet[i % 8] ^= (uint8_t)(1 << (i / 8));
		ck_assert_int_eq(helper_ends(packet, (size_t)n), 1);
	}
}
END_TEST

START_TEST(a_helper_that_talks_nonsense_is_dropped)
{
	struct rh_mount_reply reply = {.kind = RH_MOUNT_DONE, .seq = 12345};
	const void *const words[] = {&reply, "junk"};
	const size_t sizes[] = {sizeof(reply), 4};

	rh_mount_reply_seal(&reply);
	for (size_t i = 0; i < 2; i++) {
		struct rh_mounter *other = NULL;
		int pair[2] = {-1, -1};
		struct answer answer = {0};
		struct rh_err err;

		ck_assert_int_eq(rh_mounter_fork(&other, &err), 0);
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		(void)close(other->first_fds[RH_MOUNT_HELPER_FAST]);
		other->first_fds[RH_MOUNT_HELPER_FAST] = pair[0];
		ck_assert_int_eq(rh_mounter_start(other, &fix_loop, fix_log), 0);
		ck_assert_int_eq(
			rh_mounter_make_dir(other, fake_state, "a", fix_on_done, &answer), 0);
		ck_assert_int_eq(send(pair[1], words[i], sizes[i], 0), (int)sizes[i]);
		fix_run_until(&answer, 1);
		ck_assert_int_eq(answer.r, -EPIPE);
		ck_assert_int_eq(rh_mounter_make_dir(other, fake_state, i == 0 ? "b" : "c",
					 fix_on_done, &answer),
			0);
		fix_run_until(&answer, 2);
		ck_assert_msg(answer.r == 0, "%s", answer.err.text);
		(void)close(pair[1]);
		fix_closed = false;
		rh_mounter_close(other, fix_on_closed, NULL);
		while (!fix_closed)
			(void)uv_run(&fix_loop, UV_RUN_ONCE);
		fix_closed = false;
	}
}
END_TEST

START_TEST(a_zygote_that_does_not_end_is_killed)
{
	struct rh_mounter *other = NULL;
	struct rh_err err;

	ck_assert_int_eq(rh_mounter_fork(&other, &err), 0);
	ck_assert_int_eq(rh_mounter_start(other, &fix_loop, fix_log), 0);
	ck_assert_int_eq(kill(other->zygote.pid, SIGSTOP), 0);
	rh_mounter_close(other, fix_on_closed, NULL);
	while (!fix_closed)
		(void)uv_run(&fix_loop, UV_RUN_ONCE);
	fix_closed = false;
}
END_TEST

START_TEST(helpers_end_before_their_zygote)
{
	struct rh_mounter *other = NULL;
	struct rh_err err;
	int n = 0;

	/* Orphans come to us, to be seen. */
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	ck_assert_int_eq(rh_mounter_fork(&other, &err), 0);
	ck_assert_int_eq(rh_mounter_start(other, &fix_loop, fix_log), 0);
	rh_mounter_close(other, fix_on_closed, NULL);
	while (!fix_closed)
		(void)uv_run(&fix_loop, UV_RUN_ONCE);
	fix_closed = false;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		n++;
	ck_assert_int_eq(n, 0);
}
END_TEST

static void tests(Suite *suite)
{
	const TTest *const all[] = {a_helper_killed_in_the_middle_fails_one_request,
		a_helper_that_died_idle_fails_nothing, a_helper_that_hangs_is_replaced,
		without_a_zygote_requests_fail, a_zygote_that_died_is_followed_by_another,
		zygotes_that_die_young_are_given_up, handlers_of_libraries_do_not_run,
		helpers_hold_nothing_of_the_brokers, hostile_packets_end_a_helper,
		a_helper_that_talks_nonsense_is_dropped, a_zygote_that_does_not_end_is_killed,
		helpers_end_before_their_zygote};
	TCase *helpers = tcase_create("helpers");

	tcase_add_checked_fixture(helpers, fix_setup, fix_teardown);
	tcase_set_timeout(helpers, 30);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tcase_add_test(helpers, all[i]);
	suite_add_tcase(suite, helpers);
}

RH_TEST_MAIN("mount-helper", tests);
