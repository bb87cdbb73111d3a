/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/job/request.h: what a hook may say of its job.
 */

#include "broker/daemon/job/request.h"

#include <errno.h>
#include <string.h>

#include "rh-test.h"

static char work[] = "/srv/my runner/_work", name[] = "r1";
static const struct rh_runner runner = {.name = name, .work = work};

static char *envp[16];

static void fill(const char *workspace, const char *temp, const char *tools)
{
	static char values[3][5000];
	int n = 0;

	(void)snprintf(values[0], sizeof(values[0]), "GITHUB_WORKSPACE=%s", workspace);
	(void)snprintf(values[1], sizeof(values[1]), "RUNNER_TEMP=%s", temp);
	(void)snprintf(values[2], sizeof(values[2]), "RUNNER_TOOL_CACHE=%s", tools);
	envp[n++] = values[0];
	envp[n++] = values[1];
	envp[n++] = values[2];
	envp[n++] = "GITHUB_REPOSITORY=octo/hello";
	envp[n++] = "GITHUB_REF=refs/heads/a\x1b[31mb\xff\nc";
	envp[n] = NULL;
}

START_TEST(a_plain_job_is_taken)
{
	struct rh_job_request q;
	struct rh_err err = {0};

	fill("/srv/my runner/_work/hello/hello", "/srv/my runner/_work/_temp", "/opt/tools");
	ck_assert_int_eq(rh_job_request_parse(envp, &runner, &q, &err), 0);
	ck_assert_str_eq(q.repo, "hello");
	ck_assert_str_eq(q.workspace, "/srv/my runner/_work/hello/hello");
	ck_assert_str_eq(q.tool_cache, "/opt/tools");
	ck_assert_str_eq(q.repository, "octo/hello");
	ck_assert_str_eq(q.ref, "refs/heads/a?[31mb??c");
	ck_assert_str_eq(q.workflow, "");
}
END_TEST

START_TEST(paths_outside_are_refused)
{
	static const char *const rows[] = {
		"/srv/my runner/_work",
		"/srv/my runner/_workx/a/a",
		"/srv/my runner/_work/../etc",
		"/srv/my runner/_work/a/../../x",
		"/srv/my runner/_work//a/a",
		"/srv/my runner/_work/./a",
		"/srv/my runner/_work/_temp/x",
		"/srv/my runner/_work/_actions/x",
		"/srv/my runner/_work/_runnerhub/x",
		"/srv/my runner/_work/a\nb",
		"/etc",
		"relative",
		"",
	};
	struct rh_job_request q;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rh_err err = {0};

		fill(rows[i], "/srv/my runner/_work/_temp", "");
		ck_assert_int_eq(rh_job_request_parse(envp, &runner, &q, &err), -EINVAL);
		ck_assert_ptr_nonnull(strstr(err.text, "GITHUB_WORKSPACE"));
	}
}
END_TEST

START_TEST(the_temp_directory_must_be_the_registered_one)
{
	static const char *const rows[] = {
		"", "/tmp", "/srv/my runner/_work/x", "/srv/my runner/_work/_temp/x"};
	struct rh_job_request q;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rh_err err = {0};

		fill("/srv/my runner/_work/a/a", rows[i], "");
		ck_assert_int_eq(rh_job_request_parse(envp, &runner, &q, &err), -EINVAL);
		ck_assert_ptr_nonnull(strstr(err.text, "RUNNER_TEMP"));
	}
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "request", a_plain_job_is_taken, paths_outside_are_refused,
		the_temp_directory_must_be_the_registered_one);
}

RH_TEST_MAIN("request", tests);
