/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/agent/filter.c: what is refused, by every interface that this machine has, and what goes
 * on.
 */

#include "broker/agent/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rh-test.h"

static struct rh_filter filter;

struct row {
	long number;
	long arguments[5];
	int error; /* 0: it is not the filter that answers */
};

/* The errno of a call in a filtered process; 0: it succeeded. */
static int try_call(const struct row *row, bool namespaces)
{
	const long *a = row->arguments;
	int status = -1;
	pid_t agent = getpid();
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		rh_filter_build(&filter, agent, namespaces);
		if (rh_filter_install(&filter) < 0)
			_exit(255);
		_exit(syscall(row->number, a[0], a[1], a[2], a[3], a[4]) < 0 ? errno : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(what_a_job_does_not_need_is_not_there)
{
	const struct row rows[] = {{425, {1}, ENOSYS}, {426, {-1}, ENOSYS}, {427, {-1}, ENOSYS},
		{SYS_userfaultfd, {0}, ENOSYS}, {SYS_keyctl, {0, -3}, ENOSYS},
		{SYS_add_key, {0}, ENOSYS}, {SYS_request_key, {0}, ENOSYS},
		{SYS_perf_event_open, {0}, ENOSYS}, {SYS_bpf, {0}, ENOSYS},
		{SYS_socket, {40, SOCK_STREAM}, EAFNOSUPPORT}, /* AF_VSOCK */
		{SYS_socket, {38, SOCK_SEQPACKET}, EAFNOSUPPORT}, /* AF_ALG */
		{SYS_socketpair, {30, SOCK_STREAM, 0, 0}, EAFNOSUPPORT},
		{SYS_fcntl, {0, F_SETLEASE, F_WRLCK}, EINVAL}, {435, {0}, ENOSYS},
		{SYS_unshare, {CLONE_NEWUSER}, EPERM}, {SYS_unshare, {CLONE_NEWNET}, EPERM},
		{SYS_clone, {CLONE_NEWUSER | SIGCHLD}, EPERM}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_int_eq(try_call(&rows[i], false), rows[i].error);
}
END_TEST

START_TEST(the_agents_limits_and_priorities_are_its_own)
{
	static const struct rlimit limit = {64, 64};
	static const struct sched_param param = {0};
	static const unsigned long cpus = 1;
	const long agent = getpid();
	const struct row rows[] = {{SYS_prlimit64, {agent, RLIMIT_NOFILE, (long)&limit, 0}, EPERM},
		{SYS_sched_setscheduler, {agent, SCHED_IDLE, (long)&param}, EPERM},
		{SYS_sched_setparam, {agent, (long)&param}, EPERM},
		{SYS_sched_setaffinity, {agent, sizeof(cpus), (long)&cpus}, EPERM},
		{SYS_setpriority, {PRIO_PROCESS, agent, 19}, EPERM},
		{SYS_setpriority, {PRIO_USER, 0, 19}, EPERM},
		{SYS_ioprio_set, {1, agent, 3 << 13}, EPERM},
		{SYS_ioprio_set, {3, 0, 3 << 13}, EPERM}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_int_eq(try_call(&rows[i], false), rows[i].error);
}
END_TEST

START_TEST(everything_else_goes_on)
{
	static struct rlimit limit;
	static int pair[2];
	const struct row rows[] = {{SYS_getpid, {0}, 0}, {SYS_socket, {AF_INET, SOCK_DGRAM}, 0},
		{SYS_socket, {AF_UNIX, SOCK_STREAM}, 0}, {SYS_socket, {AF_NETLINK, SOCK_RAW}, 0},
		{SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, (long)pair}, 0},
		{SYS_unshare, {CLONE_FILES}, 0},
		{SYS_prlimit64, {0, RLIMIT_NOFILE, 0, (long)&limit}, 0},
		{SYS_setpriority, {PRIO_PROCESS, 0, 5}, 0},
		{SYS_fcntl, {STDOUT_FILENO, F_GETFD}, 0}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_int_eq(try_call(&rows[i], false), rows[i].error);
}
END_TEST

START_TEST(namespaces_where_they_are_granted)
{
	const struct row row = {SYS_unshare, {CLONE_NEWUSER | CLONE_FS}, 0};
	const struct row bad = {SYS_unshare, {-1}, EINVAL};
	int without = try_call(&bad, false);

	ck_assert_int_eq(without, EPERM);
	ck_assert_int_eq(try_call(&bad, true), EINVAL);
	/* The kernel's own answer may be no, but not in the filter's name. */
	if (geteuid() == 0)
		ck_assert_int_eq(try_call(&row, true), 0);
}
END_TEST

START_TEST(it_stays_small_and_is_inherited)
{
	int status = -1;
	pid_t pid = -1;

	rh_filter_build(&filter, 1, false);
	ck_assert_uint_le(filter.n, RH_FILTER_MAX);
	ck_assert_uint_gt(filter.n, 50);
	pid = fork();
	if (pid == 0) {
		char *argv[] = {"sh", "-c",
			"grep -qE 'Seccomp:.2' /proc/self/status && "
			"grep -qE 'NoNewPrivs:.1' /proc/self/status",
			NULL};

		if (rh_filter_install(&filter) == 0)
			(void)execv("/bin/sh", argv);
		_exit(99);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

#ifdef __x86_64__
/* The 32-bit interface of a 64-bit process: getpid is 20 there, keyctl 288, socketcall 102. */
static int call_32(long number, long argument)
{
	long result = 0;

	/* What the kernel does not know by that interface it leaves alone. */
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(argument), "c"(0L), "d"(0L)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}

/* The errno of a call in a process of its own; -1: a signal ended it. */
static int call_in_child(
	int (*call)(long number, long argument), long number, long argument, bool filtered)
{
	int status = -1;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		rh_filter_build(&filter, 1, false);
		if (filtered && rh_filter_install(&filter) < 0)
			_exit(255);

		int r = call(number, argument);

		_exit(r < 0 ? -r : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int call_x32(long number, long argument)
{
	return syscall(number | 0x40000000, argument, 0, 0) < 0 ? -errno : 0;
}

/* A machine may have no 32-bit interface at all: then the trap itself ends the process. */
START_TEST(the_32_bit_interface_is_no_way_round)
{
	const struct {
		long number;
		long argument;
		int error;
	} rows[] = {
		{288, 0, ENOSYS}, {425, 1, ENOSYS}, {102, 1, ENOSYS}, {310, CLONE_NEWUSER, EPERM}};
	bool present = call_in_child(call_32, 20, 0, false) == 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_int_eq(call_in_child(call_32, rows[i].number, rows[i].argument, true),
			present ? rows[i].error : -1);
}
END_TEST

START_TEST(the_x32_interface_is_no_way_round)
{
	ck_assert_int_eq(call_in_child(call_x32, SYS_getpid, 0, true), ENOSYS);
}
END_TEST
#endif

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "filter", what_a_job_does_not_need_is_not_there,
		the_agents_limits_and_priorities_are_its_own, everything_else_goes_on,
		it_stays_small_and_is_inherited);
	if (!RH_TEST_UNDER_TSAN)
		RH_ADD_TESTS(suite, "namespaces", namespaces_where_they_are_granted);
#ifdef __x86_64__
	RH_ADD_TESTS(suite, "interfaces", the_32_bit_interface_is_no_way_round,
		the_x32_interface_is_no_way_round);
#endif
}

RH_TEST_MAIN("filter", tests);
