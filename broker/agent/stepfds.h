/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The descriptors that come with a STEP message: block, standard streams, channel.
 */

#include "runnerhub/wire.h"

struct rh_step_fds {
	int block;
	int stdio[3];
	int channel;
};

#define RH_STEP_FDS_NONE                                          \
	(struct rh_step_fds)                                      \
	{                                                         \
		.block = -1, .stdio = {-1, -1, -1}, .channel = -1 \
	}

/**
 * rh_step_fds_take() - take five descriptors out of a message
 *
 * The channel is made non-blocking. Return: 0; -EPROTO if there are not five, or the last is not a
 * packet socket; the message keeps them then.
 */
int rh_step_fds_take(struct rh_wire_msg *msg, struct rh_step_fds *ret_fds);
void rh_step_fds_deinit(struct rh_step_fds *fds);

/**
 * rh_step_fds_check() - whether the streams are what a step may hold
 *
 * A pipe, a socket, a regular file or the null device; a directory or an O_PATH descriptor would
 * be a way out of the container.
 * Return: NULL; else one line that says what is wrong.
 */
const char *rh_step_fds_check(const struct rh_step_fds *fds);
