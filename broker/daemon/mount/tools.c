/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which host directory a job's tool cache is. Its name comes from the runner's environment.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/mount/kernel.h"
#include "broker/daemon/mount/overlay.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/weaken.h"

/* Opened first, judged by what was opened: its owner and the name that the kernel gives it. */
static int open_elsewhere(
	const struct rh_mount_attach *attach, const char *path, struct rh_err *err)
{
	_cleanup_(rh_closep) int fd =
		rh_sys_openat2(AT_FDCWD, path, O_PATH | O_DIRECTORY, RESOLVE_NO_MAGICLINKS);
	char canonical[PATH_MAX];
	char link[64];
	struct stat st;

	if (fd == -ENOENT)
		return rh_origin(-ENOENT);
	if (fd < 0)
		return rh_err_set(err, fd, "tool cache %.300s: %s", path, strerror(-fd));
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);

	ssize_t n = readlink(link, canonical, sizeof(canonical) - 1);

	if (n < 0 || fstat(fd, &st) < 0)
		return rh_err_set(err, -errno, "tool cache %.300s: %s", path, strerror(errno));
	canonical[n] = '\0';

	int r = rh_plan_check_tools(attach, canonical, err);

	if (r < 0)
		return rh_trace(r);
	if (st.st_uid != attach->runner_uid)
		return rh_err_set(err, -EPERM,
			"tool cache %.300s belongs to uid %u, not to the runner's %u; give it to "
			"the "
			"runner, or set another RUNNER_TOOL_CACHE",
			path, st.st_uid, attach->runner_uid);
	return rh_steal_fd(&fd);
}

static int open_lower(const struct rh_source_set *set, const struct rh_mount_attach *attach,
	const struct rh_plan *plan, int state_fd, struct rh_err *err)
{
	if (plan->tools_kind == RH_PLAN_TOOLS_BELOW_WORK) {
		int fd = rh_ledger_ensure(set->ledger, plan->tools);

		return fd < 0 ? rh_err_set(err, fd, "tool cache %.300s: %s", plan->tools_target,
					strerror(-fd))
			      : fd;
	}

	int fd = open_elsewhere(attach, plan->tools, err);

	if (fd != -ENOENT)
		return rh_trace(fd);
	/* Root makes no directories where an environment variable says. */
	if (mkdirat(state_fd, "no-tools", 0755) < 0 && errno != EEXIST)
		return rh_err_set(err, -errno, "%.300s: %s", attach->state_dir, strerror(errno));
	fd = openat(state_fd, "no-tools", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? rh_err_set(err, -errno, "%.300s: %s", attach->state_dir, strerror(errno))
		      : fd;
}

int rh_overlay_tools(const struct rh_source_set *set, const struct rh_mount_attach *attach,
	const struct rh_plan *plan, const struct rh_home *home, struct rh_err *err)
{
	_cleanup_(rh_closep) int state_fd =
		open(attach->state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (state_fd < 0)
		return rh_err_set(err, -errno, "container directory %.300s: %s", attach->state_dir,
			strerror(errno));

	_cleanup_(rh_closep) int lower_fd = open_lower(set, attach, plan, state_fd, err);

	if (lower_fd < 0)
		return rh_trace(lower_fd);
	if (attach->tools_writable || rh_weakened("tool-overlay"))
		return rh_trace(rh_source_mount(set, lower_fd, false));

	const struct rh_overlay overlay = {
		.lower_fd = lower_fd,
		.state_fd = state_fd,
		.userns_fd = set->userns_fd,
		.slot = set->slot,
		.uid = attach->step_uid,
		.gid = attach->step_gid,
		.home = home,
	};
	int fd = rh_overlay_make(&overlay);

	if (fd < 0)
		return rh_err_set(err, fd,
			"cannot put an overlay with its upper layer in %.200s over the tool cache "
			"%.200s: %s",
			attach->state_dir, plan->tools_target, strerror(-fd));
	return fd;
}
