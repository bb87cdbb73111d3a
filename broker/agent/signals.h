/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Signals of the agent itself: children that ended, and the host's wish that it stops.
 */

#include "broker/agent/listen.h"
#include "broker/agent/loop.h"
#include "broker/agent/step.h"

struct rh_signals {
	struct rh_loop *loop;
	struct rh_steps *steps;
	rh_from_host_fn from_host;
	struct rh_source source;
	int fd;
};

/**
 * rh_signals_start() - block every signal and read those that matter from a descriptor
 *
 * All dispositions are default afterwards, so that children start from there.
 * Return: 0; negative errno. Source: signalfd(2), pid_namespaces(7).
 */
int rh_signals_start(struct rh_signals *signals);
void rh_signals_close(struct rh_signals *signals);
