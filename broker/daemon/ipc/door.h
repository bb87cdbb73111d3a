/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A listening socket of the broker's that outlives trouble around it.
 *
 * Connections are accepted a bounded number at a time, so that whoever knocks without end does not
 * keep the loop from everything else. Where no descriptor is left the one that waits is turned away
 * by a spare one: it would stay in the queue otherwise, and the loop would spin. Where the socket's
 * file was removed a new one is made, and what still waits at the old one is served.
 *
 * Context: loop thread. Source: unix(7), accept(2).
 */

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "broker/daemon/log/log.h"
#include "runnerhub/err.h"

#define RH_DOOR_NO_GID ((gid_t)-1)

struct rh_door;

struct rh_door_options {
	uv_loop_t *loop;
	struct rh_log *log;
	const char *path; /* copied */
	int type; /* SOCK_STREAM or SOCK_SEQPACKET */
	mode_t mode;
	gid_t gid; /* of the socket's file, or RH_DOOR_NO_GID */
	int backlog;
	/* Takes @fd, which is non-blocking and close-on-exec. */
	void (*on_connection)(void *arg, int fd);
	/* Says why to one that cannot be served for want of descriptors, or NULL. Borrows @fd. */
	void (*on_full)(void *arg, int fd);
	void *arg;
};

/* Return: 0; negative errno with @err. */
int rh_door_open(
	const struct rh_door_options *options, struct rh_door **ret_door, struct rh_err *err);

/**
 * rh_door_check() - is its file still there?
 *
 * To be called about once a second: a door that could not accept rests until then. A socket that
 * is not ours is left alone: another broker has taken the place.
 * Return: 0; 1: it was gone and has been made again; -EEXIST; negative errno.
 */
int rh_door_check(struct rh_door *door, struct rh_err *err);

/* No callback comes after this; the memory stays until @cb (may be NULL). */
void rh_door_close(struct rh_door *door, void (*cb)(void *arg), void *arg);
