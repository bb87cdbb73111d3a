/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For tests about which program a process runs: the test's own, copied to where another would be.
 * Its main() hands over to rh_test_self_main() when it is started as such a copy.
 */

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rh-test.h"

#define RH_TEST_SELF_WAIT "--wait"

/* Return: 0, -1. May be called in a child. */
static inline int rh_test_copy_self(const char *to)
{
	int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	struct stat st;

	if (in < 0 || out < 0 || fstat(in, &st) < 0)
		return -1;
	for (off_t left = st.st_size; left > 0;) {
		ssize_t n = sendfile(out, in, NULL, (size_t)left);

		if (n <= 0)
			return -1;
		left -= n;
	}
	(void)close(in);
	return close(out);
}

/* Starts a copy, and returns when it runs. @before, which may be NULL, prepares the child. */
static inline pid_t rh_test_start_self(const char *program, int (*before)(void))
{
	int ready[2];
	char c = 0;

	ck_assert_int_eq(pipe(ready), 0);

	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if ((before && before() < 0) || dup2(ready[1], STDOUT_FILENO) < 0)
			_exit(1);
		(void)execl(program, program, RH_TEST_SELF_WAIT, (char *)NULL);
		_exit(127);
	}
	(void)close(ready[1]);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	return pid;
}

static inline bool rh_test_is_self(int argc, char **argv)
{
	return argc == 2 && strcmp(argv[1], RH_TEST_SELF_WAIT) == 0;
}

/* A copy says that it is there, and stays until it is killed. */
static inline int rh_test_self_main(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (write(STDOUT_FILENO, "x", 1) != 1)
		return 1;
	for (;;)
		(void)pause();
}
