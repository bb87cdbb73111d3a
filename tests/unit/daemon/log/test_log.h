/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The files of the log's test program.
 */

#include <check.h>

void tests_of_format(Suite *suite);
