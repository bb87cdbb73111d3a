/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The doctor's tools: files, .env, environments, programs, HTTP.
 */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "../capture.h"
#include "broker/cli/doctor/doctor.h"
#include "rh-test.h"

START_TEST(only_small_regular_files_are_read)
{
	_cleanup_(rh_freep) char *text = NULL;
	char *none = NULL;

	test_file("file", "12345");
	ck_assert_int_eq(rh_look_read(test_path("file"), 5, &text), 5);
	ck_assert_str_eq(text, "12345");
	ck_assert_int_eq(rh_look_read(test_path("file"), 3, &none), -EFBIG);
	ck_assert_int_eq(symlink(test_path("file"), test_path("link")), 0);
	ck_assert_int_eq(rh_look_read(test_path("link"), 5, &none), -ELOOP);
	ck_assert_int_eq(mkfifo(test_path("fifo"), 0600), 0);
	ck_assert_int_eq(rh_look_read(test_path("fifo"), 5, &none), -EINVAL);
	ck_assert_int_eq(rh_look_read(test_dir(), 5, &none), -EINVAL);
	ck_assert_int_eq(rh_look_read(test_path("nothing"), 5, &none), -ENOENT);
	ck_assert_ptr_null(none);
}
END_TEST

START_TEST(root_alone_may_change_it)
{
	char culprit[PATH_MAX] = "";

	ck_assert_msg(geteuid() == 0, "this test needs root");
	test_file("a/b/file", "");
	/* /tmp is sticky. */
	ck_assert_int_eq(rh_look_root_only(test_path("a/b/file"), culprit), 0);
	ck_assert_int_eq(chmod(test_path("a"), 0775), 0);
	ck_assert_int_eq(rh_look_root_only(test_path("a/b/file"), culprit), -EPERM);
	ck_assert_str_eq(culprit, test_path("a"));
	ck_assert_int_eq(chmod(test_path("a"), 0755), 0);
	ck_assert_int_eq(chown(test_path("a/b/file"), 1234, 0), 0);
	ck_assert_int_eq(rh_look_root_only(test_path("a/b/file"), culprit), -EPERM);
	ck_assert_str_eq(culprit, test_path("a/b/file"));
	ck_assert_int_eq(rh_look_root_only(test_path("a/c"), culprit), -ENOENT);
}
END_TEST

START_TEST(paths_below_are_told_apart)
{
	ck_assert(rh_look_is_below("/a/b", "/a"));
	ck_assert(rh_look_is_below("/a", "/a"));
	ck_assert(!rh_look_is_below("/ab", "/a"));
	ck_assert(!rh_look_is_below("/", "/a"));
}
END_TEST

static const struct {
	const char *text;
	const char *value; /* of KEY; NULL: unset */
} dotenvs[] = {
	{"", NULL},
	{"KEY=1", "1"},
	{"A=2\r\nKEY=a b=c \r\nB=3\r\n", "a b=c "},
	{"KEY=1\nKEY=2\n", "2"},
	{"KEY=1\nKEY=\n", NULL},
	{"KEYS=1\nMYKEY=2\n KEY=3\n#KEY=4\nKEY\n", NULL},
	{"\xef\xbb\xbfKEY=1\n", "1"},
	{"KEY=\"1\"\n", "\"1\""},
	{"KEY=12345678901234567\n", NULL},
};

START_TEST(dotenv_is_read_as_the_runner_does)
{
	char buf[16];
	bool set = rh_dotenv_get(dotenvs[_i].text, "KEY", buf, sizeof(buf));

	ck_assert_int_eq(set, dotenvs[_i].value != NULL);
	if (set)
		ck_assert_str_eq(buf, dotenvs[_i].value);
}
END_TEST

START_TEST(an_environment_is_searched)
{
	static const char block[] = "A=1\0PATHS=x\0PATH=/bin\0EMPTY=\0CUT=half";

	ck_assert_str_eq(rh_environ_get(block, sizeof(block) - 1, "PATH"), "/bin");
	ck_assert_str_eq(rh_environ_get(block, sizeof(block) - 1, "EMPTY"), "");
	ck_assert_ptr_null(rh_environ_get(block, sizeof(block) - 1, "CUT"));
	ck_assert_ptr_null(rh_environ_get(block, sizeof(block) - 1, "B"));
	ck_assert_ptr_null(rh_environ_get(block, 0, "A"));
}
END_TEST

START_TEST(programs_are_told_apart)
{
	struct rh_elf elf = {0};

	ck_assert_int_eq(rh_elf_read("/proc/self/exe", &elf), 0);
	ck_assert_uint_eq(elf.class, sizeof(void *) == 8 ? 2 : 1);
	ck_assert(elf.interpreter);
	test_file("script", "#!/bin/sh\nexit 0\n# long enough for a header, and yet it is none\n");
	ck_assert_int_eq(rh_elf_read(test_path("script"), &elf), -ENOEXEC);
	test_file("short",
		"\x7f"
		"ELF");
	ck_assert_int_eq(rh_elf_read(test_path("short"), &elf), -ENOEXEC);
	ck_assert_int_eq(rh_elf_read(test_path("nothing"), &elf), -ENOENT);
}
END_TEST

static const struct {
	const char *answer;
	int status; /* 0: not HTTP */
	const char *body;
} answers[] = {
	{"HTTP/1.0 200 OK\r\n\r\n{}", 200, "{}"},
	{"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n", 404, ""},
	{"HTTP/1.0 200 OK\r\nA: b\r\n", 0, NULL},
	{"HTTP/1.0 2x0 OK\r\n\r\n", 0, NULL},
	{"HTTP/2 200\r\n\r\n", 0, NULL},
	{"SSH-2.0-OpenSSH\r\n\r\n", 0, NULL},
	{"\r\n\r\n", 0, NULL},
	{"HTTP/1.\r\n\r\n", 0, NULL},
	{"", 0, NULL},
};

START_TEST(answers_are_split)
{
	const char *answer = answers[_i].answer, *body = NULL;
	size_t n = 0;
	int status = 0;
	int r = rh_ask_parse(answer, strlen(answer), &status, &body, &n);

	ck_assert_int_eq(r, answers[_i].status ? 0 : -EPROTO);
	ck_assert_int_eq(status, answers[_i].status);
	if (r == 0) {
		ck_assert_uint_eq(n, strlen(answers[_i].body));
		ck_assert_int_eq(memcmp(body, answers[_i].body, n), 0);
	}
}
END_TEST

START_TEST(an_engine_is_asked)
{
	static const struct fake_answer script[] = {{"HTTP/1.0 200 OK\r\nContent-Type: "}, {""},
		{"application/json\r\n\r\n{\"Version\":"}, {""}, {"\"20.10\"}\n"}, {0}};
	_cleanup_(json_object_putp) struct json_object *body = NULL;
	struct rh_err err = {0};
	int status = 0;

	fake_broker(test_path("s"), script, FAKE_CLOSES);
	ck_assert_int_eq(rh_ask_engine(test_path("s"), "/version", &status, &body, &err), 0);
	ck_assert_int_eq(status, 200);
	ck_assert_str_eq(rh_json_text(body, "Version"), "20.10");
}
END_TEST

START_TEST(an_engine_may_be_anything)
{
	static const struct fake_answer script[] = {{"hello"}, {0}};
	struct json_object *body = NULL;
	struct rh_err err = {0};
	int status = 0;

	ck_assert_int_eq(rh_ask_engine(test_path("s"), "/", &status, &body, &err), -ENOENT);
	fake_broker(test_path("s"), script, FAKE_CLOSES);
	ck_assert_int_eq(rh_ask_engine(test_path("s"), "/", &status, &body, &err), -EPROTO);
	ck_assert_str_eq(err.text, "the answer is not HTTP");
	ck_assert_ptr_null(body);
}
END_TEST

void tests_of_look(Suite *suite);
void tests_of_look(Suite *suite)
{
	TCase *tables = tcase_create("tables");

	tcase_add_loop_test(
		tables, dotenv_is_read_as_the_runner_does, 0, sizeof(dotenvs) / sizeof(dotenvs[0]));
	tcase_add_loop_test(tables, answers_are_split, 0, sizeof(answers) / sizeof(answers[0]));
	suite_add_tcase(suite, tables);
	RH_ADD_TESTS(suite, "look", only_small_regular_files_are_read, root_alone_may_change_it,
		paths_below_are_told_apart, an_environment_is_searched, programs_are_told_apart,
		an_engine_is_asked, an_engine_may_be_anything);
}
