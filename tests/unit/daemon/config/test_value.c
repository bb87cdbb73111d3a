/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/config/value.h and check.h.
 */

#include "broker/daemon/config/value.h"

#include "broker/daemon/config/check.h"
#include "rh-test.h"
#include "test_config.h"

static uint64_t duration(const char *text)
{
	uint64_t ms = 0;
	int r = rh_value_duration(text, &ms);

	return r < 0 ? (uint64_t)(int64_t)r : ms;
}

static uint64_t size(const char *text)
{
	uint64_t bytes = 0;
	int r = rh_value_size(text, &bytes);

	return r < 0 ? (uint64_t)(int64_t)r : bytes;
}

static uint64_t thousandths(const char *text)
{
	uint64_t number = 0;
	int r = rh_value_thousandths(text, &number);

	return r < 0 ? (uint64_t)(int64_t)r : number;
}

#define FAIL(e) ((uint64_t)(int64_t) - (e))

START_TEST(numbers_are_exact)
{
	uint64_t n = 0;

	ck_assert_uint_eq(duration("0"), 0);
	ck_assert_uint_eq(duration("500ms"), 500);
	ck_assert_uint_eq(duration("7d"), 604800000);
	ck_assert_uint_eq(duration("5"), FAIL(EINVAL));
	ck_assert_uint_eq(duration("5 s"), FAIL(EINVAL));
	ck_assert_uint_eq(duration("5S"), FAIL(EINVAL));
	ck_assert_uint_eq(duration(""), FAIL(EINVAL));
	ck_assert_uint_eq(duration("s"), FAIL(EINVAL));
	ck_assert_uint_eq(duration("+5s"), FAIL(EINVAL));
	ck_assert_uint_eq(duration("213503982335d"), FAIL(ERANGE));
	ck_assert_uint_eq(duration("99999999999999999999ms"), FAIL(ERANGE));
	ck_assert_uint_eq(size("64K"), 65536);
	ck_assert_uint_eq(size("4G"), 4ull << 30);
	ck_assert_uint_eq(size("4GB"), FAIL(EINVAL));
	ck_assert_uint_eq(size("16777216T"), FAIL(ERANGE));
	ck_assert_uint_eq(thousandths("2"), 2000);
	ck_assert_uint_eq(thousandths("0.25"), 250);
	ck_assert_uint_eq(thousandths("1.001"), 1001);
	ck_assert_uint_eq(thousandths("1.0001"), FAIL(EINVAL));
	ck_assert_uint_eq(thousandths("1."), FAIL(EINVAL));
	ck_assert_uint_eq(thousandths(".5"), FAIL(EINVAL));
	ck_assert_uint_eq(thousandths("1.5x"), FAIL(EINVAL));
	ck_assert_uint_eq(thousandths("18446744073709552"), FAIL(ERANGE));
	ck_assert_int_eq(rh_value_count("18446744073709551615", &n), 0);
	ck_assert_uint_eq(n, UINT64_MAX);
	ck_assert_int_eq(rh_value_count("18446744073709551616", &n), -ERANGE);
	ck_assert_int_eq(rh_value_count("0x10", &n), -EINVAL);
}
END_TEST

START_TEST(printing_is_the_inverse)
{
	static const uint64_t numbers[] = {0, 1, 999, 1000, 1024, 1500, 60000, 3600000, 86400000,
		1u << 20, 3ull << 40, UINT64_MAX / 2};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		char text[RH_VALUE_TEXT_SIZE];

		rh_value_print_duration(numbers[i], text);
		ck_assert_uint_eq(duration(text), numbers[i]);
		rh_value_print_thousandths(numbers[i], text);
		ck_assert_uint_eq(thousandths(text), numbers[i]);
		rh_value_print_size(numbers[i] << 10, text);
		ck_assert_uint_eq(size(text), numbers[i] << 10);
	}
}
END_TEST

START_TEST(paths_are_canonical_in_writing)
{
	ck_assert_ptr_null(rh_check_path("/"));
	ck_assert_ptr_null(rh_check_path("/a/b c/..d/.e/\xc3\xa4"));
	ck_assert_ptr_nonnull(rh_check_path(""));
	ck_assert_ptr_nonnull(rh_check_path("a"));
	ck_assert_ptr_nonnull(rh_check_path("/a/"));
	ck_assert_ptr_nonnull(rh_check_path("//"));
	ck_assert_ptr_nonnull(rh_check_path("//a"));
	ck_assert_ptr_nonnull(rh_check_path("/a//b"));
	ck_assert_ptr_nonnull(rh_check_path("/."));
	ck_assert_ptr_nonnull(rh_check_path("/a/.."));
	ck_assert_ptr_nonnull(rh_check_path("/../a"));
}
END_TEST

START_TEST(names_are_words)
{
	ck_assert_ptr_null(rh_check_runner_name("Runner_1.a-b"));
	ck_assert_ptr_nonnull(rh_check_runner_name(""));
	ck_assert_ptr_nonnull(rh_check_runner_name(".."));
	ck_assert_ptr_nonnull(rh_check_runner_name("a/b"));
	ck_assert_ptr_nonnull(rh_check_runner_name("-a"));
	ck_assert_ptr_nonnull(rh_check_network("container:x"));
	ck_assert_ptr_null(rh_check_network("my-net"));
	ck_assert_ptr_nonnull(rh_check_image("a b"));
	ck_assert_ptr_null(rh_check_image("r.example:5000/a/b@sha256:00"));
	ck_assert_ptr_nonnull(rh_check_pattern("A*B"));
	ck_assert_ptr_nonnull(rh_check_pattern("*"));
	ck_assert_ptr_null(rh_check_pattern("A_1*"));
	ck_assert_ptr_nonnull(rh_check_env("A"));
	ck_assert_ptr_null(rh_check_env("A="));
	ck_assert_ptr_nonnull(rh_check_group("a b"));
}
END_TEST

void tests_of_value(Suite *suite)
{
	RH_ADD_TESTS(suite, "value", numbers_are_exact, printing_is_the_inverse,
		paths_are_canonical_in_writing, names_are_words);
}
