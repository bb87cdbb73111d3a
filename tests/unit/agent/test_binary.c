/* SPDX-License-Identifier: Apache-2.0 */

/*
 * runnerhub-agent as it ships: PID 1 of a pid namespace, in a root that holds nothing but itself.
 * Needs root; without it there is nothing to see.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rh-test.h"
#include "rig.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/fd.h"
#include "runnerhub/limits.h"
#include "tests/unit/agent/binary.h"

static struct rig rig;
static struct rig_result result;

static void make_dir(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s%s", rig.dir, name);
	ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void copy_binary(void)
{
	char path[128];
	static char data[4u << 20];
	int fd = -1;
	ssize_t n = rh_read_file_at(AT_FDCWD, RH_AGENT_BINARY, data, sizeof(data));

	ck_assert_int_gt(n, 0);
	(void)snprintf(path, sizeof(path), "%s" RH_AGENT_PATH, rig.dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	ck_assert_int_eq(rh_write_all(fd, data, (size_t)n), 0);
	rh_close(fd);
}

/* What a container runtime does, as far as it matters here. */
static _Noreturn void be_container(void)
{
	static char *argv[] = {RH_AGENT_PATH, NULL};
	static char *envp[] = {"PATH=" RH_AGENT_DIR, "IMAGE=yes", NULL};
	const unsigned long safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || chroot(rig.dir) < 0 ||
		chdir("/") < 0 || mount("proc", "/proc", "proc", safe, NULL) < 0)
		_exit(99);
	(void)execve(RH_AGENT_PATH, argv, envp);
	_exit(98);
}

static void start(void)
{
	rig_init(&rig);
	(void)snprintf(rig.socket, sizeof(rig.socket),
		"%s" RH_AGENT_SOCKET_DIR "/" RH_AGENT_SOCKET_NAME, rig.dir);
	make_dir(RH_AGENT_DIR);
	make_dir(RH_AGENT_SOCKET_DIR);
	make_dir("/proc");
	copy_binary();
	rig.agent = (pid_t)syscall(
		SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL, 0);
	ck_assert_int_ge(rig.agent, 0);
	if (rig.agent == 0)
		be_container();
	rig.broker = rig_connect(&rig);
	(void)rig_hello(rig.broker);
	ck_assert_int_eq(rig_lease(rig.broker, &rig.job, 0, 0), RH_WIRE_LEASED);
}

static void run(const char *path, const char *argument)
{
	char *argv[4];
	struct rh_block_spec spec = rig_sh(argv, NULL);

	argv[1] = (char *)(uintptr_t)argument;
	argv[2] = NULL;
	spec.path = path;
	rig_run(&rig, &spec, &result);
}

START_TEST(works_in_an_image_with_nothing_in_it)
{
	start();
	run(RH_AGENT_PATH, "--version");
	ck_assert_int_eq(result.exit_code, 0);
	ck_assert_str_eq(result.err, "");
	ck_assert_int_eq(strncmp(result.out, "runnerhub-agent ", 16), 0);

	/* By its base name, in the image's PATH. */
	run("/usr/local/bin/agent", "--help");
	ck_assert_int_eq(result.exit_code, 0);
	ck_assert_ptr_eq(strstr(result.out, "usage: runnerhub-agent\n"), result.out);

	run(RH_AGENT_PATH, "--nonsense");
	ck_assert_int_eq(result.exit_code, 2);
	ck_assert_ptr_eq(strstr(result.err, "usage: runnerhub-agent\n"), result.err);

	run("/bin/bash", "-e");
	ck_assert_int_eq(result.exit_code, 127);
	ck_assert_str_eq(result.text, "bash: command not found\n");
	rig_stop(&rig);
}
END_TEST

/* A job's root: inside the agent's pid namespace. Return: 0 if it got nowhere. */
static int be_hostile(void)
{
	static const int signals[] = {SIGTERM, SIGTERM, SIGINT, SIGHUP, SIGSEGV, SIGKILL, SIGSTOP};
	struct rh_wire_msg msg;
	int fd = rh_unix_connect(rig.socket, SOCK_SEQPACKET);

	/* Sent or not, it is never answered. */
	if (fd >= 0)
		(void)rh_wire_send(fd, RH_WIRE_HELLO, NULL, 0, NULL, 0);
	if (fd >= 0 && rh_wire_recv(fd, &msg) != RH_WIRE_E_EOF)
		return 1;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)kill(1, signals[i]);
	return 0;
}

START_TEST(nobody_inside_is_the_broker_or_stops_it)
{
	char path[64];
	int status = -1;
	int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	int ns = -1;
	pid_t pid = -1;

	start();
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)rig.agent);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(setns(ns, CLONE_NEWPID), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(be_hostile());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(setns(own, CLONE_NEWPID), 0);
	rh_close(ns);
	rh_close(own);

	/* Still there, and still the same broker's. */
	run(RH_AGENT_PATH, "--version");
	ck_assert_int_eq(result.exit_code, 0);
	rig_stop(&rig);
}
END_TEST

START_TEST(it_is_pid_1_or_nothing)
{
	int status = -1;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)close(STDERR_FILENO);
		(void)execl(RH_AGENT_BINARY, RH_AGENT_BINARY, (char *)NULL);
		_exit(99);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "binary", it_is_pid_1_or_nothing);
	if (geteuid() == 0)
		RH_ADD_TESTS(suite, "container", works_in_an_image_with_nothing_in_it,
			nobody_inside_is_the_broker_or_stops_it);
}

RH_TEST_MAIN("binary", tests);
