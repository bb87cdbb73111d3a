/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The agent's socket: who may be the broker.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "broker/agent/link.h"
#include "broker/agent/loop.h"

/* Whether a process is the host's root, as seen from inside the container. */
typedef bool (*rh_from_host_fn)(uid_t uid, pid_t pid);

/**
 * rh_from_host() - the only check of the shipped agent
 *
 * A process outside of the container's pid namespace reads as pid 0; nothing inside can, whatever
 * its uid. Pure.
 */
bool rh_from_host(uid_t uid, pid_t pid);

struct rh_listen {
	struct rh_loop *loop;
	struct rh_link *link;
	rh_from_host_fn from_host;
	struct rh_source source;
	int fd;
};

/**
 * rh_listen_start() - bind the socket and serve it
 * @path: of the socket; one that is there is replaced
 *
 * Return: 0; negative errno.
 */
int rh_listen_start(struct rh_listen *listen, const char *path);
void rh_listen_close(struct rh_listen *listen);
