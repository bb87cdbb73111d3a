/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The command line.
 */

#include "rh-test.h"

void tests_of_out(Suite *suite);
void tests_of_options(Suite *suite);
void tests_of_client(Suite *suite);

RH_TEST_MAIN("cli", tests_of_out, tests_of_options, tests_of_client);
