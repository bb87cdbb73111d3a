/* SPDX-License-Identifier: Apache-2.0 */

/*
 * hook/inherit.h: what a step inherits, and an environment out of /proc.
 */

#include "inherit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rh-test.h"

static void split(const char *bytes, size_t size, struct rh_environ *ret)
{
	char *text = malloc(size + 1);

	ck_assert_ptr_nonnull(text);
	memcpy(text, bytes, size);
	text[size] = '\0';
	ck_assert_int_eq(rh_environ_split(text, size, ret), 0);
}

START_TEST(environments_are_cut_at_zeros)
{
	struct rh_environ e = {0};

	split("A=1\0B=2\0", 8, &e);
	ck_assert_str_eq(e.envp[0], "A=1");
	ck_assert_str_eq(e.envp[1], "B=2");
	ck_assert_ptr_null(e.envp[2]);
	rh_environ_deinit(&e);
	/* Without the last zero, with empty entries, and nothing at all. */
	split("A=1\0\0B", 6, &e);
	ck_assert_str_eq(e.envp[1], "");
	ck_assert_str_eq(e.envp[2], "B");
	ck_assert_ptr_null(e.envp[3]);
	rh_environ_deinit(&e);
	split("", 0, &e);
	ck_assert_ptr_null(e.envp[0]);
	rh_environ_deinit(&e);
}
END_TEST

START_TEST(a_large_environment_is_read_whole)
{
	enum { N = 40 };
	static char text[N][100000];
	char *envp[N + 1] = {NULL};
	char *argv[] = {"sleep", "60", NULL};
	struct rh_environ e = {0};
	size_t n = 0;

	for (int i = 0; i < N; i++) {
		memset(text[i], 'x', sizeof(text[i]) - 1);
		text[i][1] = '=';
		envp[i] = text[i];
	}
	/* A quarter of the stack limit is what execve(2) allows. */
	(void)setrlimit(RLIMIT_STACK, &(struct rlimit){64 << 20, RLIM_INFINITY});

	pid_t pid = fork();

	if (pid == 0) {
		(void)execve("/bin/sleep", argv, envp);
		_exit(1);
	}
	for (int i = 0; i < 500 && n != N; i++) {
		(void)usleep(10000);
		rh_environ_deinit(&e);
		n = 0;
		if (rh_environ_read(pid, &e) == 0) {
			while (e.envp[n])
				n++;
		}
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	ck_assert_uint_eq(n, N);
	ck_assert_str_eq(e.envp[N - 1], text[N - 1]);
	rh_environ_deinit(&e);
	ck_assert_int_eq(rh_environ_read(pid, &e), -ENOENT);
}
END_TEST

START_TEST(scores_are_the_runners)
{
	static const struct {
		char *entry;
		int32_t score;
	} rows[] = {
		{"A=1", 500},
		{"PIPELINE_JOB_OOMSCOREADJ=100", 100},
		{"PIPELINE_JOB_OOMSCOREADJ=-1000", -1000},
		{"PIPELINE_JOB_OOMSCOREADJ=0", 0},
		{"PIPELINE_JOB_OOMSCOREADJ=1001", 500},
		{"PIPELINE_JOB_OOMSCOREADJ=-1001", 500},
		{"PIPELINE_JOB_OOMSCOREADJ=1x", 500},
		{"PIPELINE_JOB_OOMSCOREADJ=", 500},
		{"PIPELINE_JOB_OOMSCOREADJ=99999999999999999999", 500},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *const envp[] = {rows[i].entry, NULL};

		ck_assert_msg(rh_inherit_oom_score(envp) == rows[i].score, "%s", rows[i].entry);
	}
}
END_TEST

START_TEST(limits_mask_and_signals_are_taken)
{
	char *const envp[] = {NULL};
	struct rh_block_spec spec = {0};

	(void)umask(0137);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGQUIT, SIG_IGN);
	(void)signal(SIGHUP, SIG_DFL);
	ck_assert_int_eq(setrlimit(RLIMIT_STACK, &(struct rlimit){3 << 20, RLIM_INFINITY}), 0);
	rh_inherit(&spec, envp);
	ck_assert_uint_eq(spec.umask, 0137);
	ck_assert_uint_eq(umask(0), 0137);
	ck_assert_uint_eq(spec.stack_soft, 3 << 20);
	ck_assert(spec.sig_ignored >> (SIGPIPE - 1) & 1);
	ck_assert(spec.sig_ignored >> (SIGQUIT - 1) & 1);
	ck_assert(!(spec.sig_ignored >> (SIGHUP - 1) & 1));
	ck_assert_int_eq(spec.oom_score_adj, 500);
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "inherit", environments_are_cut_at_zeros,
		a_large_environment_is_read_whole, scores_are_the_runners,
		limits_mask_and_signals_are_taken);
}

RH_TEST_MAIN("hook/inherit", tests);
