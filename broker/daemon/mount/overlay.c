/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The tool cache as an overlay.
 *
 * An overlay cannot be id-mapped, its lower layer can: container root then has with the host's copy
 * the rights of the runner and no others, and what it changes is copied up as its own. The layers
 * are named through /proc/self/fd, so no path is walked twice and nothing needs quoting. It is not
 * made "volatile", though it is thrown away: that waits for the disk when it is mounted (10 ms).
 */

#include "broker/daemon/mount/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/mount/kernel.h"
#include "broker/daemon/mount/tree.h"
#include "runnerhub/cleanup.h"

struct layers {
	int dir_fd; /* RH_OVERLAY_DIR */
	int upper_fd;
	int work_fd;
};

static void close_layers(struct layers *layers)
{
	rh_close(layers->dir_fd);
	rh_close(layers->upper_fd);
	rh_close(layers->work_fd);
}

static int make_dir(int dir_fd, const char *name, mode_t mode)
{
	if (mkdirat(dir_fd, name, mode) < 0)
		return rh_origin(-errno);

	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? rh_origin(-errno) : fd;
}

int rh_overlay_make_dirs(int state_fd, const char *name)
{
	_cleanup_(rh_closep) int fd = make_dir(state_fd, name, 0700);

	if (fd < 0)
		return rh_trace(fd);
	if (mkdirat(fd, "upper", 0755) < 0 || mkdirat(fd, "work", 0700) < 0)
		return rh_origin(-errno);
	return 0;
}

static int open_dir(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? rh_origin(-errno) : fd;
}

/* Takes the directories that were made with the container; else, or for another try, new ones. */
static int take_dirs(int state_fd)
{
	struct rh_tree_count count = {0};
	int r = rh_sys_rename(
		state_fd, RH_OVERLAY_SPARE, state_fd, RH_OVERLAY_DIR, RENAME_NOREPLACE);

	if (r == 0)
		return 0;
	r = rh_tree_delete(state_fd, RH_OVERLAY_DIR, &count);
	return r < 0 ? rh_trace(r) : rh_trace(rh_overlay_make_dirs(state_fd, RH_OVERLAY_DIR));
}

/*
 * The root of an overlay looks like its upper directory: that gets the lower one's mode. @layers is
 * its owner's to close, also on failure.
 */
static int make_layers(const struct rh_overlay *overlay, struct layers *layers)
{
	struct stat lower;
	int r = take_dirs(overlay->state_fd);

	if (r < 0)
		return rh_trace(r);
	layers->dir_fd = open_dir(overlay->state_fd, RH_OVERLAY_DIR);
	if (layers->dir_fd < 0)
		return rh_trace(layers->dir_fd);
	layers->upper_fd = open_dir(layers->dir_fd, "upper");
	layers->work_fd = open_dir(layers->dir_fd, "work");
	if (layers->upper_fd < 0 || layers->work_fd < 0)
		return rh_trace(layers->upper_fd < 0 ? layers->upper_fd : layers->work_fd);
	if (fstat(overlay->lower_fd, &lower) < 0 ||
		fchown(layers->upper_fd, overlay->uid, overlay->gid) < 0 ||
		fchmod(layers->upper_fd, lower.st_mode & 01777) < 0)
		return rh_origin(-errno);
	return 0;
}

static int set_layer(int fs_fd, const char *key, int layer_fd)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", layer_fd);
	return rh_sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, key, path);
}

/* By mount(2), before Linux 5.2. Options that an old kernel does not know fail the whole. */
static int create_in_slot(struct rh_slot *slot, const struct layers *layers, int lower_fd)
{
	static const char *const more[] = {",redirect_dir=on", ""};
	int r = -EINVAL;

	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]) && r == -EINVAL; i++) {
		char options[192];

		(void)snprintf(options, sizeof(options),
			"lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d,"
			"workdir=/proc/self/fd/%d%s",
			lower_fd, layers->upper_fd, layers->work_fd, more[i]);
		r = rh_slot_add_overlay(slot, options);
	}
	return rh_trace(r);
}

static int create(const struct layers *layers, int lower_fd)
{
	_cleanup_(rh_closep) int fs_fd = rh_sys_fsopen("overlay");
	int r = fs_fd < 0 ? fs_fd : set_layer(fs_fd, "lowerdir", lower_fd);

	if (r == 0)
		r = set_layer(fs_fd, "upperdir", layers->upper_fd);
	if (r == 0)
		r = set_layer(fs_fd, "workdir", layers->work_fd);
	if (r < 0)
		return rh_trace(r);
	/* Directories of the host's copy can be renamed, as they can on a runner. */
	(void)rh_sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, "redirect_dir", "on");
	r = rh_sys_fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL);
	if (r < 0)
		return rh_trace(r);
	return rh_trace(rh_sys_fsmount(fs_fd, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
}

/*
 * In a private copy of the namespace, with the layers' directory as working directory, which moved
 * along: layers must be of the namespace in which the overlay is made, so they are opened anew.
 */
static int attach_and_create(int lower_fd)
{
	const struct mount_attr private = {.propagation = MS_PRIVATE};
	int r = rh_sys_result(
		syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof(private)));

	if (r < 0)
		return rh_trace(r);

	_cleanup_(rh_closep) int target_fd = make_dir(AT_FDCWD, "lower", 0700);

	if (target_fd < 0)
		return rh_trace(target_fd);
	r = rh_sys_move_mount(lower_fd, target_fd);
	if (r < 0)
		return rh_trace(r);

	_cleanup_(close_layers) struct layers layers = {
		.dir_fd = -1,
		.upper_fd = open_dir(AT_FDCWD, "upper"),
		.work_fd = open_dir(AT_FDCWD, "work"),
	};

	if (layers.upper_fd < 0 || layers.work_fd < 0)
		return rh_trace(layers.upper_fd < 0 ? layers.upper_fd : layers.work_fd);
	return rh_trace(create(&layers, lower_fd));
}

/* The copy of the namespace, and what was mounted in it, is gone when we are home again. */
static int create_attached(const struct rh_home *home, int dir_fd, int lower_fd)
{
	int fd = -1;

	if (fchdir(dir_fd) < 0 || unshare(CLONE_NEWNS) < 0)
		fd = -errno;
	else
		fd = attach_and_create(lower_fd);
	if (rh_home_return(home) < 0)
		_exit(1); /* in a strange namespace nothing else may be done */
	return rh_trace(fd);
}

int rh_overlay_try(const struct rh_overlay *overlay, enum rh_overlay_lower how)
{
	_cleanup_(close_layers) struct layers layers = {-1, -1, -1};
	int r = make_layers(overlay, &layers);

	if (r < 0)
		return rh_trace(r);

	if (overlay->slot)
		return rh_trace(create_in_slot(overlay->slot, &layers, overlay->lower_fd));

	_cleanup_(rh_closep) int lower_fd = rh_source_clone(
		overlay->lower_fd, how == RH_OVERLAY_PLAIN ? -1 : overlay->userns_fd, true);

	if (how == RH_OVERLAY_PLAIN)
		return rh_trace(create(&layers, overlay->lower_fd));
	if (lower_fd < 0)
		return rh_trace(lower_fd);
	if (how == RH_OVERLAY_DETACHED)
		return rh_trace(create(&layers, lower_fd));
	return rh_trace(create_attached(overlay->home, layers.dir_fd, lower_fd));
}

int rh_overlay_make(const struct rh_overlay *overlay)
{
	static const enum rh_overlay_lower ways[] = {
		RH_OVERLAY_DETACHED, RH_OVERLAY_ATTACHED, RH_OVERLAY_PLAIN};
	size_t first = overlay->userns_fd >= 0 ? 0 : 2;
	int r = 0;

	for (size_t i = first; i < sizeof(ways) / sizeof(ways[0]); i++) {
		r = rh_overlay_try(overlay, ways[i]);
		if (r != -EINVAL && r != -EOPNOTSUPP)
			break;
	}
	return rh_trace(r);
}
