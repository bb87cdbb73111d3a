/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The calls of a late mount, tried. A child does it in a mount namespace of its own, which goes
 * with it; nobody else sees these mounts. It uses the broker's own functions, so what works here
 * works there.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#include "broker/cli/doctor/doctor.h"
#include "broker/daemon/mount/idmap.h"
#include "broker/daemon/mount/kernel.h"
#include "broker/daemon/mount/slot.h"
#include "broker/daemon/mount/source.h"
#include "runnerhub/fd.h"

/* statfs(2) and <sys/statvfs.h> of later C libraries. */
#ifndef ST_NOSYMFOLLOW
#define ST_NOSYMFOLLOW 0x2000
#endif

/* Any ids will do. */
#define PROBE_ID   1000
#define PROBE_BASE 0x70000000

static void try_id_map(int dir_fd, struct rh_probe *probe)
{
	const struct rh_idmap_key key = {
		.runner_uid = PROBE_ID, .runner_gid = PROBE_ID, .base = PROBE_BASE};
	struct rh_idmaps maps = {0};
	struct rh_err err = {0};
	int userns_fd = -1;

	probe->user_namespace = rh_idmaps_get(&maps, &key, &userns_fd, &err);
	probe->id_map = probe->move = probe->user_namespace;
	if (probe->user_namespace < 0)
		return;

	_cleanup_(rh_closep) int mount_fd = rh_source_clone(dir_fd, userns_fd, false);

	probe->id_map = probe->move = mount_fd < 0 ? mount_fd : 0;
	if (mount_fd >= 0)
		probe->move = rh_sys_move_mount(mount_fd, dir_fd);
	rh_idmaps_deinit(&maps);
}

/* As before Linux 5.12: the directory over itself, by mount(2). */
static int try_no_symlinks(const char *dir)
{
	struct statfs fs;
	int r = rh_sys_mount(dir, dir, NULL, MS_BIND, NULL);

	if (r == 0)
		r = rh_sys_mount(NULL, dir, NULL, MS_REMOUNT | MS_BIND | MS_NOSYMFOLLOW, NULL);
	if (r < 0)
		return rh_trace(r);
	/* Before 5.10 the flag does nothing. */
	return statfs(dir, &fs) == 0 && ((uint64_t)fs.f_flags & ST_NOSYMFOLLOW)
		? 0
		: rh_origin(-EINVAL);
}

/* Layers in a tmpfs that goes with the namespace. */
static int try_overlay(const char *dir)
{
	int r = rh_sys_mount("probe", dir, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k");

	if (r < 0)
		return rh_trace(r);
	if (chdir(dir) < 0 || mkdir("lower", 0700) < 0 || mkdir("upper", 0700) < 0 ||
		mkdir("work", 0700) < 0)
		return rh_origin(-errno);
	return rh_trace(rh_sys_mount("overlay", "lower", "overlay", MS_NOSUID | MS_NODEV,
		"lowerdir=lower,upperdir=upper,workdir=work"));
}

static void try_slots(const char *dir, struct rh_probe *probe)
{
	probe->no_symlinks = try_no_symlinks(dir);
	probe->overlay = try_overlay(dir);
}

static void try_detached(int dir_fd, struct rh_probe *probe)
{
	const struct mount_attr no_symlinks = {.attr_set = MOUNT_ATTR_NOSYMFOLLOW};
	_cleanup_(rh_closep) int clone_fd =
		rh_sys_open_tree(dir_fd, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	probe->clone = probe->no_symlinks = clone_fd < 0 ? clone_fd : 0;
	if (clone_fd >= 0)
		probe->no_symlinks = rh_sys_mount_setattr(clone_fd, 0, &no_symlinks);
	try_id_map(dir_fd, probe);

	_cleanup_(rh_closep) int fs_fd = rh_sys_fsopen("overlay");

	probe->overlay = fs_fd < 0 ? fs_fd : 0;
}

static void try_all(const char *dir, struct rh_probe *probe)
{
	int r = unshare(CLONE_NEWNS) < 0 ? -errno : 0;

	if (r == 0)
		r = rh_sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);

	/* Opened before, it would be of the old namespace, where nothing may be mounted. */
	_cleanup_(rh_closep) int dir_fd = r < 0 ? -1 : open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (r == 0 && dir_fd < 0)
		r = -errno;
	*probe = (struct rh_probe){r, r, r, r, r, r, .slots = rh_slot_is_needed()};
	if (r == 0 && probe->slots)
		try_slots(dir, probe);
	else if (r == 0)
		try_detached(dir_fd, probe);
}

int rh_probe_run(const char *dir, struct rh_probe *ret_probe)
{
	int ends[2] = {-1, -1};
	struct rh_probe probe;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return rh_origin(-errno);

	pid_t pid = fork();

	if (pid == 0) {
		try_all(dir, &probe);
		_exit(rh_write_all(ends[1], &probe, sizeof(probe)) < 0);
	}
	(void)close(ends[1]);

	/* A pipe gives so few bytes at once or not at all (pipe(7)). */
	ssize_t n = pid < 0 ? -1 : read(ends[0], &probe, sizeof(probe));

	(void)close(ends[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	if (n != (ssize_t)sizeof(probe))
		return rh_origin(-EIO);
	*ret_probe = probe;
	return 0;
}
