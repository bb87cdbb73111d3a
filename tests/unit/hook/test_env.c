/* SPDX-License-Identifier: Apache-2.0 */

/*
 * hook/env.h: what of an environment reaches a step.
 */

#include "env.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rh-test.h"
#include "runnerhub/block.h"
#include "runnerhub/client_conf.h"

#define HOST_PATH "/usr/local/bin:/usr/bin"
#define STUBS     "/opt/rh/stubs"

static char preload[] = "LD_PRELOAD=/opt/rh/librunnerhub-preload.so:libfoo.so";
static char path[] = "PATH=" HOST_PATH;

static char *const base[] = {path, "HOME=/home/runner", "SECRET=host", "LANG=C.UTF-8", "LC_ALL=C",
	"CI=true", "RUNNERHUB_SOCKET=/x", "GITHUB_SHARED=1", "RUNNER_TOOL_CACHE=/t", preload,
	"LD_LIBRARY_PATH=/host/lib", "https_proxy=http://p", NULL};

static struct rh_env env;

static void filter_with(const char *pass, char *const *envp)
{
	struct rh_env_rules rules = {.base = base, .pass = pass, .stubs = STUBS};

	rh_env_deinit(&env);
	ck_assert_int_eq(rh_env_filter(&rules, envp, &env), 0);
}

static void filter(char *const *envp)
{
	filter_with(RH_CLIENT_CONF_ENV_PASS_DEFAULT, envp);
}

static void tear_down(void)
{
	rh_env_deinit(&env);
}

#define ENTRIES(...) ((char *const[]){__VA_ARGS__, NULL})

/* Checks the result, word for word. */
static void expect(char *const *entries)
{
	size_t i = 0;

	for (; entries[i]; i++) {
		ck_assert_ptr_nonnull(env.envp[i]);
		ck_assert_str_eq(env.envp[i], entries[i]);
	}
	ck_assert_ptr_null(env.envp[i]);
}

START_TEST(the_hosts_own_stays_out)
{
	filter(base);
	expect(ENTRIES("LANG=C.UTF-8", "LC_ALL=C", "CI=true", "GITHUB_SHARED=1",
		"RUNNER_TOOL_CACHE=/t", "https_proxy=http://p"));
	ck_assert_uint_eq(env.flags, 0);
}
END_TEST

START_TEST(what_a_job_sets_passes)
{
	filter(ENTRIES("SECRET=job", "HOME=/github/home", "NEW=1", "EMPTY=",
		"LD_PRELOAD=/w/mine.so", "RUNNERHUB_SOCKET=/y", "NO_EQUALS", "SECRET=host2"));
	expect(ENTRIES("SECRET=job", "HOME=/github/home", "NEW=1", "EMPTY=",
		"LD_PRELOAD=/w/mine.so", "RUNNERHUB_SOCKET=/y", "NO_EQUALS", "SECRET=host2"));
}
END_TEST

START_TEST(no_list_saves_the_loaders_variables)
{
	filter_with("*", base);
	for (char **e = env.envp; *e; e++)
		ck_assert(strncmp(*e, "LD_", 3) != 0 && strncmp(*e, "RUNNERHUB_", 10) != 0);
	/* What the preload library leaves of the Worker's LD_PRELOAD. */
	filter_with("*", ENTRIES("LD_PRELOAD=libfoo.so", "LD_PRELOAD=libfoo.so:/w/mine.so"));
	expect(ENTRIES("LD_PRELOAD=libfoo.so:/w/mine.so"));
}
END_TEST

START_TEST(path_keeps_the_jobs_entries)
{
	static const struct {
		char *given;
		const char *sent; /* NULL: none */
		uint32_t flags;
	} rows[] = {
		{"PATH=/w/a:/w/b:" HOST_PATH ":" STUBS, "PATH=/w/a:/w/b", RH_BLOCK_PATH_PREFIX},
		{"PATH=/w/a:" HOST_PATH, "PATH=/w/a", RH_BLOCK_PATH_PREFIX},
		{"PATH=" HOST_PATH ":" STUBS, NULL, 0},
		{"PATH=" HOST_PATH, NULL, 0},
		{"PATH=", NULL, 0},
		{"PATH=" STUBS, NULL, 0},
		{"PATH=/own:" STUBS, "PATH=/own", 0},
		{"PATH=/own", "PATH=/own", 0},
		{"PATH=" HOST_PATH ":/own", "PATH=" HOST_PATH ":/own", 0},
		/* Not at a component's start. */
		{"PATH=/x" HOST_PATH, "PATH=/x" HOST_PATH, 0},
		{"PATH=/x" STUBS, "PATH=/x" STUBS, 0},
		/* An empty component of the job's stays one. */
		{"PATH=/w/a::" HOST_PATH, "PATH=/w/a:", RH_BLOCK_PATH_PREFIX},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		filter(ENTRIES("A=1", rows[i].given, "PATHS=2"));
		ck_assert_msg(env.flags == rows[i].flags, "%s", rows[i].given);
		if (rows[i].sent)
			expect(ENTRIES("A=1", (char *)(uintptr_t)rows[i].sent, "PATHS=2"));
		else
			expect(ENTRIES("A=1", "PATHS=2"));
	}
	filter(ENTRIES("PATH=" HOST_PATH, "PATH=/second"));
	expect(ENTRIES(NULL));
	filter(ENTRIES("PATH=/first", "PATH=/second:" HOST_PATH));
	expect(ENTRIES("PATH=/first"));
	ck_assert_uint_eq(env.flags, 0);
}
END_TEST

START_TEST(a_worker_without_path_is_no_prefix)
{
	static char *const empty[] = {NULL};
	struct rh_env_rules rules = {.base = empty, .pass = "", .stubs = STUBS};

	ck_assert_int_eq(rh_env_filter(&rules, ENTRIES("PATH=/a:" STUBS), &env), 0);
	expect(ENTRIES("PATH=/a"));
	ck_assert_uint_eq(env.flags, 0);
}
END_TEST

START_TEST(lists_hold_names_and_prefixes)
{
	ck_assert(rh_env_listed("A,B_*,C", "A", 1));
	ck_assert(rh_env_listed("A,B_*,C", "B_X", 3));
	ck_assert(rh_env_listed("A,B_*,C", "B_", 2));
	ck_assert(rh_env_listed("A,B_*,C", "C", 1));
	ck_assert(rh_env_listed("*", "anything", 8));
	ck_assert(!rh_env_listed("A,B_*,C", "B", 1));
	ck_assert(!rh_env_listed("A,B_*,C", "AA", 2));
	ck_assert(!rh_env_listed("AA", "A", 1));
	ck_assert(!rh_env_listed("", "A", 1));
	ck_assert(!rh_env_listed(",,", "", 0));
}
END_TEST

START_TEST(many_entries_are_quick)
{
	enum { N = 60000 };
	static char text[N][16];
	static char *entries[N + 1];
	size_t n = 0;

	for (int i = 0; i < N; i++) {
		(void)snprintf(text[i], sizeof(text[i]), "V%d=1", i);
		entries[i] = text[i];
	}

	struct rh_env_rules rules = {.base = entries, .pass = "V7", .stubs = STUBS};

	ck_assert_int_eq(rh_env_filter(&rules, entries, &env), 0);
	while (env.envp[n])
		n++;
	ck_assert_uint_eq(n, 1);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *filtering = tcase_create("filter");

	tcase_add_checked_fixture(filtering, NULL, tear_down);
	tcase_add_test(filtering, the_hosts_own_stays_out);
	tcase_add_test(filtering, what_a_job_sets_passes);
	tcase_add_test(filtering, no_list_saves_the_loaders_variables);
	tcase_add_test(filtering, path_keeps_the_jobs_entries);
	tcase_add_test(filtering, a_worker_without_path_is_no_prefix);
	tcase_add_test(filtering, many_entries_are_quick);
	suite_add_tcase(suite, filtering);
	RH_ADD_TESTS(suite, "lists", lists_hold_names_and_prefixes);
}

RH_TEST_MAIN("hook/env", tests);
