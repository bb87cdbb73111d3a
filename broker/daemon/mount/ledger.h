/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * <work>/_runnerhub/, root's own corner of a work directory: the markers of workspaces in use, the
 * trash, and the place where new directories are built before they appear under their names.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "runnerhub/err.h"

#define RH_LEDGER_DIR "_runnerhub"

struct rh_ledger {
	int work_fd;
	int dir_fd;
	int trash_fd;
	uid_t runner_uid; /* owner of what is made */
	gid_t runner_gid;
	const char *work; /* for messages, borrowed */
};

#define RH_LEDGER_INIT                                      \
	{                                                   \
		.work_fd = -1, .dir_fd = -1, .trash_fd = -1 \
	}

/**
 * rh_ledger_open() - open a work directory and its ledger, which is made if it is missing
 * @work: canonical path, borrowed as long as the ledger lives
 *
 * A ledger that belongs to the runner's user is taken back, since setting up a runner changes the
 * owner of everything below its directory; another owner's, or a link, is refused: it was planted.
 * Context: a helper process. Return: 0; negative errno with @err.
 */
int rh_ledger_open(const char *work, uid_t runner_uid, gid_t runner_gid,
	struct rh_ledger *ret_ledger, struct rh_err *err);
void rh_ledger_close(struct rh_ledger *ledger);

/* Moves @name into the trash. Return: 0; -ENOENT; -EXDEV, -EBUSY: it is, or is on, a mount. */
int rh_ledger_trash(const struct rh_ledger *ledger, int dir_fd, const char *name);

/**
 * rh_ledger_build() - make a directory of the runner's, and @inner in it
 * @inner: NULL or relative, each of its components is made
 *
 * It is called "new" in the ledger until the caller renames it into its place. What an interrupted
 * request left under that name goes to the trash.
 */
int rh_ledger_build(const struct rh_ledger *ledger, const char *inner);
#define RH_LEDGER_NEW "new"

/**
 * rh_ledger_ensure() - open a directory beneath the work directory, make it if it is missing
 * @path: relative; what is missing of it appears at once and whole, owned by the runner
 *
 * Return: an O_PATH descriptor; -ELOOP: a link is in the way; negative errno.
 */
int rh_ledger_ensure(const struct rh_ledger *ledger, const char *path);
