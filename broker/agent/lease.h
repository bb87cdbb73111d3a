/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The one job of this container's life.
 */

#include <stdbool.h>

#include "broker/agent/users.h"
#include "runnerhub/id.h"
#include "runnerhub/wire.h"

struct rh_lease {
	bool taken;
	struct rh_id job;
	struct rh_user user;
};

#define RH_LEASE_E_OTHER 1 /* another job has it */

/**
 * rh_lease_take() - accept a job, the first one only
 * @root_fd:    where the image's etc/ is
 * @image_home: HOME of the image's environment, or NULL
 *
 * The same job may ask again and changes nothing.
 * Return: 0; RH_LEASE_E_OTHER; -EINVAL for a null job or an id that cannot be taken.
 */
int rh_lease_take(struct rh_lease *lease, int root_fd, const char *image_home,
	const struct rh_wire_lease *wanted);

/* Whether @job is the one that was leased. */
bool rh_lease_is(const struct rh_lease *lease, const struct rh_id *job);
