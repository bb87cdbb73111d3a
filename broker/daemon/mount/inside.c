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

/* Goes down @rest ("a/b") from @dir_fd, which is consumed; what is missing is made. */
static int make_rest(
	const struct rh_inside *inside, int dir_fd, const char *rest, size_t n_not_owned)
{
	const char *begin = rest;

	while (dir_fd >= 0 && *rest) {
		size_t length = strcspn(rest, "/");
		char name[NAME_MAX + 1];

		if (length == 0 || length > NAME_MAX)
			break;
		memcpy(name, rest, length);
		name[length] = '\0';
		rest += length;

		int next =
			rh_sys_openat2(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, RH_BENEATH);

		if (next == -ENOENT)
			next = make_one(
				inside, dir_fd, name, (size_t)(rest - begin) >= n_not_owned);
		(void)close(dir_fd);
		dir_fd = next;
		rest += *rest == '/';
	}
	return rh_trace(dir_fd);
}

int rh_inside_make_dir(const struct rh_inside *inside, const char *path, size_t owned_from)
{
	char part[PATH_MAX];

	if (!rh_plan_is_path(path))
		return rh_origin(-EINVAL);
	for (size_t i = 0; i < inside->n_skeletons; i++) {
		const char *rest = rh_plan_below(inside->skeletons[i].path, path);
		int fd = rest ? fcntl(inside->skeletons[i].fd, F_DUPFD_CLOEXEC, 0) : -1;

		if (rest)
			return fd < 0 ? rh_origin(-errno)
				      : rh_trace(make_rest(inside, fd, rest, 0));
	}

	int fd = open_in_root(inside, path);

	if (fd != -ENOENT)
		return rh_trace(fd);
	(void)snprintf(part, sizeof(part), "%s", path);
	fd = open_existing_part(inside, part);

	size_t done = strlen(part) + 1;

	return rh_trace(
		make_rest(inside, fd, path + done, owned_from > done ? owned_from - done : 0));
}

static int make_tmpfs(const struct rh_inside *inside)
{
	_cleanup_(rh_closep) int fs_fd = rh_sys_fsopen("tmpfs");
	char uid[16];
	char gid[16];
	int r = fs_fd;

	(void)snprintf(uid, sizeof(uid), "%u", inside->uid);
	(void)snprintf(gid, sizeof(gid), "%u", inside->gid);

	const char *const options[][2] = {
		{"mode", "755"}, {"uid", uid}, {"gid", gid}, {"size", "64m"}, {"nr_inodes", "16k"}};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]) && r >= 0; i++)
		r = rh_sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, options[i][0], options[i][1]);
	if (r >= 0)
		r = rh_sys_fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL);
	return r < 0 ? rh_trace(r)
		     : rh_trace(rh_sys_fsmount(fs_fd, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
}

int rh_inside_add_skeleton(struct rh_inside *inside, const char *path)
{
	_cleanup_(rh_closep) int there = open_in_root(inside, path);

	/* What else is wrong with it is told when it is used. */
	if (there != -ENOENT || inside->n_skeletons == RH_INSIDE_SKELETONS)
		return 0;

	_cleanup_(rh_closep) int target_fd = rh_inside_make_dir(inside, path, strlen(path));

	if (target_fd < 0)
		return rh_trace(target_fd);

	_cleanup_(rh_closep) int mount_fd = make_tmpfs(inside);

	if (mount_fd < 0 || rh_sys_move_mount(mount_fd, target_fd) < 0)
		return 0;
	inside->skeletons[inside->n_skeletons].path = path;
	inside->skeletons[inside->n_skeletons].fd = rh_steal_fd(&mount_fd);
	inside->n_skeletons++;
	return 0;
}

void rh_inside_deinit(struct rh_inside *inside)
{
	for (size_t i = 0; i < inside->n_skeletons; i++)
		rh_close(inside->skeletons[i].fd);
	rh_close(inside->root_fd);
	inside->n_skeletons = 0;
	inside->root_fd = -1;
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
