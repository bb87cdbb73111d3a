/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions, templates and conditions: what GitHub's documentation says they give.
 */

#include <string.h>

#include "common/expr.h"
#include "common/text.h"
#include "rh-test.h"

static const char contexts_json[] =
	"{\"github\": {\"ref\": \"refs/heads/main\", \"event\": {\"n\": 3}},"
	" \"env\": {\"NAME\": \"value\", \"EMPTY\": \"\"},"
	" \"steps\": {\"a\": {\"outputs\": {\"x\": \"1\"}, \"outcome\": \"failure\"},"
	" \"b\": {\"outputs\": {\"x\": \"2\"}, \"outcome\": \"success\"}},"
	" \"list\": [\"one\", \"two\"], \"flag\": true, \"nothing\": null}";

static int on_hash(void *arg, struct json_object *patterns, char **ret_hash, struct rh_err *err)
{
	*ret_hash = rh_fmt("hash-of-%zu", rh_json_len(patterns));
	return 0;
}

/* The text an expression gives, or "error". */
static char *eval(const char *expression, enum rh_status status)
{
	_cleanup_(rh_json_putp) struct json_object *contexts = rh_json_parse(contexts_json);
	const struct rh_expr_env env = {
		.contexts = contexts, .status = status, .hash_files = on_hash};
	_cleanup_(rh_json_putp) struct json_object *value = NULL;
	struct rh_err err = {0};

	return rh_expr_eval(expression, &env, &value, &err) ? rh_dup("error") : rh_expr_text(value);
}

static const struct {
	const char *expression;
	const char *text;
} rows[] = {
	{"'it''s'", "it's"},
	{"1 == 1.0", "true"},
	{"'1' == 1", "true"},
	{"'ABC' == 'abc'", "true"},
	{"null == 0", "true"},
	{"'x' == 0", "false"},
	{"'b' > 'a' && 2 >= 2", "true"},
	{"!flag", "false"},
	{"!!flag", "true"},
	{"flag && 'yes' || 'no'", "yes"},
	{"env.EMPTY || 'default'", "default"},
	{"env.name", "value"},
	{"env['NAME']", "value"},
	{"github.event.n", "3"},
	{"github.event.none.deeper", ""},
	{"list[1]", "two"},
	{"list[7]", ""},
	{"steps.a.outputs.x == '1'", "true"},
	{"join(steps.*.outcome, '+')", "failure+success"},
	{"contains(steps.*.outcome, 'failure')", "true"},
	{"contains('Hello', 'ELL')", "true"},
	{"startsWith(github.ref, 'refs/heads/')", "true"},
	{"endsWith(github.ref, 'MAIN')", "true"},
	{"format('{0}-{{}}-{1}', 1.50, flag)", "1.5-{}-true"},
	{"fromJSON('{\"a\": [1, 2]}').a[1]", "2"},
	{"toJSON(list)", "[\n  \"one\",\n  \"two\"\n]"},
	{"toJSON(nothing)", "null"},
	{"hashFiles('a', 'b')", "hash-of-2"},
	{"(1 < 2) == true", "true"},
	{"-5", "-5"},
	{"0x10", "16"},
	{"github", "Object"},
	/* the side that does not decide is read, not computed */
	{"false && fromJSON('broken')", "false"},
	{"true || fromJSON('broken')", "true"},
	/* and these are wrong */
	{"unknown.x", "error"},
	{"unknown()", "error"},
	{"'open", "error"},
	{"1 +", "error"},
	{"contains('a')", "error"},
	{"(1", "error"},
	{"env.", "error"},
	{"", "error"},
	{"fromJSON('broken')", "error"},
	{"format('{9}', 1)", "error"},
};

START_TEST(test_values)
{
	_cleanup_(rh_freep) char *text = eval(rows[_i].expression, RH_STATUS_SUCCESS);

	ck_assert_msg(strcmp(text, rows[_i].text) == 0, "%s: %s, not %s", rows[_i].expression, text,
		rows[_i].text);
}
END_TEST

START_TEST(test_depth_is_bounded)
{
	_cleanup_(rh_text_deinit) struct rh_text deep = {0};

	for (int i = 0; i < 100000; i++)
		rh_text_puts(&deep, i % 2 ? "(" : "!");

	_cleanup_(rh_freep) char *text = eval(deep.data, RH_STATUS_SUCCESS);

	ck_assert_str_eq(text, "error");
}
END_TEST

static const struct {
	const char *condition;
	bool holds[3]; /* after success, failure, cancel */
} conditions[] = {
	{"", {true, false, false}},
	{"flag", {true, false, false}},
	{"${{ flag }}", {true, false, false}},
	{"always()", {true, true, true}},
	{"failure()", {false, true, false}},
	{"cancelled()", {false, false, true}},
	{"!cancelled()", {true, true, false}},
	{"success() || failure()", {true, true, false}},
	{"always() && env.EMPTY", {false, false, false}},
	{"'always()'", {true, false, false}},
	{"${{ always() }}", {true, true, true}},
};

START_TEST(test_conditions)
{
	_cleanup_(rh_json_putp) struct json_object *contexts = rh_json_parse(contexts_json);
	_cleanup_(rh_json_putp) struct json_object *text =
		json_object_new_string(conditions[_i].condition);

	for (int s = 0; s < 3; s++) {
		const struct rh_expr_env env = {.contexts = contexts, .status = (enum rh_status)s};
		struct rh_err err = {0};
		bool holds = false;

		ck_assert_int_eq(rh_condition_eval(text, &env, &holds, &err), 0);
		ck_assert_msg(holds == conditions[_i].holds[s], "%s, status %d",
			conditions[_i].condition, s);
	}
}
END_TEST

START_TEST(test_templates)
{
	_cleanup_(rh_json_putp) struct json_object *contexts = rh_json_parse(contexts_json);
	_cleanup_(rh_json_putp) struct json_object *in = rh_json_parse(
		"{\"a\": \"x ${{ env.NAME }} y ${{ list[0] }}\", \"b\": \"${{ list }}\","
		" \"c\": [\"${{ '}}' }}\"], \"d\": \"plain\"}");
	_cleanup_(rh_json_putp) struct json_object *out = NULL;
	const struct rh_expr_env env = {.contexts = contexts};
	struct rh_err err = {0};

	ck_assert_int_eq(rh_template_value(in, &env, &out, &err), 0);
	ck_assert_str_eq(rh_json_str(out, "a", ""), "x value y one");
	ck_assert_uint_eq(rh_json_len(rh_json_get(out, "b")), 2);
	ck_assert_str_eq(
		json_object_get_string(json_object_array_get_idx(rh_json_get(out, "c"), 0)), "}}");
	ck_assert_str_eq(rh_json_str(out, "d", ""), "plain");
}
END_TEST

static void tests(Suite *suite)
{
	TCase *values = tcase_create("values"), *ifs = tcase_create("conditions");

	tcase_add_loop_test(values, test_values, 0, sizeof(rows) / sizeof(rows[0]));
	suite_add_tcase(suite, values);
	tcase_add_loop_test(ifs, test_conditions, 0, sizeof(conditions) / sizeof(conditions[0]));
	suite_add_tcase(suite, ifs);
	RH_ADD_TESTS(suite, "templates", test_templates, test_depth_is_bounded);
}

RH_TEST_MAIN("worker-expr", tests);
