/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Deleting in the background, and making what is deleted here later.
 */

#include "broker/daemon/mount/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/mount/kernel.h"
#include "broker/daemon/mount/ledger.h"
#include "broker/daemon/mount/overlay.h"
#include "broker/daemon/mount/plan.h"
#include "broker/daemon/mount/slot.h"
#include "runnerhub/cleanup.h"

static int open_trash(const char *work)
{
	struct stat st;

	_cleanup_(rh_closep) int work_fd = rh_sys_openat2(
		AT_FDCWD, work, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);

	if (work_fd < 0)
		return rh_trace(work_fd);

	_cleanup_(rh_closep) int ledger_fd = rh_sys_openat2(
		work_fd, RH_LEDGER_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW, RH_BENEATH);

	if (ledger_fd < 0)
		return rh_trace(ledger_fd);
	/* Only root puts things there, or it is not the trash. */
	if (fstat(ledger_fd, &st) < 0)
		return rh_origin(-errno);
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return rh_origin(-EPERM);
	return rh_sys_openat2(ledger_fd, "trash", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RH_BENEATH);
}

int rh_sweep_trash(const char *work, struct rh_tree_count *count)
{
	int fd = open_trash(work);

	if (fd < 0)
		return fd == -ENOENT ? 0 : rh_trace(fd);

	int r = rh_tree_empty(fd, count);

	(void)close(fd);
	return rh_trace(r);
}

int rh_sweep_remove(const char *parent, const char *name, struct rh_tree_count *count)
{
	_cleanup_(rh_closep) int fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (!rh_plan_is_name(name))
		return rh_origin(-EINVAL);
	if (fd < 0)
		return errno == ENOENT ? 0 : rh_origin(-errno);

	_cleanup_(rh_closep) int own_fd =
		openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = own_fd < 0 ? 0 : rh_slot_drop(own_fd);

	return r < 0 ? rh_trace(r) : rh_trace(rh_tree_delete(fd, name, count));
}

int rh_sweep_make(const char *parent, const char *name, bool slot)
{
	if (!rh_plan_is_name(name))
		return rh_origin(-EINVAL);
	if (mkdir(parent, 0700) < 0 && errno != EEXIST)
		return rh_origin(-errno);

	_cleanup_(rh_closep) int fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || mkdirat(fd, name, 0700) < 0)
		return rh_origin(-errno);

	_cleanup_(rh_closep) int own_fd =
		openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (own_fd < 0 || mkdirat(own_fd, "socket", 0700) < 0)
		return rh_origin(-errno);
	int r = slot ? rh_slot_make(own_fd) : 0;

	/* Making them takes longer than mounting them, and a job would wait for it. */
	return r < 0 ? rh_trace(r) : rh_trace(rh_overlay_make_dirs(own_fd, RH_OVERLAY_SPARE));
}
