/* SPDX-License-Identifier: Apache-2.0 */

/*
 * runnerhub doctor.
 */

#include "rh-test.h"

void tests_of_look(Suite *suite);
void tests_of_host(Suite *suite);
void tests_of_runner(Suite *suite);
void tests_of_verify(Suite *suite);

RH_TEST_MAIN("doctor", tests_of_look, tests_of_host, tests_of_runner, tests_of_verify);
