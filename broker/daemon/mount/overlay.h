/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The tool cache: the host's copy below, read only, a job's changes above, thrown away with the
 * container's directory.
 */

#include "broker/daemon/mount/inside.h"
#include "broker/daemon/mount/plan.h"
#include "broker/daemon/mount/source.h"
#include "runnerhub/err.h"

/* In the container's own directory; each holds upper/ and work/. */
#define RH_OVERLAY_DIR   "overlay"
#define RH_OVERLAY_SPARE "overlay-spare" /* made with the container, for its one attach */

/* How the lower layer is given; each is tried where the one before is not possible. */
enum rh_overlay_lower {
	RH_OVERLAY_DETACHED, /* an id-mapped clone that is mounted nowhere (Linux 6.15) */
	RH_OVERLAY_ATTACHED, /* the same, mounted for a moment in a namespace of its own (5.19) */
	RH_OVERLAY_PLAIN, /* the directory as it is */
};

struct rh_overlay {
	int lower_fd; /* directory of the host, may be O_PATH */
	int state_fd; /* the container's own directory */
	int userns_fd; /* id map of the lower layer, -1: none */
	struct rh_slot *slot; /* on an old kernel what it is mounted in; else NULL */
	uid_t uid; /* the step's ids: owner of the root of what is made */
	gid_t gid;
	const struct rh_home *home;
};

/**
 * rh_overlay_make() - a detached overlay, or one in the slot
 *
 * Upper and work directory are the spare ones, or are made. What an earlier try left is deleted.
 * Context: the helper process. Return: the descriptor; negative errno.
 */
int rh_overlay_make(const struct rh_overlay *overlay);

/* Makes @name with upper/ and work/ in it. Return: 0; negative errno. */
int rh_overlay_make_dirs(int state_fd, const char *name);

/* One way alone. */
int rh_overlay_try(const struct rh_overlay *overlay, enum rh_overlay_lower how);

/**
 * rh_overlay_tools() - the tool cache that a plan names, as a detached overlay
 * @set: the job's sources
 *
 * Below the work directory it is made if it is missing. Elsewhere it must be a directory of the
 * runner's own that holds nothing else (rh_plan_check_tools()); if it is missing the job gets an
 * empty one.
 * Return: the descriptor; negative errno with @err.
 */
int rh_overlay_tools(const struct rh_source_set *set, const struct rh_mount_attach *attach,
	const struct rh_plan *plan, const struct rh_home *home, struct rh_err *err);
