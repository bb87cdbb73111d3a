/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The files of the configuration's test program.
 */

#include <check.h>

#include "broker/daemon/config/load.h"
#include "broker/daemon/config/option.h"

/* The least that is a whole configuration. */
#define LEAST "profiles: {default: {image: debian}}\n"

void tests_of_example(Suite *suite);
void tests_of_files(Suite *suite);
void tests_of_value(Suite *suite);
void tests_of_yaml(Suite *suite);

/* Parses @text as x.yaml; the message of a failure is kept in test_err. */
struct rh_config *parse(const char *text);
extern struct rh_err test_err;
/* Requires that @text is refused with exactly @message. */
void refused(const char *text, const char *message);
