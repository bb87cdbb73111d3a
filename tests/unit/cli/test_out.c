/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Words and tables for people.
 */

#include <string.h>
#include <time.h>

#include "broker/cli/cli.h"
#include "capture.h"
#include "rh-test.h"

static const struct {
	int64_t us;
	const char *text;
} durations[] = {
	{-1, "-"},
	{0, "0.0 ms"},
	{40, "0.0 ms"},
	{3160, "3.2 ms"},
	{9949, "9.9 ms"},
	{10000, "10 ms"},
	{999999, "999 ms"},
	{1000000, "1.0 s"},
	{9960000, "10 s"},
	{59999999, "59 s"},
	{60000000, "1 min 0 s"},
	{3599000000, "59 min 59 s"},
	{3600000000, "1 h 0 min"},
	{86400000000, "1 d 0 h"},
	{INT64_MAX, "106751991 d 4 h"},
};

START_TEST(durations_are_short)
{
	char buf[32];

	ck_assert_str_eq(rh_duration(durations[_i].us, buf, sizeof(buf)), durations[_i].text);
}
END_TEST

static const struct {
	int64_t bytes;
	const char *text;
} sizes[] = {
	{0, "0 B"},
	{1023, "1023 B"},
	{1024, "1.0 KiB"},
	{INT64_C(10) << 10, "10 KiB"},
	{INT64_C(1536) << 10, "1.5 MiB"},
	{INT64_C(3) << 30, "3.0 GiB"},
	{INT64_C(5000) << 40, "5000 TiB"},
};

START_TEST(sizes_are_short)
{
	char buf[32];

	ck_assert_str_eq(rh_bytes(sizes[_i].bytes, buf, sizeof(buf)), sizes[_i].text);
}
END_TEST

START_TEST(times_of_today_have_no_date)
{
	char buf[32];

	ck_assert_str_eq(rh_time(0, buf, sizeof(buf)), "-");
	ck_assert_uint_eq(strlen(rh_time((int64_t)time(NULL) * 1000, buf, sizeof(buf))), 8);
	ck_assert_uint_eq(strlen(rh_time(86400000, buf, sizeof(buf))), 16);
}
END_TEST

static const struct {
	const char *text;
	int width;
	const char *shown;
} cells[] = {
	{"abc", 0, "abc"},
	{"abc", 5, "abc  "},
	{"abcde", 5, "abcde"},
	{"abcdef", 5, "abcd…"},
	/* Each letter is two bytes and one column. */
	{"äöüß", 6, "äöüß  "},
	{"äöüßé", 5, "äöüßé"},
	{"äöüßéè", 5, "äöüß…"},
	{"", 3, "   "},
	{"a\nb\033[31m\x7f", 0, "a?b?[31m?"},
};

START_TEST(cells_are_cut_between_characters)
{
	capture_begin();
	rh_print_text(cells[_i].text, cells[_i].width);
	ck_assert_str_eq(capture_end(NULL), cells[_i].shown);
}
END_TEST

START_TEST(text_is_wrapped)
{
	capture_begin();
	rh_print_wrapped("one two three  four ünder a-word-that-is-too-long end\n", 2, 9);
	ck_assert_str_eq(capture_end(NULL),
		"one two\n  three\n  four\n  ünder\n  a-word-that-is-too-long\n  end?");
}
END_TEST

static const char *show_table(const struct rh_cli *cli, bool with_note)
{
	static const struct rh_column columns[] = {
		{"A", 4}, {"B"}, {"NOTE", .optional = true}, {"C"}};
	const char *row[] = {"x", "größe", with_note ? "n" : "-", "the last one of the line",
		"too long", "b", "", "end"};
	struct rh_table table;

	rh_table_init(&table, columns, 4);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		rh_table_add(&table, RH_PLAIN, row[i]);
	capture_begin();
	ck_assert_int_eq(rh_table_print(cli, &table), RH_EXIT_OK);
	rh_table_deinit(&table);
	return capture_end(NULL);
}

START_TEST(a_table_is_as_wide_as_its_cells)
{
	struct rh_cli cli = {0};

	ck_assert_str_eq(show_table(&cli, false),
		"A     B      C\n"
		"x     größe  the last one of the line\n"
		"too…  b      end\n");
	ck_assert_str_eq(show_table(&cli, true),
		"A     B      NOTE  C\n"
		"x     größe  n     the last one of the line\n"
		"too…  b            end\n");
	cli.columns = 33;
	ck_assert_str_eq(show_table(&cli, false),
		"A     B      C\n"
		"x     größe  the last one of the…\n"
		"too…  b      end\n");
	/* A line that is too short is no reason to show nothing. */
	cli.columns = 10;
	ck_assert_str_eq(show_table(&cli, false),
		"A     B      C\n"
		"x     größe  the last one of…\n"
		"too…  b      end\n");
}
END_TEST

START_TEST(titles_are_dim)
{
	static const struct rh_column columns[] = {{"A"}, {"B"}};
	struct rh_cli cli = {.colour = true};
	struct rh_table table;

	rh_table_init(&table, columns, 2);
	capture_begin();
	ck_assert_int_eq(rh_table_print(&cli, &table), RH_EXIT_OK);
	rh_table_deinit(&table);
	ck_assert_str_eq(capture_end(NULL), "\033[2mA\033[0m  \033[2mB\033[0m\n");
}
END_TEST

START_TEST(ids_are_cut)
{
	char buf[13];

	ck_assert_str_eq(rh_short_id("0123456789abcdef", buf), "0123456789ab");
	ck_assert_str_eq(rh_short_id("", buf), "-");
}
END_TEST

void tests_of_out(Suite *suite);
void tests_of_out(Suite *suite)
{
	TCase *tables = tcase_create("tables");

	tcase_add_loop_test(
		tables, durations_are_short, 0, sizeof(durations) / sizeof(durations[0]));
	tcase_add_loop_test(tables, sizes_are_short, 0, sizeof(sizes) / sizeof(sizes[0]));
	tcase_add_loop_test(
		tables, cells_are_cut_between_characters, 0, sizeof(cells) / sizeof(cells[0]));
	suite_add_tcase(suite, tables);
	RH_ADD_TESTS(suite, "out", times_of_today_have_no_date, text_is_wrapped,
		a_table_is_as_wide_as_its_cells, titles_are_dim, ids_are_cut);
}
