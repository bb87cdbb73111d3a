/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small parts of the stand-in: YAML, command lines, lines of output, masks.
 */

#include <string.h>
#include <sys/stat.h>

#include "common/files.h"
#include "common/json.h"
#include "common/yaml.h"
#include "rh-test.h"
#include "runner/args.h"
#include "runner/lines.h"
#include "runner/mask.h"

static struct json_object *load(const char *text)
{
	struct json_object *value = NULL;
	struct rh_err err = {0};

	return rh_yaml_load(text, strlen(text), &value, &err) ? NULL : value;
}

START_TEST(test_yaml_types)
{
	_cleanup_(rh_json_putp) struct json_object *v =
		load("a: 1\nb: 1.5\nc: true\nd: 'true'\ne: ~\nf:\n  - x\n  - {y: 2}\n"
		     "g: |\n  two\n  lines\nh: \"n\\0l\"\ni: 1.2.3\nj: 08x\non: [push]\n");

	ck_assert_str_eq(json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN),
		"{\"a\":1,\"b\":1.5,\"c\":true,\"d\":\"true\",\"e\":null,\"f\":[\"x\",{\"y\":2}],"
		"\"g\":\"two\\nlines\\n\",\"h\":\"n\\u0001l\",\"i\":\"1.2.3\",\"j\":\"08x\","
		"\"on\":[\"push\"]}");
}
END_TEST

START_TEST(test_yaml_refuses)
{
	static const char *const wrong[] = {
		"a: 1\na: 2\n", "a: [1\n", "a: &x 1\nb: *x\n", "? [1]\n: 2\n", "a:\tb: c: d\n"};
	_cleanup_(rh_text_deinit) struct rh_text deep = {0};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_ptr_null(load(wrong[i]));
	for (int i = 0; i < 100; i++)
		rh_text_puts(&deep, "[");
	ck_assert_ptr_null(load(deep.data));
}
END_TEST

static const struct {
	const char *line;
	const char *words[5];
} command_lines[] = {
	{"-e /a/b.sh", {"-e", "/a/b.sh"}},
	{"  a \t b ", {"a", "b"}},
	{"\"a b\" c", {"a b", "c"}},
	{"a\"b c\"d", {"ab cd"}},
	{"\"a\"\"b\"", {"a\"b"}},
	{"a\\b \"c\\\"d\" e\\\\\"f g\"", {"a\\b", "c\"d", "e\\f g"}},
	{"-e /hook.sh\x01/x.sh z", {"-e", "/hook.sh", "z"}},
	{"\"\" x", {"", "x"}},
	{"", {NULL}},
};

START_TEST(test_args)
{
	char **argv = rh_args_split("prog", command_lines[_i].line);
	int n = 0;

	ck_assert_str_eq(argv[0], "prog");
	for (; command_lines[_i].words[n]; n++)
		ck_assert_str_eq(argv[n + 1], command_lines[_i].words[n]);
	ck_assert_ptr_null(argv[n + 1]);
	rh_args_free(argv);
}
END_TEST

START_TEST(test_which)
{
	char dir[] = "/tmp/which.XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(dir));

	_cleanup_(rh_freep) char *bash = rh_fmt("%s/bash", dir);
	_cleanup_(rh_freep) char *sub = rh_fmt("%s/sh", dir);

	/* not executable, and yet found; a directory is not */
	ck_assert_int_eq(rh_file_write_str(bash, ""), 0);
	ck_assert_int_eq(mkdir(sub, 0755), 0);

	_cleanup_(rh_freep) char *first = rh_which("bash", dir, "/usr/bin:/bin");
	_cleanup_(rh_freep) char *second = rh_which("sh", dir, "/none:/usr/bin:/bin");
	_cleanup_(rh_freep) char *rooted = rh_which(bash, "", "");

	ck_assert_str_eq(first, bash);
	ck_assert_str_eq(second, "/usr/bin/sh");
	ck_assert_str_eq(rooted, bash);
	ck_assert_ptr_null(rh_which("no-such-program", dir, "/usr/bin"));
	ck_assert_ptr_null(rh_which("", dir, "/usr/bin"));
	rh_dir_remove(dir);
}
END_TEST

static void on_line(void *arg, int stream, const char *line, size_t size)
{
	_cleanup_(rh_freep) char *clean = rh_utf8_clean(line, size);

	rh_text_printf(arg, "[%s]", clean);
}

START_TEST(test_lines)
{
	static const char input[] = "a\r\nb\rc\n\nlong \xff line\nlast";

	/* whatever the pieces are, the lines are the same */
	for (size_t piece = 1; piece < sizeof(input); piece++) {
		_cleanup_(rh_text_deinit) struct rh_text out = {0};
		struct rh_lines lines = {.stream = 1, .on_line = on_line, .arg = &out};

		for (size_t at = 0; at < sizeof(input) - 1; at += piece) {
			size_t left = sizeof(input) - 1 - at;

			rh_lines_feed(&lines, input + at, left < piece ? left : piece);
		}
		rh_lines_end(&lines);
		ck_assert_str_eq(out.data, "[a][b][c][][long \xef\xbf\xbd line][last]");
	}
}
END_TEST

START_TEST(test_utf8)
{
	static const char *const rows[][2] = {
		{"plain", "plain"},
		{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
		{"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"x\xe2\x82", "x\xef\xbf\xbd\xef\xbf\xbd"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(rh_freep) char *clean = rh_utf8_clean(rows[i][0], strlen(rows[i][0]));

		ck_assert_str_eq(clean, rows[i][1]);
	}
}
END_TEST

START_TEST(test_mask)
{
	struct rh_mask mask = {0};

	rh_mask_add(&mask, "secret");
	rh_mask_add(&mask, "retro");
	rh_mask_add(&mask, "  \n");
	rh_mask_add(&mask, "line one\nline two\n");
	ck_assert_ptr_null(rh_mask_apply(&mask, "nothing here"));

	_cleanup_(rh_freep) char *joined = rh_mask_apply(&mask, "a secretro b secret");
	_cleanup_(rh_freep) char *lines = rh_mask_apply(&mask, "x line two y");

	ck_assert_str_eq(joined, "a *** b ***");
	ck_assert_str_eq(lines, "x *** y");
	rh_mask_deinit(&mask);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *args = tcase_create("args");

	tcase_add_loop_test(args, test_args, 0, sizeof(command_lines) / sizeof(command_lines[0]));
	tcase_add_test(args, test_which);
	suite_add_tcase(suite, args);
	RH_ADD_TESTS(suite, "yaml", test_yaml_types, test_yaml_refuses);
	RH_ADD_TESTS(suite, "output", test_lines, test_utf8, test_mask);
}

RH_TEST_MAIN("worker-parts", tests);
