/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/mount/mount.h: the broker's side with real helpers.
 */

#include "broker/daemon/mount/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/daemon/mount/helper.h"
#include "broker/daemon/mount/mounter.h"
#include "fake.h"
#include "rh-test.h"
#include "runnerhub/fd.h"

static uv_loop_t loop;
static struct rh_log *log_;
static struct rh_mounter *mounter;
static bool closed;

struct answer {
	int n;
	int r;
	struct rh_mount_result result;
	uint64_t bytes;
	uint64_t n_files;
	struct rh_err err;
};

static void on_done(
	void *arg, int r, const struct rh_mount_result *result, const struct rh_err *err)
{
	struct answer *answer = arg;

	answer->n++;
	answer->r = r;
	answer->result = *result;
	answer->err = *err;
}

static void on_swept(void *arg, int r, uint64_t bytes, uint64_t n_files)
{
	struct answer *answer = arg;

	answer->n++;
	answer->r = r;
	answer->bytes = bytes;
	answer->n_files = n_files;
}

static void on_closed(void *arg)
{
	closed = true;
}

static void setup(void)
{
	struct rh_err err;

	fake_setup();
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	log_ = rh_log_new(STDERR_FILENO, RH_LOG_ERROR, RH_LOG_TEXT);
	ck_assert_ptr_nonnull(log_);
	ck_assert_int_eq(rh_mounter_fork(&mounter, &err), 0);
	ck_assert_int_eq(rh_mounter_start(mounter, &loop, log_), 0);
}

static void teardown(void)
{
	pid_t zygote = mounter->zygote.pid;

	rh_mounter_close(mounter, on_closed, NULL);
	rh_mounter_close(mounter, NULL, NULL);
	ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	ck_assert(closed);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	ck_assert_int_eq(kill(zygote, 0), -1); /* reaped */
	rh_log_free(log_);
	fake_teardown();
}

static void run_until(const struct answer *answer, int n)
{
	while (answer->n < n)
		ck_assert(uv_run(&loop, UV_RUN_ONCE) != 0 || answer->n >= n);
}

START_TEST(a_job_comes_and_goes)
{
	struct fake_container c = fake_start(NULL);
	struct rh_mount_attach attach = fake_attach(&c, 0);
	const struct rh_mount_release release = {
		.work = fake_work,
		.repo = "demo",
		.runner_uid = FAKE_RUNNER_UID,
		.runner_gid = FAKE_RUNNER_GID,
		.id_map_base = FAKE_BASE,
		.scrub_workspace = true,
	};
	struct answer answer = {0};

	ck_assert_int_eq(rh_mounter_attach(mounter, &attach, on_done, &answer), 0);
	ck_assert_int_eq(answer.n, 0);
	run_until(&answer, 1);
	ck_assert_msg(answer.r == 0, "%s", answer.err.text);
	ck_assert(answer.result.id_mapped);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("demo/demo/f")), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_write, in_work("_temp/g")), 0);
	ck_assert_int_eq(fake_run(&c, 0, fake_chown_1000, in_work("_temp/g")), 0);
	fake_stop(&c);

	ck_assert_int_eq(rh_mounter_release(mounter, &release, on_done, &answer), 0);
	run_until(&answer, 2);
	ck_assert_msg(answer.r == 0, "%s", answer.err.text);
	ck_assert_int_eq(fake_exists(in_work("demo/demo/f")), -ENOENT);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo")), 47);
	ck_assert_int_eq(fake_exists(in_work("_temp/g")), -ENOENT);
	ck_assert_int_eq(fake_exists(in_work("_runnerhub/leased-demo")), -ENOENT);

	ck_assert_int_eq(rh_mounter_sweep(mounter, fake_work, on_swept, &answer), 0);
	run_until(&answer, 3);
	ck_assert_int_eq(answer.r, 0);
	ck_assert_uint_eq(answer.n_files, 2);
	ck_assert_uint_ge(answer.bytes, 8192);
	ck_assert_int_eq(rmdir(in_work("_runnerhub/trash")), 0);
}
END_TEST

/* The helper of this name, a child of the zygote. */
static pid_t find_helper(const char *name)
{
	char path[64];
	char text[256] = "";
	char comm[32] = "";

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)mounter->zygote.pid,
		(int)mounter->zygote.pid);
	/* The zygote may not have got around to it. */
	for (int i = 0; i < 2000; i++) {
		ck_assert_int_ge(rh_read_file_at(AT_FDCWD, path, text, sizeof(text)), 0);
		for (char *p = text; *p;) {
			pid_t pid = (pid_t)strtol(p, &p, 10);

			p += strspn(p, " ");
			(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
			if (rh_read_file_at(AT_FDCWD, path, comm, sizeof(comm)) > 0 &&
				strncmp(comm, name, strlen(name)) == 0)
				return pid;
		}
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
			(int)mounter->zygote.pid, (int)mounter->zygote.pid);
		(void)usleep(1000);
	}
	ck_abort_msg("no helper %s", name);
	return -1;
}

/* A helper that was killed is seen until it is reaped. */
static void wait_until_replaced(const char *name, pid_t old)
{
	for (int i = 0; i < 5000 && find_helper(name) == old; i++)
		(void)usleep(1000);
	ck_assert_int_ne(find_helper(name), old);
}

static void make_dir(struct answer *answer, const char *name)
{
	ck_assert_int_eq(rh_mounter_make_dir(mounter, fake_state, name, on_done, answer), 0);
}

START_TEST(a_helper_killed_in_the_middle_fails_one_request)
{
	struct fake_container c = fake_start(NULL);
	struct rh_mount_attach attach = fake_attach(&c, 0);
	struct answer first = {0};
	struct answer second = {0};
	pid_t helper = find_helper("rh-mount");

	ck_assert_int_eq(kill(helper, SIGSTOP), 0);
	ck_assert_int_eq(rh_mounter_attach(mounter, &attach, on_done, &first), 0);
	ck_assert_int_eq(rh_mounter_attach(mounter, &attach, on_done, &second), 0);
	ck_assert_int_eq(kill(helper, SIGKILL), 0);
	run_until(&first, 1);
	ck_assert_int_eq(first.r, -EPIPE);
	ck_assert_ptr_nonnull(strstr(first.err.text, "helper died"));
	run_until(&second, 1);
	ck_assert_msg(second.r == 0, "%s", second.err.text);
	wait_until_replaced("rh-mount", helper);
	fake_stop(&c);
}
END_TEST

START_TEST(a_helper_that_died_idle_fails_nothing)
{
	struct answer answer = {0};
	pid_t helper = find_helper("rh-mount");

	ck_assert_int_eq(kill(helper, SIGKILL), 0);
	make_dir(&answer, "a");
	run_until(&answer, 1);
	/* Either it was noticed first, or the request went to the dead one and failed. */
	ck_assert(answer.r == 0 || answer.r == -EPIPE);
	make_dir(&answer, "b");
	run_until(&answer, 2);
	ck_assert_int_eq(answer.r, 0);

	wait_until_replaced("rh-mount", helper);
	helper = find_helper("rh-mount");
	ck_assert_int_eq(kill(helper, SIGKILL), 0);
	while (mounter->channels[RH_MOUNT_HELPER_FAST].link)
		(void)uv_run(&loop, UV_RUN_ONCE);
	make_dir(&answer, "c");
	run_until(&answer, 3);
	ck_assert_int_eq(answer.r, 0);
}
END_TEST

START_TEST(a_helper_that_hangs_is_replaced)
{
	struct answer first = {0};
	struct answer second = {0};
	pid_t helper = find_helper("rh-mount");

	mounter->deadline_ms = 100;
	ck_assert_int_eq(kill(helper, SIGSTOP), 0);
	make_dir(&first, "a");
	run_until(&first, 1);
	ck_assert_int_eq(first.r, -ETIMEDOUT);
	mounter->deadline_ms = 20000;
	make_dir(&second, "b");
	run_until(&second, 1);
	ck_assert_int_eq(second.r, 0);
	wait_until_replaced("rh-mount", helper);
}
END_TEST

START_TEST(without_a_zygote_requests_fail)
{
	struct answer answer = {0};

	ck_assert_int_eq(kill(mounter->zygote.pid, SIGKILL), 0);
	while (!mounter->zygote_dead || mounter->channels[0].link || mounter->channels[1].link)
		(void)uv_run(&loop, UV_RUN_ONCE);
	make_dir(&answer, "a");
	ck_assert_int_eq(answer.n, 0);
	run_until(&answer, 1);
	ck_assert_int_lt(answer.r, 0);
	ck_assert_ptr_nonnull(strstr(answer.err.text, "restart runnerhubd"));
}
END_TEST

START_TEST(sweeps_run_beside_attaches)
{
	struct answer swept = {0};
	struct answer made = {0};

	ck_assert_int_eq(kill(find_helper("rh-sweep"), SIGSTOP), 0);
	ck_assert_int_eq(rh_mounter_remove_tree(mounter, fake_state, "x", on_swept, &swept), 0);
	ck_assert_int_eq(rh_mounter_remove_tree(mounter, fake_state, "y", NULL, NULL), 0);
	make_dir(&made, "x");
	run_until(&made, 1);
	ck_assert_int_eq(made.r, 0);
	ck_assert_int_eq(swept.n, 0);
	ck_assert_int_eq(kill(find_helper("rh-sweep"), SIGCONT), 0);
	run_until(&swept, 1);
	ck_assert_int_eq(swept.r, 0);
}
END_TEST

START_TEST(the_queue_is_bounded)
{
	struct answer answer = {0};
	char name[16];
	int n = 0;

	ck_assert_int_eq(kill(find_helper("rh-mount"), SIGSTOP), 0);
	while (n < RH_MOUNT_QUEUE_MAX) {
		(void)snprintf(name, sizeof(name), "d%d", n++);
		make_dir(&answer, name);
	}
	ck_assert_int_eq(
		rh_mounter_make_dir(mounter, fake_state, "more", on_done, &answer), -ENOBUFS);
	ck_assert_int_eq(
		rh_mounter_make_dir(mounter, fake_state, NULL, on_done, &answer), -ENOBUFS);
	ck_assert_int_eq(kill(find_helper("rh-mount"), SIGCONT), 0);
	run_until(&answer, n);
	ck_assert_int_eq(answer.r, 0);
	ck_assert_int_eq(rh_mounter_make_dir(mounter, fake_state, NULL, on_done, &answer), -EINVAL);
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
	ck_assert_int_eq(rh_mounter_start(other, &loop, log_), 0);
	ck_assert_int_eq(rh_mounter_make_dir(other, fake_state, "a", on_done, &answer), 0);
	run_until(&answer, 1);
	ck_assert_int_eq(answer.r, 0);
	ck_assert_int_eq(*n_handled, 0);
	rh_mounter_close(other, on_closed, NULL);
	while (!closed)
		(void)uv_run(&loop, UV_RUN_ONCE);
	closed = false;
}
END_TEST

static struct answer cancelled;

START_TEST(closing_answers_what_waits)
{
	ck_assert_int_eq(kill(find_helper("rh-mount"), SIGSTOP), 0);
	make_dir(&cancelled, "a");
	make_dir(&cancelled, "b");
	rh_mounter_close(mounter, on_closed, NULL);
	ck_assert_int_eq(cancelled.n, 0);
	ck_assert_int_eq(
		rh_mounter_make_dir(mounter, fake_state, "c", on_done, &cancelled), -ECANCELED);
	while (!closed)
		(void)uv_run(&loop, UV_RUN_ONCE);
	ck_assert_int_eq(cancelled.n, 2);
	ck_assert_int_eq(cancelled.r, -ECANCELED);
	/* For the fixture. */
	struct rh_err err;

	ck_assert_int_eq(rh_mounter_fork(&mounter, &err), 0);
	ck_assert_int_eq(rh_mounter_start(mounter, &loop, log_), 0);
	closed = false;
}
END_TEST

START_TEST(a_mounter_may_never_start)
{
	struct rh_mounter *other = NULL;
	struct rh_err err;

	closed = false;
	ck_assert_int_eq(rh_mounter_fork(&other, &err), 0);
	ck_assert_int_eq(rh_mounter_sweep(other, fake_work, NULL, NULL), -ECANCELED);
	rh_mounter_close(other, on_closed, NULL);
	ck_assert(closed);
	closed = false;
}
END_TEST

START_TEST(helpers_hold_nothing_of_the_brokers)
{
	char path[64];
	char target[256];
	int leaked = 0;

	for (int fd = 0; fd < 64; fd++) {
		(void)snprintf(
			path, sizeof(path), "/proc/%d/fd/%d", (int)find_helper("rh-mount"), fd);

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
	ck_assert_int_eq(kill(find_helper("rh-sweep"), SIGTERM), 0);
	ck_assert_int_eq(kill(find_helper("rh-sweep"), SIGINT), 0);

	struct answer answer = {0};

	ck_assert_int_eq(rh_mounter_sweep(mounter, fake_work, on_swept, &answer), 0);
	run_until(&answer, 1);
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
		ck_assert_int_eq(rh_mounter_start(other, &loop, log_), 0);
		ck_assert_int_eq(rh_mounter_make_dir(other, fake_state, "a", on_done, &answer), 0);
		ck_assert_int_eq(send(pair[1], words[i], sizes[i], 0), (int)sizes[i]);
		run_until(&answer, 1);
		ck_assert_int_eq(answer.r, -EPIPE);
		ck_assert_int_eq(rh_mounter_make_dir(
					 other, fake_state, i == 0 ? "b" : "c", on_done, &answer),
			0);
		run_until(&answer, 2);
		ck_assert_msg(answer.r == 0, "%s", answer.err.text);
		(void)close(pair[1]);
		closed = false;
		rh_mounter_close(other, on_closed, NULL);
		while (!closed)
			(void)uv_run(&loop, UV_RUN_ONCE);
		closed = false;
	}
}
END_TEST

static void tests(Suite *suite)
{
	const TTest *const all[] = {a_job_comes_and_goes,
		a_helper_killed_in_the_middle_fails_one_request,
		a_helper_that_died_idle_fails_nothing, a_helper_that_hangs_is_replaced,
		without_a_zygote_requests_fail, sweeps_run_beside_attaches, the_queue_is_bounded,
		handlers_of_libraries_do_not_run, closing_answers_what_waits,
		a_mounter_may_never_start, helpers_hold_nothing_of_the_brokers,
		hostile_packets_end_a_helper, a_helper_that_talks_nonsense_is_dropped};
	TCase *helpers = tcase_create("helpers");

	tcase_add_checked_fixture(helpers, setup, teardown);
	tcase_set_timeout(helpers, 30);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tcase_add_test(helpers, all[i]);
	suite_add_tcase(suite, helpers);
}

RH_TEST_MAIN("mount", tests);
