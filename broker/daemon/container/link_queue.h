/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The link's own parts: its connection, and the messages that wait for it.
 */

#include "broker/daemon/container/link.h"

#define RH_LINK_QUEUE_MAX 64u
#define RH_LINK_BODY_MAX  64u
#define RH_LINK_FDS_MAX   5

struct rh_link_connection {
	uv_poll_t poll;
	struct rh_link *link;
	int fd;
};

/* Copies the message, duplicates its descriptors. Return: 0; -ENOBUFS, -EMSGSIZE; errno. */
int rh_link_queue_add(struct rh_link *link, enum rh_wire_type type, const void *body,
	size_t body_size, const int *fds, int n_fds);
/* Sends what waits, in order. Return: 0 if nothing waits any more; -EAGAIN; negative errno. */
int rh_link_queue_flush(struct rh_link *link);
void rh_link_queue_drop(struct rh_link *link);
