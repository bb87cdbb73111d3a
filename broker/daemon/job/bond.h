/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What ties a job's id to whom it is for. An agent knows nothing of its job but the id; which
 * Worker that belongs to, a broker that was restarted reads from the store. Half of an id is a sum
 * over both, so that a damaged store cannot lead one job's steps into another one's container.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runnerhub/id.h"

struct rh_bond {
	const char *runner; /* name */
	const char *repo; /* its folder in the work directory */
	int64_t worker_pid;
	int64_t worker_start; /* ticks after boot */
};

/* Return: 0; negative errno of getrandom(2). */
int rh_bond_new_id(const struct rh_bond *bond, struct rh_id *ret_id);
bool rh_bond_fits(const struct rh_bond *bond, const struct rh_id *id);
