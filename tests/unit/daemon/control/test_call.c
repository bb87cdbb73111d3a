/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/control/call.h: what a line may be.
 */

#include "broker/daemon/control/call.h"

#include <errno.h>
#include <string.h>

#include "rh-test.h"

static int parse(const char *line, struct rh_call *call, struct rh_err *err)
{
	*call = (struct rh_call){0};
	return rh_call_parse(line, strlen(line), call, err);
}

START_TEST(a_request_is_taken_apart)
{
	struct rh_call call;
	struct rh_err err = {0};

	ck_assert_int_eq(
		parse("{\"id\":7,\"op\":\"jobs\",\"args\":{\"limit\":3}}", &call, &err), 0);
	ck_assert_str_eq(call.op, "jobs");
	ck_assert_int_eq(json_object_get_int(call.id), 7);
	ck_assert_int_eq(json_object_object_length(call.args), 1);
	rh_call_deinit(&call);
	ck_assert_int_eq(parse("{\"op\":\"status\"}", &call, &err), 0);
	ck_assert_ptr_null(call.id);
	ck_assert_int_eq(json_object_object_length(call.args), 0);
	rh_call_deinit(&call);
}
END_TEST

START_TEST(everything_else_is_refused_and_named)
{
	static const struct {
		const char *line, *says;
	} rows[] = {
		{"", "whole"},
		{"{", "whole"},
		{"[]", "object"},
		{"1", "object"},
		{"null", "object"},
		{"{} {}", "not JSON"},
		{"{'op':'x'}", "not JSON"},
		{"{}", "op"},
		{"{\"op\":1}", "op"},
		{"{\"op\":\"x\",\"args\":[]}", "args"},
		{"{\"op\":\"x\",\"id\":{}}", "id"},
		{"{\"op\":\"x\",\"more\":1}", "more"},
		{"{\"op\":\"\xff\"}", "not JSON"},
		{"{\"op\":\"x\",\"args\":{\"a\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}}",
			"not JSON"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rh_call call;
		struct rh_err err = {0};

		ck_assert_int_eq(parse(rows[i].line, &call, &err), -EINVAL);
		ck_assert_msg(strstr(err.text, rows[i].says) != NULL, "row %zu: %s", i, err.text);
		ck_assert_ptr_null(call.request);
	}
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "call", a_request_is_taken_apart, everything_else_is_refused_and_named);
}

RH_TEST_MAIN("call", tests);
