/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a function prints, and a stand-in for the broker.
 */

#include <stddef.h>

/* From here on stdout and stderr go to memory. */
void capture_begin(void);
/* What was printed since; valid until the next call. @ret_err may be NULL. */
const char *capture_end(const char **ret_err);

/* What the stand-in does after it has read a line; a NULL ends the script. */
struct fake_answer {
	const char *bytes; /* sent at once; "" waits a moment, so that pieces arrive one by one */
	size_t times; /* so often; 0: once */
};

enum fake_end { FAKE_CLOSES, FAKE_HANGS };

/* Listens at @path and serves one connection in a child, which goes with the test. */
void fake_broker(const char *path, const struct fake_answer *script, enum fake_end how);

/* A directory of this test, and a path in it. Both stay until the next test. */
const char *test_dir(void);
const char *test_path(const char *name);
/* Writes a file below test_dir(), with the directories above it. */
void test_file(const char *name, const char *text);
