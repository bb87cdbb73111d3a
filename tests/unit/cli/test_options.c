/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A command's options.
 */

#include <string.h>

#include "broker/cli/cli.h"
#include "capture.h"
#include "rh-test.h"

#define N(array) ((int)(sizeof(array) / sizeof((array)[0])))

static struct rh_cli cli;
static const char *text, *positional[2];
static struct rh_words words;
static bool on;

/* Return: as rh_parse_options(); what it said is in @ret_err. */
static int parse(int argc, const char *const *argv, const char **ret_err)
{
	const struct rh_option options[] = {
		{.name = "text", .value = "TEXT", .help = "a text", .ret_text = &text},
		{.name = "word", .value = "WORD", .help = "a word", .ret_words = &words},
		{.name = "on", .help = "a switch", .ret_switch = &on},
		{0},
	};
	char *copy[8] = {NULL};

	for (int i = 0; i < argc; i++)
		copy[i] = (char *)(uintptr_t)argv[i]; /* nobody writes to them */
	cli = (struct rh_cli){0};
	capture_begin();

	int status = rh_parse_options(&cli, argc, copy, options, positional, 2);

	(void)capture_end(ret_err);
	return status;
}

START_TEST(options_and_words_may_be_mixed)
{
	static const char *const argv[] = {
		"cmd", "a", "--text=x=y", "--on", "--word", "1", "--word=2", "b"};
	const char *err = NULL;

	ck_assert_int_eq(parse(N(argv), argv, &err), -1);
	ck_assert_str_eq(text, "x=y");
	ck_assert(on);
	ck_assert_uint_eq(words.n, 2);
	ck_assert_str_eq(words.words[1], "2");
	ck_assert_str_eq(positional[0], "a");
	ck_assert_str_eq(positional[1], "b");
	ck_assert(!cli.json);
}
END_TEST

START_TEST(global_options_are_taken_behind_a_command)
{
	static const char *const argv[] = {"cmd", "--json", "--socket", "/s"};
	const char *err = NULL;

	ck_assert_int_eq(parse(N(argv), argv, &err), -1);
	ck_assert(cli.json);
	ck_assert_str_eq(cli.socket, "/s");
}
END_TEST

static const struct {
	const char *argv[5];
	int argc;
	const char *message;
} wrong[] = {
	{{"cmd", "--nope"}, 2,
		"runnerhub cmd: unknown option --nope; see `runnerhub cmd --help`\n"},
	{{"cmd", "-x"}, 2, "unknown option -x"},
	{{"cmd", "--te"}, 2, "unknown option --te"},
	{{"cmd", "--text"}, 2, "a value is missing behind --text"},
	{{"cmd", "--on=1"}, 2, "a switch takes no value: --on=1"},
	{{"cmd", "a", "b", "c"}, 4, "unexpected argument c"},
};

START_TEST(mistakes_are_named)
{
	const char *err = NULL;

	ck_assert_int_eq(parse(wrong[_i].argc, wrong[_i].argv, &err), RH_EXIT_USAGE);
	ck_assert_ptr_nonnull(strstr(err, wrong[_i].message));
}
END_TEST

START_TEST(help_lists_the_options)
{
	char *argv[] = {(char[]){"cmd"}, (char[]){"--help"}, NULL};
	static const struct rh_option options[] = {
		{.name = "text", .value = "TEXT", .help = "a text", .ret_text = &text}, {0}};

	capture_begin();
	ck_assert_int_eq(rh_parse_options(&cli, 2, argv, options, NULL, 0), RH_EXIT_OK);

	const char *out = capture_end(NULL);

	ck_assert_ptr_nonnull(strstr(out, "  --text TEXT              a text\n"));
	ck_assert_ptr_nonnull(strstr(out, "  --json  "));
}
END_TEST

START_TEST(repeated_options_are_bounded)
{
	static const char *const argv[] = {"cmd", "--word", "1"};
	const char *err = NULL;

	words.n = RH_WORDS_MAX;
	ck_assert_int_eq(parse(N(argv), argv, &err), RH_EXIT_USAGE);
	ck_assert_ptr_nonnull(strstr(err, "too many"));
}
END_TEST

START_TEST(numbers_are_checked)
{
	static const char *const bad[] = {"", "x", "1x", "0", "101", "99999999999999999999"};
	int64_t number = 7;
	const char *err = NULL;

	ck_assert(rh_parse_number("limit", "100", 1, 100, &number));
	ck_assert_int_eq(number, 100);
	for (int i = 0; i < N(bad); i++) {
		capture_begin();

		bool ok = rh_parse_number("limit", bad[i], 1, 100, &number);

		(void)capture_end(&err);
		ck_assert(!ok);
		ck_assert_ptr_nonnull(strstr(err, "--limit takes a number from 1 to 100"));
	}
	ck_assert_int_eq(number, 100);
}
END_TEST

void tests_of_options(Suite *suite);
void tests_of_options(Suite *suite)
{
	TCase *mistakes = tcase_create("mistakes");

	tcase_add_loop_test(mistakes, mistakes_are_named, 0, N(wrong));
	suite_add_tcase(suite, mistakes);
	RH_ADD_TESTS(suite, "options", options_and_words_may_be_mixed,
		global_options_are_taken_behind_a_command, help_lists_the_options,
		repeated_options_are_bounded, numbers_are_checked);
}
