/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/ipc/procfs.h
 */

#include "broker/daemon/ipc/procfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rh-test.h"
#include "runnerhub/clock.h"

START_TEST(a_hostile_name_does_not_shift_the_fields)
{
	struct rh_proc_stat stat;
	const char *text =
		"7 (a) S 1 (b) R) S 42 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 2\n";

	ck_assert_int_eq(rh_proc_parse_stat(text, &stat), 0);
	ck_assert_int_eq(stat.ppid, 42);
	ck_assert_int_eq(stat.state, 'S');
	ck_assert_uint_eq(stat.start_ticks, 98765);
}
END_TEST

START_TEST(cut_or_wrong_text_is_refused)
{
	static const char *const rows[] = {
		"",
		"7 (a)",
		"7 (a) S",
		"7 (a) S x 1",
		"7 (a) S 42 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0\n",
		"7 a S 42 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 2\n",
	};
	struct rh_proc_stat stat;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_int_eq(rh_proc_parse_stat(rows[i], &stat), -EPROTO);
}
END_TEST

START_TEST(our_own_process_is_described)
{
	struct rh_proc_stat stat;
	uid_t uid = (uid_t)-1;
	char exe[4096];

	ck_assert_int_eq(rh_proc_stat(getpid(), &stat), 0);
	ck_assert_int_eq(stat.ppid, getppid());
	ck_assert_int_eq(rh_proc_uid(getpid(), &uid), 0);
	ck_assert_uint_eq(uid, geteuid());
	ck_assert_int_eq(rh_proc_exe(getpid(), exe, sizeof(exe)), 0);
	ck_assert_str_eq(strrchr(exe, '/') + 1, "test_procfs");
	ck_assert_int_eq(rh_proc_exe(getpid(), exe, 4), -ENAMETOOLONG);

	int64_t age_ms = rh_wall_ms() - rh_proc_start_wall_ms(stat.start_ticks);

	ck_assert_int_ge(age_ms, -1000);
	ck_assert_int_lt(age_ms, 60000);
}
END_TEST

START_TEST(an_ended_process_is_seen)
{
	struct rh_proc_stat stat;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);

	int pidfd = rh_pidfd_open(pid);
	siginfo_t info;

	ck_assert_int_ge(pidfd, 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	ck_assert(rh_pidfd_ended(pidfd));
	ck_assert_int_eq(rh_proc_stat(pid, &stat), 0);
	ck_assert_int_eq(stat.state, 'Z');
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(rh_proc_stat(pid, &stat), -ESRCH);
	ck_assert_int_lt(rh_pidfd_open(pid), 0);
	(void)close(pidfd);
}
END_TEST

/* Of the linker: the wall clock can be set, the others cannot. */
static int64_t wall_offset_s;
int __real_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	int r = __real_clock_gettime(clock, ret_time);

	if (clock == CLOCK_REALTIME)
		ret_time->tv_sec += wall_offset_s;
	return r;
}

START_TEST(a_clock_that_is_set_changes_no_age)
{
	struct rh_proc_stat stat;

	ck_assert_int_eq(rh_proc_stat(getpid(), &stat), 0);
	for (wall_offset_s = -3600; wall_offset_s <= 3600; wall_offset_s += 3600) {
		int64_t wall = rh_wall_ms() - wall_offset_s * 1000;
		int64_t start = rh_proc_start_wall_ms(stat.start_ticks) - wall_offset_s * 1000;

		ck_assert_int_ge(rh_proc_age_ms(stat.start_ticks), -1000);
		ck_assert_int_lt(rh_proc_age_ms(stat.start_ticks), 60000);
		ck_assert_int_lt(wall - start, 60000);
	}
	wall_offset_s = 0;
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "procfs", a_hostile_name_does_not_shift_the_fields,
		cut_or_wrong_text_is_refused, our_own_process_is_described,
		an_ended_process_is_seen, a_clock_that_is_set_changes_no_age);
}

RH_TEST_MAIN("procfs", tests);
