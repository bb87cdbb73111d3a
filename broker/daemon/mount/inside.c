/* SPDX-License-Identifier: Apache-2.0 */

/*
 * In a container's mount namespace: opening, making directories, detaching.
 */

#include "broker/daemon/mount/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/mount/kernel.h"
#include "broker/daemon/mount/plan.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/limits.h"

int rh_home_open(struct rh_home *ret_home)
{
	_cleanup_(rh_closep) int ns_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	_cleanup_(rh_closep) int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (ns_fd < 0 || root_fd < 0)
		return rh_origin(-errno);
	ret_home->ns_fd = rh_steal_fd(&ns_fd);
	ret_home->root_fd = rh_steal_fd(&root_fd);
	return 0;
}

void rh_home_close(struct rh_home *home)
{
	rh_close(home->ns_fd);
	rh_close(home->root_fd);
	home->ns_fd = home->root_fd = -1;
}

int rh_home_return(const struct rh_home *home)
{
	/* setns(2) sets the root to that of the namespace, which need not be the helper's. */
	if (setns(home->ns_fd, CLONE_NEWNS) < 0 || fchdir(home->root_fd) < 0 || chroot(".") < 0)
		return rh_origin(-errno);
	return 0;
}

int rh_inside_open(const struct rh_home *home, pid_t pid, int *ret_root_fd)
{
	_cleanup_(rh_closep) int pidfd = rh_sys_pidfd_open(pid);
	char path[64];
	struct stat own;
	struct stat other;

	if (pidfd < 0)
		return rh_trace(pidfd == -EINVAL ? -ESRCH : pidfd);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);

	_cleanup_(rh_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return rh_origin(errno == ENOENT ? -ESRCH : -errno);
	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);

	_cleanup_(rh_closep) int root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root_fd < 0)
		return rh_origin(errno == ENOENT ? -ESRCH : -errno);
	/* Not dead yet, so the number was its own when the path was opened. */
	struct pollfd dead = {.fd = pidfd, .events = POLLIN};

	if (poll(&dead, 1, 0) != 0)
		return rh_origin(-ESRCH);
	if (fstat(fd, &other) < 0 || fstat(home->ns_fd, &own) < 0)
		return rh_origin(-errno);
	if (own.st_ino == other.st_ino && own.st_dev == other.st_dev)
		return rh_origin(-EXDEV);
	*ret_root_fd = rh_steal_fd(&root_fd);
	return rh_steal_fd(&fd);
}

int rh_inside_enter(struct rh_inside *inside, int ns_fd)
{
	if (setns(ns_fd, CLONE_NEWNS) < 0)
		return rh_origin(-errno);
	inside->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return inside->root_fd < 0 ? rh_origin(-errno) : 0;
}

static int open_in_root(const struct rh_inside *inside, const char *path)
{
	return rh_sys_openat2(inside->root_fd, path, O_PATH | O_DIRECTORY,
		RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/* Makes and opens one directory. Nothing else runs in the container yet that could be faster. */
static int make_one(const struct rh_inside *inside, int dir_fd, const char *name, bool owned)
{
	if (mkdirat(dir_fd, name, 0755) < 0)
		return rh_origin(-errno);

	_cleanup_(rh_closep) int fd =
		rh_sys_openat2(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, RH_BENEATH);

	if (fd < 0)
		return rh_trace(fd);
	if (owned && fchownat(fd, "", inside->uid, inside->gid, AT_EMPTY_PATH) < 0)
		return rh_origin(-errno);
	return rh_steal_fd(&fd);
}

/* Cuts @path down to its longest part that exists, and opens that. */
static int open_existing_part(const struct rh_inside *inside, char *path)
{
	for (;;) {
		char *slash = strrchr(path, '/');
		int fd = open_in_root(inside, path[0] ? path : "/");

		if (fd != -ENOENT || !slash)
			return rh_trace(fd);
		*slash = '\0';
	}
}

int rh_inside_make_dir(const struct rh_inside *inside, const char *path, size_t owned_from)
{
	char part[PATH_MAX];
	int fd = open_in_root(inside, path);

	if (fd != -ENOENT)
		return rh_trace(fd);
	if (!rh_plan_is_path(path))
		return rh_origin(-EINVAL);
	(void)snprintf(part, sizeof(part), "%s", path);
	fd = open_existing_part(inside, part);

	const char *rest = path + strlen(part);

	while (fd >= 0 && *rest == '/') {
		size_t length = strcspn(rest + 1, "/");
		char name[NAME_MAX + 1];

		(void)snprintf(name, sizeof(name), "%.*s", (int)length, rest + 1);
		rest += 1 + length;

		int next = make_one(inside, fd, name, (size_t)(rest - path) >= owned_from);

		(void)close(fd);
		fd = next;
	}
	return rh_trace(fd);
}

int rh_inside_agent_dir(const struct rh_inside *inside, const struct stat *host)
{
	_cleanup_(rh_closep) int fd = open_in_root(inside, RH_AGENT_SOCKET_DIR);
	struct stat st;

	if (fd == -ENOENT || fd == -ENOTDIR)
		return rh_origin(-ESTALE);
	if (fd < 0)
		return rh_trace(fd);
	if (fstat(fd, &st) < 0)
		return rh_origin(-errno);
	if (st.st_dev != host->st_dev || st.st_ino != host->st_ino)
		return rh_origin(-ESTALE);
	return rh_steal_fd(&fd);
}

int rh_inside_detach(int fd)
{
	/* By its descriptor, so that no path of the image is walked again. */
	if (fchdir(fd) < 0)
		return rh_origin(-errno);
	return rh_trace(rh_sys_umount(".", RH_MNT_DETACH));
}
