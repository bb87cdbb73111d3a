/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A host for tests: a directory with a runner's root, a libexec directory with the real library and
 * the real hook program in it, and a Worker that starts programs as .NET does.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct host {
	char dir[256];
	char root[300]; /* of the runner */
	char work[320]; /* <root>/_work/demo/demo */
	char libexec[300];
	char socket[320]; /* of the broker */
	char log[300]; /* what the broker saw, a line a message */
};

/* Makes and removes the tree; a failure ends the test. */
void host_make(struct host *host);
void host_remove(struct host *host);

/* Writes a file below the host's directory. */
void host_write(const struct host *host, const char *name, const char *text, mode_t mode);

/* Short waits, so that a test of a deadline is quick. */
void host_set_waits(const struct host *host, int broker_wait_ms, int job_start_wait_ms);

/* Number of lines of the broker's log that hold @text. */
int host_log_count(const struct host *host, const char *text);

struct run {
	int status; /* exit status, or 128 + signal */
	char out[65536]; /* NUL-terminated, cut */
	char err[65536];
	uint64_t out_size; /* not cut */
	int64_t ms;
};

struct run_spec {
	const char *const *options; /* of the Worker, NULL-terminated; NULL for none */
	const char *const *argv; /* of the program, NULL-terminated */
	const char *const *env; /* of the Worker besides the usual, NULL-terminated; or NULL */
	size_t data_limit; /* RLIMIT_DATA of the Worker, in bytes, or 0: as it is */
	const char *input; /* for stdin, or NULL: closed at once */
	int signal; /* sent to the direct child of the Worker once it says "ready", or 0 */
	int second_signal; /* sent 200 ms later, or 0 */
	bool kill_worker; /* rather than its child */
};

/* Runs a Worker that starts one program (see worker.c) and waits for both. */
void host_run(const struct host *host, const struct run_spec *spec, struct run *ret_run);
