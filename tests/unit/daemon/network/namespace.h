/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A host of one's own: a network namespace with a bridge, and containers, which are processes in
 * network namespaces behind ports of that bridge.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "broker/daemon/network/table.h"

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

/* Whether a connection from the container gets through to the listener; a refusal comes at once. */
bool stage_connects(pid_t from, const char *to, unsigned port);
/* Between neighbours there is no refusal either. */
bool stage_loses(pid_t from, const char *to, unsigned port);
/* A server, for a while; @where: what its command begins with. */
void stage_serve(const char *where, unsigned port);

/* Requests to a table, of the network "rhtest". */
int stage_configure(
	struct stage *stage, struct rh_table *table, const char *firewall, struct rh_err *err);
int stage_admit(struct rh_table *table, const char *instance, pid_t pid, const char *egress,
	struct rh_err *err);
int stage_dismiss(struct rh_table *table, const char *instance, struct rh_err *err);
