/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Programs that configure the firewall or say what is in it: each is run with a text as its input,
 * and what it says is kept. They are run, not linked: their libraries are under the GPL.
 */

#include <stddef.h>
#include <sys/types.h>

#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"

#define RH_PROGRAM_PATH_MAX   64
#define RH_PROGRAM_OUTPUT_MAX ((size_t)16 * 1024 * 1024) /* what is beyond is cut off */

struct rh_program_result {
	pid_t pid; /* that it ran as */
	int status; /* exit status; 128 and a signal's number */
	/* What it printed, or what it complained of if it failed; NUL-terminated; to be freed. Not
	 * both in one: complaints come into the midst of lines. */
	char *output;
	size_t size;
};

/* Where daemons' programs are. Return: 0; -ENOENT. */
int rh_program_find(const char *name, char buf[RH_PROGRAM_PATH_MAX]);

/**
 * rh_program_run() - run one and wait for its end
 * @argv:  NULL-terminated; its first is the name that rh_program_find() looks for
 * @input: its standard input
 *
 * Context: the network helper, the command line (blocks, 10 s at most).
 * Return: 0, whatever its status; -ENOENT: it is not installed; -ETIMEDOUT; negative errno.
 */
int rh_program_run(const char *const *argv, const char *input, size_t size,
	struct rh_program_result *ret_result, struct rh_err *err);
/* The first line of what it said, without what is not text, into @buf. */
void rh_program_first_line(const struct rh_program_result *result, char *buf, size_t size);
