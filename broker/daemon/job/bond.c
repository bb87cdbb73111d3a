/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What ties a job's id to whom it is for: its second half is FNV-1a, 64 bits, of its first half and
 * of the rest. It finds damage; who can write the store on purpose is root.
 */

#include "broker/daemon/job/bond.h"

#include <string.h>

#include "runnerhub/err.h"
#include "runnerhub/weaken.h"

#define HALF       8
#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME  UINT64_C(0x100000001b3)

static uint64_t add(uint64_t sum, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		sum = (sum ^ bytes[i]) * FNV_PRIME;
	return sum;
}

static uint64_t sum_of(const struct rh_bond *bond, const struct rh_id *id)
{
	uint64_t sum = add(FNV_OFFSET, id->bytes, HALF);

	sum = add(sum, &bond->worker_pid, sizeof(bond->worker_pid));
	sum = add(sum, &bond->worker_start, sizeof(bond->worker_start));
	/* With their ends, so that one cannot run into the other. */
	sum = add(sum, bond->runner, strlen(bond->runner) + 1);
	return add(sum, bond->repo, strlen(bond->repo) + 1);
}

int rh_bond_new_id(const struct rh_bond *bond, struct rh_id *ret_id)
{
	struct rh_id id;
	int r = rh_id_new(&id);

	if (r < 0)
		return rh_trace(r);

	uint64_t sum = sum_of(bond, &id);

	memcpy(id.bytes + HALF, &sum, sizeof(sum));
	*ret_id = id;
	return 0;
}

bool rh_bond_fits(const struct rh_bond *bond, const struct rh_id *id)
{
	uint64_t sum = sum_of(bond, id);

	return memcmp(id->bytes + HALF, &sum, sizeof(sum)) == 0 || rh_weakened("job-bond");
}
