/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/ipc/identity.h, with real processes: this program, copied to
 * <root>/bin/Runner.Worker, connects by itself or through a child.
 */

#include "broker/daemon/ipc/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/daemon/ipc/procfs.h"
#include "rh-test-self.h"
#include "runnerhub/fd.h"

static char root[64], worker[128], impostor[128], socket_path[128];
static int listener;
static pid_t child;

/* Argument of the re-executed program: the socket, and who connects. */
static int act_as_worker(const char *path, const char *who)
{
	char other[128];

	if (strcmp(who, "itself") != 0) {
		pid_t pid = fork();

		if (pid > 0)
			return waitpid(pid, NULL, 0) == pid ? 0 : 1;
		/* Another program between the Worker and its grandchild. */
		if (strcmp(who, "grandchild") == 0) {
			(void)snprintf(other, sizeof(other), "%.*s/Runner.Worker",
				(int)(strrchr(path, '/') - path), path);
			(void)execl(other, other, "--act-as-worker", path, "child", (char *)NULL);
			_exit(127);
		}
	}

	int fd = rh_unix_connect(path, SOCK_SEQPACKET);
	char byte = 0;

	/* Until the test closes its end. */
	return fd >= 0 && read(fd, &byte, 1) == 0 ? 0 : 1;
}

static void set_up(void)
{
	char bin[80];

	(void)snprintf(root, sizeof(root), "/tmp/rh-identity-%d", (int)getpid());
	(void)snprintf(bin, sizeof(bin), "%s/bin", root);
	(void)snprintf(worker, sizeof(worker), "%s/Runner.Worker", bin);
	(void)snprintf(impostor, sizeof(impostor), "%s/Runner.Worker", root);
	(void)snprintf(socket_path, sizeof(socket_path), "%s/s.sock", root);
	ck_assert_int_eq(mkdir(root, 0755), 0);
	ck_assert_int_eq(mkdir(bin, 0755), 0);
	ck_assert_int_eq(rh_test_copy_self(worker), 0);
	ck_assert_int_eq(rh_test_copy_self(impostor), 0);
	listener = rh_unix_listen(socket_path, SOCK_SEQPACKET, 0666, 8);
	ck_assert_int_ge(listener, 0);
	child = 0;
}

static void tear_down(void)
{
	(void)close(listener);
	if (child > 0)
		(void)waitpid(child, NULL, 0);
	rh_test_remove_tree(root);
}

static int connection_from(const char *exe, const char *who)
{
	child = fork();
	if (child == 0) {
		(void)execl(exe, exe, "--act-as-worker", socket_path, who, (char *)NULL);
		_exit(127);
	}

	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static int identify(int fd, enum rh_identity_who who, uid_t uid, struct rh_identity *identity,
	struct rh_err *err)
{
	char name[] = "r1";
	static struct rh_runner runner;
	static struct rh_config config;

	runner = (struct rh_runner){.name = name, .root = root, .uid = uid};
	config = (struct rh_config){.runners = &runner, .n_runners = 1};

	int r = rh_identity_take(fd, who, &config, identity, err);

	if (r == 0)
		ck_assert_ptr_eq(identity->runner, &runner);
	return r;
}

START_TEST(a_child_of_the_worker_is_known)
{
	struct rh_identity identity;
	struct rh_err err = {0};
	int fd = connection_from(worker, "child");

	ck_assert_int_eq(identify(fd, RH_PEER_IS_CHILD, geteuid(), &identity, &err), 0);
	ck_assert_int_eq(identity.worker_pid, child);
	ck_assert(!rh_pidfd_ended(identity.worker_pidfd));
	ck_assert_int_eq(rh_identity_parent(fd), child);
	(void)close(identity.worker_pidfd);
	(void)close(fd);
}
END_TEST

START_TEST(the_worker_itself_may_announce_only)
{
	struct rh_identity identity;
	struct rh_err err = {0};
	int fd = connection_from(worker, "itself");

	ck_assert_int_eq(identify(fd, RH_PEER_IS_WORKER, geteuid(), &identity, &err), 0);
	ck_assert_int_eq(identity.worker_pid, child);
	(void)close(identity.worker_pidfd);
	ck_assert_int_eq(identify(fd, RH_PEER_IS_CHILD, geteuid(), &identity, &err), -EPERM);
	(void)close(fd);
}
END_TEST

START_TEST(others_are_refused)
{
	static const char *const whos[] = {"itself", "child", "grandchild"};
	struct rh_identity identity;
	struct rh_err err = {0};

	/* A program of that name elsewhere, and a grandchild of the real one. */
	for (size_t i = 0; i < 3; i++) {
		int fd = connection_from(i == 2 ? worker : impostor, whos[i]);

		ck_assert_int_lt(identify(fd, i == 0 ? RH_PEER_IS_WORKER : RH_PEER_IS_CHILD,
					 geteuid(), &identity, &err),
			0);
		(void)close(fd);
		(void)waitpid(child, NULL, 0);
	}
	child = 0;
}
END_TEST

START_TEST(the_uid_must_be_the_registered_one)
{
	struct rh_identity identity;
	struct rh_err err = {0};
	int fd = connection_from(worker, "child");

	ck_assert_int_eq(identify(fd, RH_PEER_IS_CHILD, geteuid() + 1, &identity, &err), -EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, "r1"));
	(void)close(fd);
}
END_TEST

START_TEST(a_caller_that_has_gone_is_nobody)
{
	struct rh_identity identity;
	struct rh_err err = {0};
	int fd = connection_from(worker, "child");

	ck_assert_int_eq(shutdown(fd, SHUT_RDWR), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	child = 0;
	ck_assert_int_lt(identify(fd, RH_PEER_IS_CHILD, geteuid(), &identity, &err), 0);
	(void)close(fd);
}
END_TEST

/* A connection of a process that has ended by now, and its pid. */
static int connection_of_the_dead(uid_t uid, pid_t *ret_pid)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(setuid(uid) == 0 && rh_unix_connect(socket_path, SOCK_SEQPACKET) >= 0 ? 0
											    : 1);

	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (waitpid(pid, &status, 0) != pid || status != 0)
		return -1;
	*ret_pid = pid;
	return fd;
}

static bool set_last_pid(pid_t pid)
{
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && dprintf(fd, "%d", (int)pid) > 0;

	(void)close(fd);
	return good;
}

/*
 * In a pid namespace of its own, where numbers can be chosen: somebody connects and ends, and then
 * a child of the true Worker gets the number. Return: 0; else what failed.
 */
static int reuse(uid_t uid)
{
	struct rh_identity identity = {.worker_pidfd = -1};
	struct rh_err err = {0};
	struct ucred cred = {0};
	socklen_t size = sizeof(cred);
	pid_t pid = -1;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("proc", "/proc", "proc", 0, NULL) < 0 || !set_last_pid(100))
		return 2;

	int old = connection_of_the_dead(uid, &pid);

	/* The Worker is the next one, and its child the one after. */
	if (old < 0 || !set_last_pid(pid - 2))
		return 3;
	child = fork();
	if (child == 0) {
		(void)execl(worker, worker, "--act-as-worker", socket_path, "child", (char *)NULL);
		_exit(127);
	}

	int new = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (new < 0 || getsockopt(new, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0 ||
		cred.pid != pid)
		return 4;
	if (identify(old, RH_PEER_IS_CHILD, geteuid(), &identity, &err) >= 0)
		return 5;
	if (uid == geteuid() && rh_identity_parent(old) >= 0)
		return 6;
	return identify(new, RH_PEER_IS_CHILD, geteuid(), &identity, &err) == 0 ? 0 : 7;
}

static int reuse_in_a_namespace(uid_t uid)
{
	int status = 0;
	pid_t outer = fork();

	if (outer == 0) {
		if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
			_exit(1);

		pid_t inner = fork();

		if (inner == 0)
			_exit(reuse(uid));
		_exit(waitpid(inner, &status, 0) == inner && WIFEXITED(status) ? WEXITSTATUS(status)
									       : 1);
	}
	ck_assert_int_eq(waitpid(outer, &status, 0), outer);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(a_reused_pid_is_nobody)
{
	int any = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int pidfd = -1;
	socklen_t size = sizeof(pidfd);

	ck_assert_int_eq(chmod(root, 0755), 0);
	/* Another user's is refused whatever its pid is by now. */
	ck_assert_int_eq(reuse_in_a_namespace(65534), 0);
	/* Of the same user the kernel tells who it was, from Linux 6.5. */
	if (getsockopt(any, SOL_SOCKET, 77 /* SO_PEERPIDFD */, &pidfd, &size) == 0 ||
		errno != ENOPROTOOPT)
		ck_assert_int_eq(reuse_in_a_namespace(geteuid()), 0);
	rh_close(pidfd);
	(void)close(any);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *tcase = tcase_create("identity");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_child_of_the_worker_is_known);
	tcase_add_test(tcase, the_worker_itself_may_announce_only);
	tcase_add_test(tcase, others_are_refused);
	tcase_add_test(tcase, the_uid_must_be_the_registered_one);
	tcase_add_test(tcase, a_caller_that_has_gone_is_nobody);
	if (!RH_TEST_UNDER_TSAN)
		tcase_add_test(tcase, a_reused_pid_is_nobody);
	suite_add_tcase(suite, tcase);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "--act-as-worker") == 0)
		return act_as_worker(argv[2], argv[3]);
	return RH_TEST_RUN("identity", tests);
}
