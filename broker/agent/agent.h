/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * runnerhub-agent: PID 1 of a job's container. Starts the steps of one job, relays signals, reaps,
 * reports.
 */

#include "broker/agent/listen.h"

struct rh_agent_options {
	const char *socket_path;
	char *const *environ; /* the image's */
	rh_from_host_fn from_host; /* rh_from_host, but in tests */
};

/**
 * rh_agent_run() - serve until the host says stop
 *
 * Makes the process non-dumpable before it listens: a job's root must not read its memory.
 * Return: 0; negative errno if it could not start.
 */
int rh_agent_run(const struct rh_agent_options *options);
