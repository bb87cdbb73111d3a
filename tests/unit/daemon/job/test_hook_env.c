/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the administrator's own hook gets of the environment that the Worker gives to ours.
 */

#include <stdlib.h>
#include <string.h>

#include "broker/daemon/job/hook_env.h"
#include "rh-test.h"

/* The copy as one line, with blanks between. */
static void must_be(char *const *envp, const char *expected)
{
	size_t size = 99;
	char *list = rh_hook_env_copy(envp, &size);

	ck_assert_ptr_nonnull(list);
	for (size_t i = 0; i + 1 < size; i++) {
		if (!list[i])
			list[i] = ' ';
	}
	ck_assert_str_eq(list, expected);
	free(list);
}

START_TEST(what_the_worker_defines_passes)
{
	char *envp[] = {"HOME=/h", "GITHUB_SHA=abc", "CI=true", "RUNNER_TEMP=/w/_temp",
		"GITHUB_HEAD_REF=", NULL};

	must_be(envp, "GITHUB_SHA=abc RUNNER_TEMP=/w/_temp GITHUB_HEAD_REF=");
}
END_TEST

START_TEST(what_a_job_made_does_not)
{
	char *envp[] = {"GITHUB_MINE=x", "RUNNER_HOME=x", "GITHUB_=x", "GITHUB_SHA",
		"GITHUB_SHAX=x", "GITHUB_SH=x", "RUNNER_DEBUG=1", "GITHUB_TOKEN=x",
		"ACTIONS_RUNTIME_TOKEN=x", "PATH=/mine", "BASH_FUNC_GITHUB_SHA%%=() { :; }", "=x",
		"", NULL};

	must_be(envp, "");
}
END_TEST

/* The name "GITHUB_SHA=x" of a job's makes a second GITHUB_SHA. */
START_TEST(a_name_that_occurs_twice_is_left_out)
{
	char *envp[] = {
		"GITHUB_SHA=x=mine", "GITHUB_REF=r", "GITHUB_SHA=abc", "GITHUB_REF_NAME=n", NULL};

	must_be(envp, "GITHUB_REF=r GITHUB_REF_NAME=n");
}
END_TEST

START_TEST(an_empty_environment)
{
	char *envp[] = {NULL};

	must_be(envp, "");
}
END_TEST

static void tests(Suite *suite)
{
	TCase *names = tcase_create("names");

	tcase_add_test(names, what_the_worker_defines_passes);
	tcase_add_test(names, what_a_job_made_does_not);
	tcase_add_test(names, a_name_that_occurs_twice_is_left_out);
	tcase_add_test(names, an_empty_environment);
	suite_add_tcase(suite, names);
}

RH_TEST_MAIN("job/hook_env", tests);
