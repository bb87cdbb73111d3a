/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The one job of this container's life. There is no way back from taken.
 */

#include "broker/agent/lease.h"

#include <errno.h>
#include <stdint.h>

#include "runnerhub/err.h"

int rh_lease_take(struct rh_lease *lease, int root_fd, const char *image_home,
	const struct rh_wire_lease *wanted)
{
	if (rh_id_is_null(&wanted->job) || wanted->uid == UINT32_MAX || wanted->gid == UINT32_MAX)
		return rh_origin(-EINVAL);
	if (lease->taken)
		return rh_id_equal(&lease->job, &wanted->job) ? 0 : RH_LEASE_E_OTHER;

	rh_user_load(root_fd, wanted->uid, wanted->gid, image_home, &lease->user);
	lease->job = wanted->job;
	lease->taken = true;
	return 0;
}

bool rh_lease_is(const struct rh_lease *lease, const struct rh_id *job)
{
	return lease->taken && rh_id_equal(&lease->job, job);
}
