/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The files of the store's test programs.
 */

#include <check.h>

void tests_of_query(Suite *suite);
void tests_of_retain(Suite *suite);
void tests_of_record(Suite *suite);
