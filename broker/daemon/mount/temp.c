/* SPDX-License-Identifier: Apache-2.0 */

/*
 * _temp: leftovers before a job, foreign owners after it. Both are bounded in time, because other
 * jobs wait for the same helper.
 */

#include "broker/daemon/mount/temp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/mount/idmap.h"
#include "broker/daemon/mount/kernel.h"
#include "broker/daemon/mount/tree.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"

#define DEPTH 24

static void close_dirp(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

static DIR *open_dir_at(int dir_fd, const char *name)
{
	int fd = rh_sys_openat2(
		dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RH_BENEATH | RESOLVE_NO_XDEV);

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}

	DIR *dir = fdopendir(fd);

	if (!dir)
		rh_close(fd);
	return dir;
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool is_foreign(const struct stat *st, uint32_t base)
{
	return rh_idmap_in_range(base, st->st_uid) || rh_idmap_in_range(base, st->st_gid);
}

static int64_t changed_ms(const struct stat *st)
{
	return (int64_t)st->st_ctim.tv_sec * 1000 + st->st_ctim.tv_nsec / 1000000;
}

/* To the trash; deleted on the spot where _temp is a file system of its own. */
static int discard(const struct rh_ledger *ledger, int dir_fd, const char *name)
{
	struct rh_tree_count count = {0};
	int r = rh_ledger_trash(ledger, dir_fd, name);

	if (r == -EPERM && rh_tree_unlock(dir_fd, name) == 0)
		r = rh_ledger_trash(ledger, dir_fd, name);
	if (r == -EXDEV)
		r = rh_tree_delete(dir_fd, name, &count);
	return r == -ENOENT ? 0 : rh_trace(r);
}

int rh_temp_clear_old(const struct rh_ledger *ledger, int temp_fd, int64_t before_ms,
	uint32_t id_map_base, uint32_t *ret_n)
{
	const int64_t deadline_ms = rh_now_ms() + RH_TEMP_BUDGET_MS;
	_cleanup_(close_dirp) DIR *dir = open_dir_at(temp_fd, ".");
	const struct dirent *entry = NULL;
	uint32_t n = 0;

	if (!dir)
		return rh_origin(-errno);
	while ((entry = readdir(dir))) {
		struct stat st;

		if (is_dot(entry->d_name) ||
			fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (changed_ms(&st) >= before_ms && !is_foreign(&st, id_map_base))
			continue;

		int r = discard(ledger, dirfd(dir), entry->d_name);

		if (r < 0)
			return rh_trace(r);
		n++;
		if (rh_now_ms() > deadline_ms)
			return rh_origin(-ETIMEDOUT);
	}
	*ret_n = n;
	return 0;
}

struct range_walk {
	const struct rh_ledger *ledger;
	uint32_t base;
	int64_t deadline_ms;
	DIR *dirs[DEPTH];
	size_t n;
};

static int look_at(struct range_walk *walk, const char *name)
{
	int dir_fd = dirfd(walk->dirs[walk->n - 1]);
	struct stat st;

	if (is_dot(name) || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	/* What is too deep for the walk is too deep for the Worker's own files too. */
	if (is_foreign(&st, walk->base) || (S_ISDIR(st.st_mode) && walk->n == DEPTH))
		return rh_trace(discard(walk->ledger, dir_fd, name));
	if (!S_ISDIR(st.st_mode))
		return 0;

	DIR *dir = open_dir_at(dir_fd, name);

	if (dir)
		walk->dirs[walk->n++] = dir;
	return 0; /* what cannot be entered is a mount, or went away */
}

int rh_temp_clear_range(const struct rh_ledger *ledger, int temp_fd, uint32_t id_map_base)
{
	struct range_walk walk = {
		.ledger = ledger,
		.base = id_map_base,
		.deadline_ms = rh_now_ms() + RH_TEMP_BUDGET_MS,
		.dirs = {open_dir_at(temp_fd, ".")},
		.n = 1,
	};
	int r = 0;

	if (!walk.dirs[0])
		return rh_origin(-errno);
	while (walk.n > 0) {
		const struct dirent *entry = r < 0 ? NULL : readdir(walk.dirs[walk.n - 1]);

		if (entry) {
			r = look_at(&walk, entry->d_name);
			if (r == 0 && rh_now_ms() > walk.deadline_ms)
				r = rh_origin(-ETIMEDOUT);
			continue;
		}
		(void)closedir(walk.dirs[--walk.n]);
	}
	return rh_trace(r);
}
