/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Host directories as detached mounts, ready to be moved into a container.
 */

#include <limits.h>
#include <stdbool.h>

#include "broker/daemon/mount/ledger.h"
#include "broker/daemon/mount/plan.h"
#include "broker/daemon/mount/slot.h"
#include "runnerhub/err.h"

struct rh_source_set {
	const struct rh_ledger *ledger;
	const char *root; /* of the runner, for messages */
	int root_fd;
	int userns_fd; /* the id map; -1: none is needed */
	struct rh_slot *slot; /* what mounts go through on an old kernel; NULL: they are detached */
};

/**
 * rh_source_clone() - a private detached mount of a directory, nosuid and nodev
 * @fd:        of the directory, may be O_PATH
 * @userns_fd: -1: no id map
 *
 * Context: a helper process. Return: the descriptor; -EOPNOTSUPP: no id maps here; negative errno.
 * Source:  open_tree(2), mount_setattr(2)
 */
int rh_source_clone(int fd, int userns_fd, bool read_only);

/* The same by what @set has: a clone, with its id map, or a mount in its slot. */
int rh_source_mount(const struct rh_source_set *set, int fd, bool read_only);

/* Opens (or makes) what an entry of the plan names and clones it. Return: the descriptor; -ENOENT:
 * it is to be left out; negative errno with @err. */
int rh_source_open(
	const struct rh_source_set *set, const struct rh_plan_entry *entry, struct rh_err *err);

/**
 * rh_source_real_name() - the directory that bin or externals is
 * @known_as: "bin" or "externals"
 * @ret_name: @known_as itself, or <known_as>.<version> where it is a link to that in the same root
 *
 * The runner's self-update leaves such links, relative or absolute. Any other link is refused.
 * Return: 0; -ENOENT; negative errno.
 */
int rh_source_real_name(int root_fd, const char *known_as, char ret_name[NAME_MAX + 1]);
