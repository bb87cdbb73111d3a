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
#include <sys/wait.h>

#include "broker/cli/doctor/doctor.h"
#include "broker/daemon/mount/idmap.h"
#include "broker/daemon/mount/kernel.h"
#include "broker/daemon/mount/source.h"
#include "runnerhub/fd.h"

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

static void try_all(const char *dir, struct rh_probe *probe)
{
	const struct mount_attr private = {.propagation = MS_PRIVATE};
	const struct mount_attr no_symlinks = {.attr_set = MOUNT_ATTR_NOSYMFOLLOW};
	_cleanup_(rh_closep) int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = dir_fd < 0 ? -errno : 0;

	if (r == 0 && unshare(CLONE_NEWNS) < 0)
		r = -errno;
	if (r == 0)
		r = rh_sys_result(syscall(
			SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof(private)));
	rh_close(rh_steal_fd(&dir_fd));
	/* Opened before, it would be of the old namespace, where nothing may be mounted. */
	if (r == 0)
		dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*probe = (struct rh_probe){r, r, r, r, r, r};
	if (r < 0)
		return;

	_cleanup_(rh_closep) int clone_fd =
		rh_sys_open_tree(dir_fd, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	probe->clone = probe->no_symlinks = clone_fd < 0 ? clone_fd : 0;
	if (clone_fd >= 0)
		probe->no_symlinks = rh_sys_mount_setattr(clone_fd, 0, &no_symlinks);
	try_id_map(dir_fd, probe);

	_cleanup_(rh_closep) int fs_fd = rh_sys_fsopen("overlay");

	probe->overlay = fs_fd < 0 ? fs_fd : 0;
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
