/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What every unit test needs around Check: one suite a program, TAP on stdout.
 *
 *   RH_TEST_MAIN("wire", tests_of_wire, tests_of_text)
 * runs two functions of type void (Suite *), each of which adds its test cases.
 */

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define RH_TEST_MAIN(name, ...)                        \
	int main(void)                                 \
	{                                              \
		return RH_TEST_RUN(name, __VA_ARGS__); \
	}                                              \
	struct rh_require_semicolon_

/* The same for a program with a main() of its own: its exit status. */
#define RH_TEST_RUN(name, ...) rh_test_run(name, (void (*const[])(Suite *)){__VA_ARGS__, NULL})

static inline int rh_test_run(const char *name, void (*const fill[])(Suite *))
{
	Suite *suite = suite_create(name);

	for (; *fill; fill++)
		(*fill)(suite);

	SRunner *runner = srunner_create(suite);

	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);

	int n_failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * ThreadSanitizer makes vfork(2) a fork(2), and gives each process a thread more, which takes a
 * process number and forbids some kinds of unshare(2): tests of those are not for it.
 */
#ifdef __SANITIZE_THREAD__
#define RH_TEST_UNDER_TSAN true
#else
#define RH_TEST_UNDER_TSAN false
#endif

/* Adds tests (names of START_TEST) to a new case of @suite. */
#define RH_ADD_TESTS(suite, case_name, ...)                                        \
	do {                                                                       \
		const TTest *const tests_[] = {__VA_ARGS__};                       \
		TCase *case_ = tcase_create(case_name);                            \
                                                                                   \
		for (size_t i_ = 0; i_ < sizeof(tests_) / sizeof(tests_[0]); i_++) \
			tcase_add_test(case_, tests_[i_]);                         \
		suite_add_tcase(suite, case_);                                     \
	} while (0)

/* Removes a test's own directory with all that is in it. */
static inline void rh_test_remove_tree(const char *dir)
{
	char command[512];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0); /* NOLINT(cert-env33-c): a fixed command of a test */
}
