/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Memory that is not there: each allocation fails once, and each time it is said and nothing leaks.
 */

#include "broker/daemon/config/load.h"
#include "rh-test.h"

static int fail_at; /* counted down; 0: none */

void *__wrap_malloc(size_t size);
void *__real_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *text);
char *__real_strdup(const char *text);

static bool fails(void)
{
	return fail_at > 0 && --fail_at == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

static const char text[] = "environment: {pass: [A, B]}\ngroup: g\n"
			   "profiles:\n"
			   "  default: {image: x, cap_add: [CHOWN], env: {A: b}}\n"
			   "  other: {image: y, env: [C=d]}\n";

START_TEST(each_allocation_may_fail)
{
	struct rh_config *config = NULL;
	int n = 0;

	while (!config) {
		struct rh_err err = {0};

		fail_at = ++n;
		int r = rh_config_parse("x.yaml", text, strlen(text), &config, &err);

		fail_at = 0;
		ck_assert(r == 0 || r == -ENOMEM);
		if (r < 0)
			ck_assert_str_eq(err.text, "x.yaml: out of memory");
	}
	ck_assert_int_gt(n, 50);
	ck_assert_uint_eq(config->n_profiles, 2);
	ck_assert_str_eq(config->profiles[1].env[0], "C=d");
	rh_config_unref(config);
}
END_TEST

static void tests_of_memory(Suite *suite)
{
	RH_ADD_TESTS(suite, "memory", each_allocation_may_fail);
}

RH_TEST_MAIN("config-memory", tests_of_memory);
