/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who is asking: from a connection to the Runner.Worker of a registered runner.
 *
 * The kernel names the peer (SO_PEERCRED; SO_PEERPIDFD from Linux 6.5). A relay client's parent, or
 * the announcing process itself, must be a Runner.Worker: its executable is the very file
 * <root>/bin…/Runner.Worker of a registered runner, and its uid that runner's. Both processes are
 * held by pidfd while /proc is read, and looked at again afterwards, so that a reused pid cannot
 * slip in. Source: unix(7), pidfd_open(2), proc(5).
 */

#include <stdint.h>
#include <sys/types.h>

#include "broker/daemon/config/config.h"

struct rh_identity {
	pid_t pid; /* of the peer */
	uid_t uid;
	pid_t worker_pid;
	uint64_t worker_start; /* ticks after boot */
	int worker_pidfd; /* owned */
	const struct rh_runner *runner;
};

enum rh_identity_who {
	RH_PEER_IS_CHILD, /* of the Worker: hook programs */
	RH_PEER_IS_WORKER, /* the announcement */
};

/**
 * rh_identity_take() - identify the peer of a connected socket
 * @ret_identity: worker_pidfd is the caller's; runner belongs to @config
 *
 * Return: 0; -EPERM with @err if it is nobody we serve; -ESRCH if it has gone; negative errno.
 */
int rh_identity_take(int socket_fd, enum rh_identity_who who, const struct rh_config *config,
	struct rh_identity *ret_identity, struct rh_err *err);

/**
 * rh_identity_parent() - the parent of the peer, which is still alive
 *
 * The short way for steps: if a Worker that was identified before has this pid and its pidfd is not
 * readable afterwards, the peer is its child.
 *
 * Return: pid; -ESRCH; -EPERM.
 */
pid_t rh_identity_parent(int socket_fd);
