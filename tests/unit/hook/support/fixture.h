/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What each test of the hook's programs has: a host, at most one broker, the last run.
 */

#include "support/fake_broker.h"
#include "support/host.h"

extern struct host host;
extern struct fake_broker broker; /* none until a test starts the one that it wants */
extern struct run run;

/* For tcase_add_checked_fixture(). */
void set_up(void);
void set_up_serving(void); /* with a broker that does all that it is asked for */
void tear_down(void);

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
