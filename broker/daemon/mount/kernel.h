/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The mount calls of Linux 5.2–5.12, as functions that return a descriptor (or 0) or a negative
 * errno. Raw calls, because not every libc has them; for the same reason <linux/mount.h> is used
 * and never <sys/mount.h>, the two cannot be included together. Context: any thread.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "runnerhub/err.h"
#include "runnerhub/walk.h"

#define RH_MNT_DETACH 2 /* umount2(2), MNT_DETACH */

/* How everything in a tree that somebody else can write is opened. */
#define RH_BENEATH (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

static inline int rh_sys_result(long r)
{
	return r < 0 ? rh_origin(-errno) : (int)r;
}

/* openat2(2), or what it does by hand before 5.6; close-on-exec is added. */
static inline int rh_sys_openat2(int dir_fd, const char *path, int flags, uint64_t resolve)
{
	return rh_trace(rh_open_beneath(dir_fd, path, flags, resolve));
}

static inline int rh_sys_open_tree(int dir_fd, unsigned flags)
{
	return rh_sys_result(syscall(SYS_open_tree, dir_fd, "", flags | AT_EMPTY_PATH));
}

/* On the mount that @fd is the root of. */
static inline int rh_sys_mount_setattr(int fd, unsigned flags, const struct mount_attr *attr)
{
	return rh_sys_result(
		syscall(SYS_mount_setattr, fd, "", flags | AT_EMPTY_PATH, attr, sizeof(*attr)));
}

static inline int rh_sys_move_mount(int mount_fd, int target_fd)
{
	return rh_sys_result(syscall(SYS_move_mount, mount_fd, "", target_fd, "",
		MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}

static inline int rh_sys_fsopen(const char *type)
{
	return rh_sys_result(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
}

static inline int rh_sys_fsconfig(int fd, unsigned command, const char *key, const char *value)
{
	return rh_sys_result(syscall(SYS_fsconfig, fd, command, key, value, 0));
}

static inline int rh_sys_fsmount(int fd, unsigned attributes)
{
	return rh_sys_result(syscall(SYS_fsmount, fd, FSMOUNT_CLOEXEC, attributes));
}

/* mount(2), for what has no descriptors. */
static inline int rh_sys_mount(const char *source, const char *target, const char *type,
	unsigned long flags, const char *data)
{
	return rh_sys_result(syscall(SYS_mount, source, target, type, flags, data));
}

static inline int rh_sys_umount(const char *path, int flags)
{
	return rh_sys_result(syscall(SYS_umount2, path, flags));
}

static inline int rh_sys_pidfd_open(pid_t pid)
{
	return rh_sys_result(syscall(SYS_pidfd_open, pid, 0));
}

static inline int rh_sys_pidfd_signal(int pidfd, int signal)
{
	return rh_sys_result(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}

static inline int rh_sys_rename(
	int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return rh_sys_result(syscall(SYS_renameat2, from_fd, from, to_fd, to, flags));
}
