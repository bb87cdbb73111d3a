/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/log/format.h: escaping, cutting, both formats.
 */

#include "broker/daemon/log/format.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "rh-test.h"
#include "runnerhub/wire.h"
#include "test_log.h"

static char line[RH_LOG_LINE_MAX + 1];

static void format(enum rh_log_format kind, const struct rh_log_field *fields, size_t n_fields)
{
	struct rh_log_entry entry = {.level = RH_LOG_INFO,
		.wall_ms = 1795528800123,
		.event = "job started",
		.fields = fields,
		.n_fields = n_fields};
	size_t n = rh_log_format_line(kind, &entry, line);

	ck_assert_uint_le(n, RH_LOG_LINE_MAX);
	line[n] = '\0';
	ck_assert_uint_eq(strlen(line), n);
	ck_assert_ptr_eq(strchr(line, '\n'), line + n - 1);
	ck_assert(rh_wire_text_valid(line, n, false));
}

START_TEST(text_is_plain_or_quoted)
{
	const struct rh_log_field fields[] = {RH_STR("job", "ab12"), RH_NUM("ms", -3),
		RH_STR("empty", NULL), RH_STR("text", "a \"b\" \\ c=d"), RH_STR("path", "/a/b:1")};

	format(RH_LOG_TEXT, fields, 5);
	ck_assert_str_eq(line,
		"2026-11-24T14:00:00.123Z info job started job=ab12 ms=-3 empty=\"\" "
		"text=\"a \\\"b\\\" \\\\ c=d\" path=/a/b:1\n");
	format(RH_LOG_TEXT, NULL, 0);
	ck_assert_str_eq(line, "2026-11-24T14:00:00.123Z info job started\n");
}
END_TEST

START_TEST(foreign_text_cannot_break_out)
{
	const struct rh_log_field fields[] = {RH_STR("a", "x\n2026 error fake\r\t\x1b[31m"),
		RH_STR("b", "\xc3\xa4 \xff\xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82"),
		RH_STR("c", "\xc2\x9b \xe2\x80\xae \x7f")};

	format(RH_LOG_TEXT, fields, 3);
	ck_assert_ptr_nonnull(strstr(line, "a=\"x\\n2026 error fake\\r\\t\\u001b[31m\""));
	ck_assert_ptr_nonnull(strstr(line,
		"b=\"\xc3\xa4 \\xff\\xc0\\x80 \\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80 \\xe2\\x82\""));
	ck_assert_ptr_nonnull(strstr(line, "c=\"\\u009b \\u202e \\u007f\""));
}
END_TEST

START_TEST(json_is_json)
{
	const struct rh_log_field fields[] = {RH_STR("a", "x\n\"\\\x1b\xff \xc3\xa4"),
		RH_NUM("n", 9223372036854775807), RH_STR("e", "")};

	format(RH_LOG_JSON, fields, 3);

	struct json_object *object = json_tokener_parse(line);

	ck_assert_ptr_nonnull(object);
	ck_assert_str_eq(json_object_get_string(json_object_object_get(object, "time")),
		"2026-11-24T14:00:00.123Z");
	ck_assert_str_eq(json_object_get_string(json_object_object_get(object, "level")), "info");
	ck_assert_str_eq(
		json_object_get_string(json_object_object_get(object, "event")), "job started");
	ck_assert_str_eq(json_object_get_string(json_object_object_get(object, "a")),
		"x\n\"\\\x1b\xef\xbf\xbd \xc3\xa4");
	ck_assert_int_eq(
		json_object_get_int64(json_object_object_get(object, "n")), 9223372036854775807);
	ck_assert_str_eq(json_object_get_string(json_object_object_get(object, "e")), "");
	(void)json_object_put(object);
}
END_TEST

START_TEST(long_lines_are_cut_and_stay_whole)
{
	static char big[RH_LOG_LINE_MAX * 2];
	struct rh_log_field fields[12];

	/* Every byte is escaped, so cuts fall at all kinds of places. */
	for (size_t n = 900; n < sizeof(big) - 1; n += 37) {
		memset(big, n % 3 ? '\x01' : 'x', n);
		big[n] = '\0';
		for (size_t i = 0; i < 11; i++)
			fields[i] = RH_STR("k", big);
		fields[11] = RH_NUM("last", 7);
		format(RH_LOG_TEXT, fields, 12);
		ck_assert_ptr_nonnull(strstr(line, " cut=1\n"));
		format(RH_LOG_JSON, fields, 12);

		struct json_object *object = json_tokener_parse(line);

		ck_assert_ptr_nonnull(object);
		ck_assert_int_eq(json_object_get_int(json_object_object_get(object, "cut")), 1);
		(void)json_object_put(object);
	}
}
END_TEST

void tests_of_format(Suite *suite)
{
	RH_ADD_TESTS(suite, "format", text_is_plain_or_quoted, foreign_text_cannot_break_out,
		json_is_json, long_lines_are_cut_and_stay_whole);
}
