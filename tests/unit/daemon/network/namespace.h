/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A host of one's own: a network namespace with a bridge, and containers, which are processes in
 * network namespaces behind ports of that bridge.
 */

#include <stdbool.h>
#include <sys/types.h>

struct stage {
	char dir[64]; /* of the containers' directories */
	pid_t pids[4]; /* of the containers; they end with the test */
	size_t n;
};

/* From now on this process is on that host. */
void stage_setup(struct stage *stage);
void stage_teardown(struct stage *stage);
/* A container 10.9.0.@last behind port @port, with a directory. Return: its first process. */
pid_t stage_container(struct stage *stage, const char *instance, const char *port, unsigned last);
/* Whether a command of the shell ends with 0, run on that host. */
bool stage_runs(const char *fmt, ...) __attribute__((__format__(__printf__, 1, 2)));
