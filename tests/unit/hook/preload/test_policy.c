/* SPDX-License-Identifier: Apache-2.0 */

/*
 * hook/preload/policy.h: the table, row by row, and over every exec that was recorded of the real
 * Worker.
 */

#include "policy.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "rh-test.h"

static const struct rh_policy policy = {
	.started_hook = "/opt/rh/job-started.sh",
	.completed_hook = "/opt/rh/job-completed.sh",
	.tar = "/usr/bin/tar",
	.docker = "/usr/bin/docker",
};

#define STAGING "/runner/_work/_actions/_temp_1234/_staging"
#define ARCHIVE "/runner/_work/_actions/_temp_1234/5678.tar.gz"

static const struct row {
	enum rh_verdict verdict;
	bool marker;
	const char *cwd;
	const char *argv[8];
} rows[] = {
	{RH_VERDICT_RELAY, true, "/", {"/usr/bin/bash", "-e", "/runner/_work/_temp/1.sh"}},
	{RH_VERDICT_RELAY, false, "/",
		{"/runner/externals/node20/bin/node", "/runner/bin/hashFiles"}},
	{RH_VERDICT_RELAY, false, "/", {"/anything"}},

	{RH_VERDICT_JOB_STARTED, true, "/", {"/usr/bin/bash", "-e", "/opt/rh/job-started.sh"}},
	{RH_VERDICT_JOB_COMPLETED, true, "/", {"/usr/bin/bash", "-e", "/opt/rh/job-completed.sh"}},
	/* By whatever shell of the workspace. */
	{RH_VERDICT_JOB_COMPLETED, true, "/", {"/w/bin/bash", "-e", "/opt/rh/job-completed.sh"}},
	/* Hooks carry the marker. */
	{RH_VERDICT_RELAY, false, "/", {"/usr/bin/bash", "-e", "/opt/rh/job-started.sh"}},
	/* Not the last word, not the whole path. */
	{RH_VERDICT_RELAY, true, "/", {"/usr/bin/bash", "-e", "/opt/rh/job-started.sh", "x"}},
	{RH_VERDICT_RELAY, true, "/", {"/usr/bin/bash", "-e", "/opt/rh/job-started.sh/"}},

	{RH_VERDICT_UNTAR, false, STAGING, {"/usr/bin/tar", "-xzf", ARCHIVE}},
	/* Through a link the kernel gives another name for the same folder. */
	{RH_VERDICT_UNTAR, false, "/mnt/_actions/_temp_1234/_staging",
		{"/usr/bin/tar", "-xzf", ARCHIVE}},
	{RH_VERDICT_RELAY, true, STAGING, {"/usr/bin/tar", "-xzf", ARCHIVE}},
	{RH_VERDICT_RELAY, false, STAGING, {"/w/bin/tar", "-xzf", ARCHIVE}},
	{RH_VERDICT_RELAY, false, STAGING, {"/usr/bin/tar", "-xzvf", ARCHIVE}},
	{RH_VERDICT_RELAY, false, STAGING, {"/usr/bin/tar", "-xzf", ARCHIVE, "--to-command=x"}},
	{RH_VERDICT_RELAY, false, STAGING, {"/usr/bin/tar", "-xzf"}},
	{RH_VERDICT_RELAY, false, STAGING, {"/usr/bin/tar", "-xzf", "/etc/x.tar.gz"}},
	{RH_VERDICT_RELAY, false, "/etc", {"/usr/bin/tar", "-xzf", ARCHIVE}},
	{RH_VERDICT_RELAY, false, STAGING "/more", {"/usr/bin/tar", "-xzf", ARCHIVE}},
	{RH_VERDICT_RELAY, false, "", {"/usr/bin/tar", "-xzf", ARCHIVE}},
	{RH_VERDICT_RELAY, false, "/runner/_work/_actions/_temp_12345/_staging",
		{"/usr/bin/tar", "-xzf", ARCHIVE}},
	{RH_VERDICT_RELAY, false, "/runner/_work/_actions/_temp_123/_staging",
		{"/usr/bin/tar", "-xzf", ARCHIVE}},
	{RH_VERDICT_RELAY, false, "/r/_actions/_temp_/_staging",
		{"/usr/bin/tar", "-xzf", "/r/_actions/_temp_/x.tar.gz"}},
	{RH_VERDICT_RELAY, false, STAGING,
		{"/usr/bin/tar", "-xzf", "/runner/_work/_actions/_temp_1234/"}},

	{RH_VERDICT_REFUSE, false, "/", {"/usr/bin/docker", "version"}},
	{RH_VERDICT_REFUSE, true, "/", {"/usr/bin/docker", "run", "x"}},
	{RH_VERDICT_REFUSE, false, "/", {"/runner/bin/Runner.PluginHost", "action", "T"}},
	{RH_VERDICT_REFUSE, true, "/", {"/runner/bin.2/Runner.PluginHost"}},
	{RH_VERDICT_RELAY, false, "/", {"/runner/bin/Runner.PluginHost2"}},
};

static enum rh_verdict decide(const struct rh_policy *with, const struct row *row)
{
	const struct rh_exec exec = {
		.path = row->argv[0],
		.argv = (char *const *)(uintptr_t)row->argv,
		.cwd = row->cwd,
		.marker = row->marker,
	};

	return rh_policy_decide(with, &exec);
}

START_TEST(rows_get_their_verdict)
{
	const struct row *row = &rows[_i];

	ck_assert_msg(decide(&policy, row) == row->verdict, "row %d: %s %s", _i, row->argv[0],
		row->argv[1] ? row->argv[1] : "");
}
END_TEST

/* What a Worker without hooks, tar and docker does not know is relayed. */
START_TEST(without_facts_all_is_relayed)
{
	static const struct rh_policy nothing = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum rh_verdict verdict = decide(&nothing, &rows[i]);

		ck_assert(verdict == RH_VERDICT_RELAY || strstr(rows[i].argv[0], "PluginHost"));
	}
}
END_TEST

START_TEST(arguments_may_be_missing)
{
	char *none[] = {NULL};
	struct rh_exec exec = {.path = "/usr/bin/bash", .argv = NULL, .cwd = "", .marker = true};

	ck_assert_int_eq(rh_policy_decide(&policy, &exec), RH_VERDICT_RELAY);
	exec.argv = none;
	ck_assert_int_eq(rh_policy_decide(&policy, &exec), RH_VERDICT_RELAY);
	exec.path = "/usr/bin/docker";
	ck_assert_int_eq(rh_policy_decide(&policy, &exec), RH_VERDICT_REFUSE);
}
END_TEST

START_TEST(markers_are_whole_names)
{
	static char *const with[] = {"A=1", "RUNNER_TEMP=", NULL};
	static char *const other[] = {"A=1", "RUNNER_OS=Linux", NULL};
	static char *const without[] = {
		"RUNNER_TEMPO=1", "RUNNER_OS", "XGITHUB_RUN_ID=1", "", NULL};

	ck_assert(rh_policy_marker(with));
	ck_assert(rh_policy_marker(other));
	ck_assert(!rh_policy_marker(without));
	ck_assert(!rh_policy_marker(NULL));
}
END_TEST

/* Puts real words in place of those that stand for them in the recording. */
static void expand(const char *word, char *to, size_t size)
{
	static const char *const words[][2] = {{"<root>", "/runner"}, {"<hooks>", "/opt/rh"},
		{"<docker>", "/usr/bin/docker"}, {"<guid>", "0f9c"}, {"<hex>", "ab"}};
	size_t used = 0;

	while (*word && used + 32 < size) {
		size_t i = 0;

		for (; i < sizeof(words) / sizeof(words[0]); i++) {
			if (strncmp(word, words[i][0], strlen(words[i][0])) == 0)
				break;
		}
		if (i < sizeof(words) / sizeof(words[0])) {
			used += (size_t)snprintf(to + used, size - used, "%s", words[i][1]);
			word += strlen(words[i][0]);
		} else {
			to[used++] = *word++;
		}
	}
	to[used] = '\0';
}

/* What the runner's reference says of each program that was recorded. */
static enum rh_verdict expected(const char *program, const char *last)
{
	if (strcmp(last, "/opt/rh/job-started.sh") == 0)
		return RH_VERDICT_JOB_STARTED;
	if (strcmp(last, "/opt/rh/job-completed.sh") == 0)
		return RH_VERDICT_JOB_COMPLETED;
	if (strcmp(program, "/usr/bin/tar") == 0)
		return RH_VERDICT_UNTAR;
	return strcmp(program, "/usr/bin/docker") == 0 ? RH_VERDICT_REFUSE : RH_VERDICT_RELAY;
}

static enum rh_verdict decide_recorded(struct json_object *row)
{
	static char words[256][1024];
	char cwd[1024];
	char *argv[257] = {NULL};
	struct json_object *list = NULL, *marker = NULL, *dir = NULL;

	ck_assert(json_object_object_get_ex(row, "argv", &list));
	ck_assert(json_object_object_get_ex(row, "cwd", &dir));
	(void)json_object_object_get_ex(row, "marker", &marker);

	size_t n = json_object_array_length(list);

	ck_assert_uint_gt(n, 0);
	ck_assert_uint_lt(n, 256);
	for (size_t i = 0; i < n; i++) {
		expand(json_object_get_string(json_object_array_get_idx(list, i)), words[i],
			sizeof(words[i]));
		argv[i] = words[i];
	}
	expand(json_object_get_string(dir), cwd, sizeof(cwd));

	const struct rh_exec exec = {.path = argv[0],
		.argv = argv,
		.cwd = cwd,
		.marker = json_object_get_boolean(marker)};
	enum rh_verdict verdict = rh_policy_decide(&policy, &exec);

	ck_assert_msg(verdict == expected(argv[0], argv[n - 1]), "%s … %s: %d", argv[0],
		argv[n - 1], verdict);
	return verdict;
}

START_TEST(recorded_execs_get_their_verdict)
{
	FILE *file = fopen(RH_TEST_RECORDING, "r");
	int seen[RH_VERDICTS] = {0};
	char line[65536];

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		struct json_object *row = json_tokener_parse(line);

		ck_assert_ptr_nonnull(row);
		/* A line about a whole job has no argv. */
		if (json_object_object_get_ex(row, "argv", NULL))
			seen[decide_recorded(row)]++;
		json_object_put(row);
	}
	(void)fclose(file);
	ck_assert_int_eq(seen[RH_VERDICT_JOB_STARTED], 4);
	ck_assert_int_eq(seen[RH_VERDICT_JOB_COMPLETED], 3);
	ck_assert_int_eq(seen[RH_VERDICT_UNTAR], 1);
	ck_assert_int_gt(seen[RH_VERDICT_REFUSE], 20);
	ck_assert_int_gt(seen[RH_VERDICT_RELAY], 10);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *table = tcase_create("table");

	tcase_add_loop_test(
		table, rows_get_their_verdict, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	suite_add_tcase(suite, table);
	RH_ADD_TESTS(suite, "policy", without_facts_all_is_relayed, arguments_may_be_missing,
		markers_are_whole_names, recorded_execs_get_their_verdict);
}

RH_TEST_MAIN("preload/policy", tests);
