/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Late mounts on kernels before 5.12, which have no detached mounts.
 *
 * A container is made with a slot: a small tmpfs of the host's, <state dir>/slot, shared there and
 * bound into the container as a slave. What the host mounts in it appears inside. At the lease the
 * job's directories are bound into it; inside they get their flags and are moved to their places by
 * descriptors; then the slot is detached on both sides, and nothing of it is left.
 *
 *   make (with the container) → open → add … → arrive (inside) → move … → leave → end (at home)
 *
 * What this cannot do is map ids: a job must run as the runner's own user. Context: a helper.
 */

#include <stdbool.h>
#include <stddef.h>

#include "broker/daemon/mount/plan.h"
#include "runnerhub/err.h"

#define RH_SLOT_NAME "slot"
#define RH_SLOT_MAX  (RH_PLAN_MAX + 1) /* a plan's entries and the tool cache */

struct rh_slot {
	int host_fd; /* its root; -1: this container has none */
	int inside_fd; /* likewise, in the container */
	size_t n;
	struct {
		int fd; /* as handed out by rh_slot_add(), borrowed */
		bool read_only;
	} items[RH_SLOT_MAX];
};

#define RH_SLOT_INIT                            \
	{                                       \
		.host_fd = -1, .inside_fd = -1, \
	}

/* Does this kernel lack the calls of detached mounts? A filter that forbids them counts, too. */
bool rh_slot_is_needed(void);

/* Makes and mounts the slot of a container in its own directory. Return: 0; negative errno. */
int rh_slot_make(int state_fd);
/* Unmounts it, if it is there. Return: 0; negative errno. */
int rh_slot_drop(int state_fd);

/* Return: 0, also if there is none (host_fd is -1 then); negative errno. */
int rh_slot_open(const char *state_dir, struct rh_slot *slot);
void rh_slot_deinit(struct rh_slot *slot);

/**
 * rh_slot_add() - bind a directory into the slot
 * @fd: of the directory, may be O_PATH
 *
 * Return: a descriptor of the mount, the caller's, which stands for it from now on; after
 * rh_slot_arrive() it is the mount in the container. -ENOSPC; negative errno.
 */
int rh_slot_add(struct rh_slot *slot, int fd, bool read_only);
/* The same with a new overlay; @options as mount(8) knows them. */
int rh_slot_add_overlay(struct rh_slot *slot, const char *options);

/**
 * rh_slot_arrive() - find what was added, in the container's mount namespace
 * @root_fd: the container's root
 *
 * Each mount becomes private, nosuid, nodev and, if so added, read only, before it is moved.
 * Return: 0; -ESTALE: the slot is another one; -ENOLINK: mounts of the host do not arrive there;
 * negative errno.
 */
int rh_slot_arrive(struct rh_slot *slot, int root_fd);
/* Moves one to its place. Changes root and working directory. Return: 0; negative errno. */
int rh_slot_move(const struct rh_slot *slot, int fd, int target_fd);
/* Detaches the slot in the container. Return: 0; -EBUSY: it is there still; negative errno. */
int rh_slot_leave(struct rh_slot *slot, int root_fd);
/* At home: unmounts it, with what never arrived. Return: 0; negative errno. */
int rh_slot_end(struct rh_slot *slot, const char *state_dir);
