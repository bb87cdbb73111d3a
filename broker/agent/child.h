/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From the agent's fork to the step's program.
 */

#include <sys/resource.h>

#include "broker/agent/spawn.h"
#include "broker/agent/users.h"
#include "runnerhub/block.h"

/* What every step of this container starts from; found out once. */
struct rh_image {
	char *const *environ; /* the image's environment, which is the agent's own */
	int oom_score_min; /* of a step: above the agent's own */
	struct rlimit nofile; /* as the container came; the agent may have raised its own */
};

/**
 * rh_image_init() - look at the container
 * @envp: the image's environment, borrowed for ever
 *
 * Raises the agent's own limit of open files as far as it may.
 */
void rh_image_init(struct rh_image *image, char *const *envp);

struct rh_child {
	const struct rh_image *image;
	const struct rh_user *user;
	const struct rh_block *block;
	char *const *env; /* as composed */
	struct rh_failure *failure;
	int stdio[3]; /* none of them is 0, 1 or 2 */
};

/**
 * rh_child_run() - become the step
 * @arg: struct rh_child
 *
 * What fails is written to the failure, in words that a shell would use, and is the exit status:
 * 127 not found, 126 found but not executed, 1 anything else. Nothing is written to the step's own
 * streams: the client prints it, so that a slow reader stops nobody else.
 *
 * Context: a child of rh_spawn(), all signals blocked. Does not return.
 */
int rh_child_run(void *arg);
