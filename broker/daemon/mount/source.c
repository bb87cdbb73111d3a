/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Host directories as detached mounts.
 *
 * A clone is made private before anything happens to it: the mount that it is a copy of is shared
 * on most hosts, and what is mounted on a peer later would appear on the host too.
 */

#include "broker/daemon/mount/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/mount/kernel.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/weaken.h"

int rh_source_clone(int fd, int userns_fd, bool read_only)
{
	_cleanup_(rh_closep) int mount_fd =
		rh_sys_open_tree(fd, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	const struct mount_attr flags = {
		.attr_set =
			MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (read_only ? MOUNT_ATTR_RDONLY : 0),
		.propagation = MS_PRIVATE,
	};

	if (mount_fd < 0)
		return rh_trace(mount_fd);

	int r = rh_sys_mount_setattr(mount_fd, 0, &flags);

	if (r == 0 && userns_fd >= 0) {
		const struct mount_attr map = {
			.attr_set = MOUNT_ATTR_IDMAP,
			.userns_fd = (uint64_t)userns_fd,
		};

		r = rh_sys_mount_setattr(mount_fd, 0, &map);
		/* What the kernel says of a file system that cannot, and where it is mapped
		 * already. */
		if (r == -EINVAL || r == -EPERM)
			r = -EOPNOTSUPP;
	}
	if (r == -ENOSYS) /* Linux before 5.12 */
		r = -EOPNOTSUPP;
	return r < 0 ? rh_origin(r) : rh_steal_fd(&mount_fd);
}

int rh_source_mount(const struct rh_source_set *set, int fd, bool read_only)
{
	if (set->slot)
		return rh_trace(rh_slot_add(set->slot, fd, read_only));
	return rh_trace(rh_source_clone(fd, set->userns_fd, read_only));
}

static int open_entry(const struct rh_source_set *set, const struct rh_plan_entry *entry)
{
	if (entry->create)
		return rh_trace(rh_ledger_ensure(set->ledger, entry->source));
	return rh_sys_openat2(entry->base == RH_PLAN_WORK ? set->ledger->work_fd : set->root_fd,
		entry->source, O_PATH | O_DIRECTORY | O_NOFOLLOW, RH_BENEATH);
}

int rh_source_open(
	const struct rh_source_set *set, const struct rh_plan_entry *entry, struct rh_err *err)
{
	const char *base = entry->base == RH_PLAN_WORK ? set->ledger->work : set->root;
	_cleanup_(rh_closep) int fd = open_entry(set, entry);

	if (fd == -ENOENT && !entry->create)
		return rh_origin(-ENOENT);
	if (fd == -ELOOP || fd == -ENOTDIR)
		return rh_err_set(err, fd,
			"%.200s/%.200s: something that is no directory, or a link, is in its "
			"place; "
			"remove it",
			base, entry->source);
	if (fd < 0)
		return rh_err_set(err, fd, "%.200s/%.200s: %s", base, entry->source, strerror(-fd));

	bool read_only = entry->read_only &&
		!(entry->base == RH_PLAN_WORK && rh_weakened("read-only-actions"));
	int r = rh_source_mount(set, fd, read_only);

	if (r == -EOPNOTSUPP && entry->map_optional)
		r = rh_source_clone(fd, -1, read_only);
	if (r == -EOPNOTSUPP)
		return rh_err_set(err, r,
			"the file system of %.200s/%.150s has no id-mapped mounts; set 'user: "
			"runner' "
			"in the profile, or move the work directory",
			base, entry->source);
	if (r < 0)
		return rh_err_set(err, r, "cannot clone %.200s/%.200s: %s", base, entry->source,
			strerror(-r));
	return r;
}

/* Is the directory part of an absolute link the runner's root, by whatever name? */
static bool is_same_dir(int root_fd, const char *path)
{
	struct stat root;
	struct stat other;

	return fstat(root_fd, &root) == 0 && stat(path[0] ? path : "/", &other) == 0 &&
		root.st_dev == other.st_dev && root.st_ino == other.st_ino;
}

int rh_source_real_name(int root_fd, const char *known_as, char ret_name[NAME_MAX + 1])
{
	size_t length = strlen(known_as);
	char link[PATH_MAX];
	ssize_t n = readlinkat(root_fd, known_as, link, sizeof(link) - 1);
	const char *name = link;

	if (n < 0 && errno != EINVAL)
		return rh_origin(-errno);
	if (n < 0) { /* it is no link */
		(void)snprintf(ret_name, NAME_MAX + 1, "%s", known_as);
		return 0;
	}
	link[n] = '\0';
	if (link[0] == '/') {
		char *slash = strrchr(link, '/');

		*slash = '\0';
		if (!is_same_dir(root_fd, link))
			return rh_origin(-ELOOP);
		name = slash + 1;
	}
	if (!rh_plan_is_name(name) || strncmp(name, known_as, length) != 0 || name[length] != '.')
		return rh_origin(-ELOOP);
	memcpy(ret_name, name, strlen(name) + 1);
	return 0;
}
