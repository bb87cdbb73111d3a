/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * User namespaces that say how ids on disk are shown through a job's mounts. One per combination,
 * made once and kept; the least recently used one goes when there are too many.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runnerhub/err.h"

#define RH_IDMAPS_MAX     64
#define RH_IDMAP_IDS      65536u /* every container id has a host id of its own */
#define RH_IDMAP_TEXT_MAX 128

struct rh_idmap_key {
	uint32_t runner_uid; /* on disk */
	uint32_t runner_gid;
	uint32_t step_uid; /* seen */
	uint32_t step_gid;
	uint32_t base; /* first of RH_IDMAP_IDS host ids */
};

struct rh_idmaps {
	struct {
		struct rh_idmap_key key;
		int fd;
		uint64_t used; /* 0: free */
	} slots[RH_IDMAPS_MAX];
	uint64_t clock;
};

/* Zeroed memory is a valid empty cache. Context: the helper process. */
void rh_idmaps_deinit(struct rh_idmaps *maps);

/* False where the step has the runner's own ids and is nobody who could take others. */
bool rh_idmap_is_needed(const struct rh_idmap_key *key);

/* Is this one of the host ids that only jobs' files have? */
static inline bool rh_idmap_in_range(uint32_t base, uint32_t id)
{
	return id >= base && id - base < RH_IDMAP_IDS;
}

/**
 * rh_idmap_text() - the lines of a uid_map or gid_map
 * @disk: the runner's id
 * @seen: what it is shown as
 *
 * The left column is the id on disk, the right one the id seen. @disk and the range may not
 * overlap: two ids would share a place on disk.
 * Return: length; -EINVAL. Source: user_namespaces(7), mount_setattr(2)
 */
int rh_idmap_text(uint32_t disk, uint32_t seen, uint32_t base, char ret_text[RH_IDMAP_TEXT_MAX]);

/**
 * rh_idmaps_get() - the namespace of a combination
 * @ret_fd: borrowed; valid until the next call
 *
 * Context: the helper process; forks a short-lived child the first time.
 * Return: 0; negative errno with @err.
 */
int rh_idmaps_get(
	struct rh_idmaps *maps, const struct rh_idmap_key *key, int *ret_fd, struct rh_err *err);
