/* SPDX-License-Identifier: Apache-2.0 */

/*
 * hook/preload/policy.h: what makes a Worker, and the words of LD_PRELOAD.
 */

#include "policy.h"

#include <string.h>

#include "rh-test.h"

#define OURS "/usr/lib/runnerhub/" RH_PRELOAD_NAME

START_TEST(only_a_worker_in_bin_has_a_root)
{
	static const struct {
		const char *exe;
		size_t size;
	} rows[] = {
		{"/home/runner/bin/Runner.Worker", 12},
		{"/home/runner/bin.2.336.0/Runner.Worker", 12},
		{"/a b/\xc3\xa4/bin/Runner.Worker", 7},
		{"/bin/Runner.Worker", 1},
		{"/home/runner/bin/Runner.Listener", 0},
		{"/home/runner/bin/Runner.Worker2", 0},
		{"/home/runner/bin/Runner.Worker (deleted)", 0},
		{"/home/runner/binary/Runner.Worker", 0},
		{"/home/runner/sbin/Runner.Worker", 0},
		{"/home/runner/Runner.Worker", 0},
		{"/Runner.Worker", 0},
		{"Runner.Worker", 0},
		{"bin/Runner.Worker", 0},
		{"/", 0},
		{"", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(rh_facts_root(rows[i].exe) == rows[i].size, "%s", rows[i].exe);
}
END_TEST

START_TEST(our_word_is_found)
{
	static const char second[] = "librunnerhub-preload.so " OURS ":/b/librunnerhub-preload.so";
	static const char behind[] = "libfoo.so:" OURS;
	static const char between[] = ": " OURS " /lib/x.so";
	static const char *const with[] = {OURS, behind, between, second};
	static const char *const without[] = {"", " : ", "libfoo.so", "librunnerhub-preload.so",
		"./librunnerhub-preload.so", "/x/notlibrunnerhub-preload.so",
		"/x/librunnerhub-preload.so.1"};
	size_t size = 0;

	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++) {
		const char *word = rh_facts_word(with[i], &size);

		ck_assert_ptr_nonnull(word);
		ck_assert_uint_eq(size, strlen(OURS));
		ck_assert_int_eq(strncmp(word, OURS, size), 0);
	}
	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++)
		ck_assert_ptr_null(rh_facts_word(without[i], &size));
}
END_TEST

START_TEST(only_our_word_is_taken_out)
{
	static const char *const rows[][2] = {
		{OURS, ""},
		{"libfoo.so:" OURS, "libfoo.so"},
		{OURS " libfoo.so", "libfoo.so"},
		{"  a.so : " OURS ": b.so " OURS, "a.so:b.so"},
		{"a.so b.so", "a.so:b.so"},
		{"", ""},
	};
	char rest[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert(rh_facts_without(rows[i][0], rest, strlen(rows[i][0]) + 1));
		ck_assert_str_eq(rest, rows[i][1]);
		ck_assert(!rh_facts_without(rows[i][0], rest, strlen(rows[i][0])));
	}
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "facts", only_a_worker_in_bin_has_a_root, our_word_is_found,
		only_our_word_is_taken_out);
}

RH_TEST_MAIN("preload/facts", tests);
