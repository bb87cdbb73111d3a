/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The slot. On the host descriptors are named through /proc/self/fd; inside, where /proc is the
 * container's, a mount is named by its number below the slot, which is the root meanwhile, and its
 * place by the working directory: no path of the image is walked.
 */

#include "broker/daemon/mount/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/mount/inside.h"
#include "broker/daemon/mount/kernel.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/limits.h"

#define NAME_SIZE 24
#define FD_SIZE   32 /* "/proc/self/fd/N" */

static void fd_name(int fd, char ret_name[FD_SIZE])
{
	(void)snprintf(ret_name, FD_SIZE, "/proc/self/fd/%d", fd);
}

static bool is_missing(int r)
{
	return r == -ENOSYS || r == -EPERM;
}

bool rh_slot_is_needed(void)
{
	/* Arguments that no kernel accepts: what is there says so. */
	int tree = rh_sys_open_tree(-1, ~0U);
	int attributes = rh_sys_result(syscall(SYS_mount_setattr, -1, "", AT_EMPTY_PATH, NULL, 0));
	int move = rh_sys_result(syscall(SYS_move_mount, -1, "", -1, "", ~0U));

	return is_missing(tree) || is_missing(attributes) || is_missing(move);
}

static int open_dir(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? rh_origin(-errno) : fd;
}

int rh_slot_make(int state_fd)
{
	char path[FD_SIZE];

	if (mkdirat(state_fd, RH_SLOT_NAME, 0700) < 0)
		return rh_origin(-errno);

	_cleanup_(rh_closep) int under_fd = open_dir(state_fd, RH_SLOT_NAME);

	if (under_fd < 0)
		return rh_trace(under_fd);
	fd_name(under_fd, path);

	int r = rh_sys_mount("slot", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		"mode=0700,size=64k,nr_inodes=32");

	if (r < 0)
		return rh_trace(r);

	_cleanup_(rh_closep) int fd = open_dir(state_fd, RH_SLOT_NAME);

	if (fd < 0)
		return rh_trace(fd);
	fd_name(fd, path);
	return rh_trace(rh_sys_mount(NULL, path, NULL, MS_SHARED, NULL));
}

static int detach(int fd)
{
	int r = rh_inside_detach(fd);

	if (chdir("/") < 0 && r == 0)
		r = rh_origin(-errno);
	return rh_trace(r);
}

int rh_slot_drop(int state_fd)
{
	_cleanup_(rh_closep) int fd = open_dir(state_fd, RH_SLOT_NAME);
	struct stat slot, state;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return rh_trace(fd);
	if (fstat(fd, &slot) < 0 || fstat(state_fd, &state) < 0)
		return rh_origin(-errno);
	/* A tmpfs of its own; else it is not mounted, as after a start of the host. */
	return slot.st_dev == state.st_dev ? 0 : rh_trace(detach(fd));
}

int rh_slot_open(const char *state_dir, struct rh_slot *slot)
{
	_cleanup_(rh_closep) int state_fd = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = state_fd < 0 ? rh_origin(-errno) : open_dir(state_fd, RH_SLOT_NAME);

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return rh_trace(fd);
	slot->host_fd = fd;
	return 0;
}

void rh_slot_deinit(struct rh_slot *slot)
{
	rh_close(slot->host_fd);
	rh_close(slot->inside_fd);
	*slot = (struct rh_slot)RH_SLOT_INIT;
}

/* Mounts something on a new directory of the slot. */
static int add(struct rh_slot *slot, const char *source, const char *type, unsigned long flags,
	const char *data, bool read_only)
{
	char name[NAME_SIZE], target[FD_SIZE];

	if (slot->n == RH_SLOT_MAX)
		return rh_origin(-ENOSPC);
	(void)snprintf(name, sizeof(name), "%zu", slot->n);
	if (mkdirat(slot->host_fd, name, 0700) < 0 && errno != EEXIST)
		return rh_origin(-errno);

	_cleanup_(rh_closep) int under_fd = open_dir(slot->host_fd, name);

	if (under_fd < 0)
		return rh_trace(under_fd);
	fd_name(under_fd, target);

	int r = rh_sys_mount(source, target, type, flags, data);

	if (r < 0)
		return rh_trace(r);

	int fd = open_dir(slot->host_fd, name);

	if (fd < 0)
		return rh_trace(fd);
	slot->items[slot->n].fd = fd;
	slot->items[slot->n++].read_only = read_only;
	return fd;
}

int rh_slot_add(struct rh_slot *slot, int fd, bool read_only)
{
	char source[FD_SIZE];

	fd_name(fd, source);
	return rh_trace(add(slot, source, NULL, MS_BIND, NULL, read_only));
}

int rh_slot_add_overlay(struct rh_slot *slot, const char *options)
{
	return rh_trace(add(slot, "overlay", "overlay", MS_NOSUID | MS_NODEV, options, false));
}

static bool is_same(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
		x.st_ino == y.st_ino;
}

static int open_inside(int root_fd)
{
	return rh_trace(rh_sys_openat2(root_fd, RH_AGENT_SLOT_DIR, O_PATH | O_DIRECTORY,
		RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS));
}

/* @fd: the root of the mount in the container. */
static int set_flags(int fd, bool read_only)
{
	unsigned long flags = MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV;

	if (fchdir(fd) < 0)
		return rh_origin(-errno);

	int r = rh_sys_mount(NULL, ".", NULL, MS_PRIVATE, NULL);

	if (r == 0)
		r = rh_sys_mount(NULL, ".", NULL, flags | (read_only ? MS_RDONLY : 0), NULL);
	return rh_trace(r);
}

int rh_slot_arrive(struct rh_slot *slot, int root_fd)
{
	slot->inside_fd = open_inside(root_fd);
	if (slot->inside_fd < 0)
		return rh_trace(slot->inside_fd);
	if (!is_same(slot->inside_fd, slot->host_fd))
		return rh_origin(-ESTALE);
	for (size_t i = 0; i < slot->n; i++) {
		char name[NAME_SIZE];

		(void)snprintf(name, sizeof(name), "%zu", i);

		_cleanup_(rh_closep) int fd = open_dir(slot->inside_fd, name);

		if (fd < 0)
			return rh_trace(fd);
		if (!is_same(fd, slot->items[i].fd))
			return rh_origin(-ENOLINK);

		int r = set_flags(fd, slot->items[i].read_only);

		if (r < 0)
			return rh_trace(r);
		if (dup3(fd, slot->items[i].fd, O_CLOEXEC) < 0)
			return rh_origin(-errno);
	}
	return 0;
}

int rh_slot_move(const struct rh_slot *slot, int fd, int target_fd)
{
	char name[NAME_SIZE];
	size_t i = 0;

	while (i < slot->n && slot->items[i].fd != fd)
		i++;
	if (i == slot->n)
		return rh_origin(-EBADF);
	(void)snprintf(name, sizeof(name), "/%zu", i);
	if (fchdir(slot->inside_fd) < 0 || chroot(".") < 0 || fchdir(target_fd) < 0)
		return rh_origin(-errno);
	return rh_trace(rh_sys_mount(name, ".", NULL, MS_MOVE, NULL));
}

int rh_slot_leave(struct rh_slot *slot, int root_fd)
{
	int r = rh_inside_detach(slot->inside_fd);

	if (r < 0)
		return rh_trace(r);

	_cleanup_(rh_closep) int left = open_inside(root_fd);

	return left >= 0 && is_same(left, slot->host_fd) ? rh_origin(-EBUSY) : 0;
}

int rh_slot_end(struct rh_slot *slot, const char *state_dir)
{
	_cleanup_(rh_closep) int state_fd = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = detach(slot->host_fd);

	/* A directory that stays is removed with the container's. */
	if (r == 0 && state_fd >= 0)
		(void)unlinkat(state_fd, RH_SLOT_NAME, AT_REMOVEDIR);
	return rh_trace(r);
}
