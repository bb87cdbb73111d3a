/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Deleting trees that somebody hostile built.
 *
 * A walk with a stack of at most DEPTH open directories. A directory that lies deeper is renamed up
 * into the top of the tree and comes around again there, so a chain of a million directories needs
 * no more than a flat one. Directories are opened with RESOLVE_NO_XDEV: st_dev cannot tell a bind
 * mount of the same file system.
 *
 * A directory is read again while a pass over it still removes something, because readdir(3) may
 * skip entries when others are deleted; a pass that removes nothing gives it up.
 */

#include "broker/daemon/mount/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/mount/kernel.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"
#include "runnerhub/id.h"
#include "runnerhub/weaken.h"

#define DEPTH          24
#define PASSES_MAX     64
#define PROGRESS_EVERY 512

struct level {
	DIR *dir;
	char name[NAME_MAX + 1];
	unsigned passes;
	uint64_t n_removed; /* in this pass */
};

struct walk {
	struct level levels[DEPTH];
	size_t n;
	struct rh_tree_count *count;
	int first_error;
	bool stopped;
};

static void note_error(struct walk *walk, int r)
{
	if (walk->first_error == 0)
		walk->first_error = r;
}

int rh_tree_unlock(int dir_fd, const char *name)
{
	char path[64];
	struct stat st;
	int flags = 0;

	/* By way of O_PATH, so that nothing but a file or directory is ever really opened. */
	_cleanup_(rh_closep) int path_fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (path_fd < 0 || fstat(path_fd, &st) < 0)
		return rh_origin(-errno);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return rh_origin(-EPERM);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);

	_cleanup_(rh_closep) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return rh_origin(-errno);
	if (!(flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)))
		return rh_origin(-EPERM);
	flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
	return ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ? rh_origin(-errno) : 0;
}

/* unlinkat(2), after taking off what forbids it: flags of the entry or of its directory. */
static int remove_entry(int dir_fd, const char *name, int flags)
{
	if (unlinkat(dir_fd, name, flags) == 0)
		return 0;
	if (errno != EPERM)
		return rh_origin(-errno);

	int on_entry = rh_tree_unlock(dir_fd, name);
	int on_dir = rh_tree_unlock(dir_fd, ".");

	if (on_entry < 0 && on_dir < 0)
		return rh_origin(-EPERM);
	return unlinkat(dir_fd, name, flags) < 0 ? rh_origin(-errno) : 0;
}

static int open_dir(int dir_fd, const char *name)
{
	return rh_sys_openat2(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK,
		RH_BENEATH | RESOLVE_NO_XDEV);
}

/* Consumes @fd. */
static int push(struct walk *walk, int fd, const char *name)
{
	struct level *level = &walk->levels[walk->n];

	*level = (struct level){.dir = fdopendir(fd)};
	if (!level->dir) {
		int r = -errno;

		(void)close(fd);
		return rh_origin(r);
	}
	(void)snprintf(level->name, sizeof(level->name), "%s", name);
	walk->n++;
	return 0;
}

/* Too deep: the directory goes on as a child of the top. */
static int lift(struct walk *walk, int dir_fd, const char *name)
{
	char to[RH_ID_TEXT_SIZE];
	struct rh_id id;
	int r = rh_id_new(&id);

	if (r == 0) {
		rh_id_format(&id, to);
		r = rh_sys_rename(dir_fd, name, dirfd(walk->levels[0].dir), to, RENAME_NOREPLACE);
	}
	if (r == -EPERM && (rh_tree_unlock(dir_fd, name) == 0 || rh_tree_unlock(dir_fd, ".") == 0))
		r = rh_sys_rename(dir_fd, name, dirfd(walk->levels[0].dir), to, RENAME_NOREPLACE);
	if (r == 0)
		walk->levels[0].n_removed++; /* so that the top is read again */
	return rh_trace(r);
}

static void tell_progress(struct walk *walk)
{
	struct rh_tree_count *count = walk->count;

	if (++count->n_seen % PROGRESS_EVERY != 0 || !count->on_progress)
		return;

	int r = count->on_progress(count->arg, count);

	if (r < 0) {
		note_error(walk, r);
		walk->stopped = true;
	}
}

/* Return: 0: removed or entered; negative errno: it stays. */
static int take_dir(struct walk *walk, int dir_fd, const char *name)
{
	if (walk->n == DEPTH && rh_weakened("deep-trees"))
		return rh_origin(-ELOOP);
	if (walk->n == DEPTH)
		return rh_trace(lift(walk, dir_fd, name));

	int fd = open_dir(dir_fd, name);

	return fd < 0 ? rh_trace(fd) : rh_trace(push(walk, fd, name));
}

static int take_file(struct walk *walk, int dir_fd, const char *name, const struct stat *st)
{
	int r = remove_entry(dir_fd, name, 0);

	if (r == 0) {
		walk->count->n_files++;
		if (st->st_nlink <= 1)
			walk->count->bytes += (uint64_t)st->st_blocks * 512;
	}
	return rh_trace(r);
}

static void take_entry(struct walk *walk, const char *name)
{
	struct level *level = &walk->levels[walk->n - 1];
	int dir_fd = dirfd(level->dir);
	struct stat st;
	int r = 0;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	tell_progress(walk);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	else if (S_ISDIR(st.st_mode))
		r = take_dir(walk, dir_fd, name);
	else if ((r = take_file(walk, dir_fd, name, &st)) == 0)
		level->n_removed++;
	if (r < 0 && r != -ENOENT)
		note_error(walk, r);
}

/* The directory on top of the stack was read to its end: read it again, or leave it. */
static void finish_level(struct walk *walk)
{
	struct level *level = &walk->levels[walk->n - 1];
	struct level *parent = walk->n > 1 ? level - 1 : NULL;
	bool again = level->n_removed > 0 && (++level->passes < PASSES_MAX || !parent);

	if (parent && !walk->stopped) {
		int r = remove_entry(dirfd(parent->dir), level->name, AT_REMOVEDIR);

		if (r == 0) {
			parent->n_removed++;
			again = false;
		} else if (!again) {
			note_error(walk, r);
		}
	}
	if (again && !walk->stopped) {
		level->n_removed = 0;
		rewinddir(level->dir);
		return;
	}
	(void)closedir(level->dir);
	walk->n--;
}

static int walk_all(int fd, struct rh_tree_count *count)
{
	struct walk walk = {.count = count};
	int r = push(&walk, fd, "");

	if (r < 0)
		return rh_trace(r);
	while (walk.n > 0) {
		errno = 0;

		const struct dirent *entry =
			walk.stopped ? NULL : readdir(walk.levels[walk.n - 1].dir);

		if (entry) {
			take_entry(&walk, entry->d_name);
			continue;
		}
		if (errno != 0)
			note_error(&walk, -errno);
		finish_level(&walk);
	}
	return rh_trace(walk.first_error);
}

int rh_tree_empty(int dir_fd, struct rh_tree_count *count)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? rh_origin(-errno) : rh_trace(walk_all(fd, count));
}

int rh_tree_delete(int dir_fd, const char *name, struct rh_tree_count *count)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : rh_origin(-errno);
	if (!S_ISDIR(st.st_mode)) {
		struct walk walk = {.count = count};

		return rh_trace(take_file(&walk, dir_fd, name, &st));
	}

	int fd = open_dir(dir_fd, name);
	int walked = fd < 0 ? fd : walk_all(fd, count);
	int r = remove_entry(dir_fd, name, AT_REMOVEDIR);

	/* Why something in it stayed says more than that it is not empty. */
	return r < 0 && walked < 0 ? rh_trace(walked) : rh_trace(r);
}
