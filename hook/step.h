/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One step, from the client's side: how it is handed to the job's agent and what comes back.
 */

#include <stdint.h>

struct rh_step_spec {
	const char *libexec;
	int block_fd; /* sealed block; consumed */
	int broker_fd; /* a connection that was made early, or -1; consumed */
	int signal_fd; /* rh_signals_open(); borrowed */
	int64_t broker_wait_ms; /* bound of everything before GO */
};

/**
 * rh_step_run() - run the step once, or not at all
 *
 * Descriptors 0 to 2 are the step's; 0 and 1 are closed once it runs. What went wrong is said on
 * stderr. Return: what the process exits with; 0 only if the agent said so.
 */
int rh_step_run(const struct rh_step_spec *spec);
