/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/config/yaml.h: what of YAML is refused.
 */

#include "broker/daemon/config/yaml.h"

#include "rh-test.h"
#include "test_config.h"

static const struct {
	const char *text;
	const char *message;
} refusals[] = {
	{"group: a\n\ngroup: b\n", "x.yaml:3: group: the key was there before"},
	{"group: &a x\n", "x.yaml:1: anchors and tags are not supported"},
	{"log: &a {level: info}\n", "x.yaml:1: anchors and tags are not supported"},
	{"environment:\n  pass: &a [A]\n", "x.yaml:2: anchors and tags are not supported"},
	{"group: *a\n", "x.yaml:1: aliases are not supported"},
	{"group: !!str x\n", "x.yaml:1: anchors and tags are not supported"},
	{"--- \ngroup: a\n---\ngroup: b\n", "x.yaml:3: only one document is allowed"},
	{"- a\n", "x.yaml:1: a list where keys were expected"},
	{"hello\n", "x.yaml:1: a word where keys were expected"},
	{"[a]: b\n", "x.yaml:1: a key must be a plain word"},
	{"? [a]\n: b\n", "x.yaml:1: a key must be a plain word"},
	{"\"\": b\n", "x.yaml:1: a key must have 1 to 128 characters"},
	{"group: \"a\\nb\"\n", "x.yaml:1: a value contains a control character"},
	{"group: \"a\\0b\"\n", "x.yaml:1: a value contains a control character"},
	{"\"a\\eb\": c\n", "x.yaml:1: a value contains a control character"},
	{"environment:\n  pass:\n  - [a]\n", "x.yaml:3: a list holds plain values only"},
	{"environment:\n  pass:\n  - {a: b}\n", "x.yaml:3: a list holds plain values only"},
	{"group: a\n bad\n  : x: y\n", NULL},
	{"group: \"a\n", NULL},
	{"\tgroup: a\n", NULL},
	{"group: \xff\n", NULL},
	{"group: @a\n", NULL},
};

START_TEST(surprises_are_refused)
{
	ck_assert_ptr_null(parse(refusals[_i].text));
	ck_assert_int_eq(strncmp(test_err.text, "x.yaml:", 7), 0);
	if (refusals[_i].message && strcmp(test_err.text, refusals[_i].message) != 0)
		ck_abort_msg("%s", test_err.text);
}
END_TEST

static int accept(void *arg, const struct rh_yaml_node *node, struct rh_err *err)
{
	(*(size_t *)arg)++;
	return 0;
}

static char big[RH_YAML_SIZE_MAX + 2];
static size_t n_nodes;

static int walk(size_t size)
{
	test_err = (struct rh_err){0};
	n_nodes = 0;
	return rh_yaml_walk("x.yaml", big, size, accept, &n_nodes, &test_err);
}

START_TEST(depth_is_bounded)
{
	size_t n = 0;

	for (size_t i = 0; i < RH_YAML_DEPTH_MAX; i++)
		n += (size_t)snprintf(big + n, sizeof(big) - n, "{a: ");
	ck_assert_int_eq(walk(n), -EINVAL);
	ck_assert_ptr_null(strstr(test_err.text, "deep"));
	n += (size_t)snprintf(big + n, sizeof(big) - n, "{a: ");
	ck_assert_int_eq(walk(n), -EINVAL);
	ck_assert_str_eq(test_err.text, "x.yaml:1: nested too deeply");

	memset(big, '[', sizeof(big));
	ck_assert_int_eq(walk(RH_YAML_SIZE_MAX), -EINVAL);
	memset(big, '{', sizeof(big));
	ck_assert_int_eq(walk(RH_YAML_SIZE_MAX), -EINVAL);
}
END_TEST

START_TEST(size_is_bounded)
{
	memset(big, '#', sizeof(big));
	ck_assert_int_eq(walk(RH_YAML_SIZE_MAX), 0);
	ck_assert_int_eq(walk(RH_YAML_SIZE_MAX + 1), -EFBIG);
	ck_assert_str_eq(test_err.text, "x.yaml: larger than 262144 bytes");
}
END_TEST

START_TEST(entries_are_bounded)
{
	size_t n = 0;

	for (size_t i = 0; i < RH_YAML_ENTRIES_MAX; i++)
		n += (size_t)snprintf(big + n, sizeof(big) - n, "k%zu: v\n", i);
	ck_assert_int_eq(walk(n), 0);
	ck_assert_uint_eq(n_nodes, RH_YAML_ENTRIES_MAX);
	n += (size_t)snprintf(big + n, sizeof(big) - n, "more: v\n");
	ck_assert_int_eq(walk(n), -EINVAL);
	ck_assert_str_eq(test_err.text, "x.yaml:1025: more than 1024 entries");
}
END_TEST

START_TEST(messages_stay_bounded)
{
	memset(big, 'k', 2000);
	ck_assert_int_eq(walk((size_t)snprintf(big + 2000, 100, ": v\n") + 2000), -EINVAL);
	(void)snprintf(big, sizeof(big), "log: {level: %0900d}\n", 1);
	ck_assert_ptr_null(parse(big));
	ck_assert_uint_lt(strlen(test_err.text), sizeof(test_err.text));
}
END_TEST

void tests_of_yaml(Suite *suite)
{
	TCase *loop = tcase_create("yaml refused");

	tcase_add_loop_test(
		loop, surprises_are_refused, 0, (int)(sizeof(refusals) / sizeof(refusals[0])));
	suite_add_tcase(suite, loop);
	RH_ADD_TESTS(suite, "yaml bounds", depth_is_bounded, size_is_bounded, entries_are_bounded,
		messages_stay_bounded);
}
