/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Deleting what was unpacked. The Worker deletes by paths and in text: what has a name of other
 * bytes, or lies deeper than a path can be long, it could never delete, and no job of its runner
 * would start again.
 *
 * A directory in a directory is moved to the top and then emptied like any other, so that two
 * descriptors do for every depth.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runnerhub/err.h"
#include "runnerhub/fd.h"
#include "untar.h"

struct emptying {
	DIR *top;
	uint64_t n_done; /* removed or moved; a round without any is the last */
	uint64_t serial; /* of the name that a moved directory gets */
	int error;
};

/* Consumes a descriptor that was opened with O_PATH, or an error. */
static int open_for_real(int path_fd)
{
	_cleanup_(rh_closep) int fd = path_fd;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return rh_origin(-errno);
	/* An archive may close its own folders. */
	if ((st.st_mode & RH_UNTAR_SET_BITS) || (st.st_mode & 0700) != 0700) {
		char self[64];

		/* A descriptor of this kind has a mode by this name only. */
		(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		if (chmod(self, (st.st_mode & 0777) | 0700) < 0)
			return rh_origin(-errno);
	}

	int r = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return r < 0 ? rh_origin(-errno) : r;
}

int rh_untar_enter(int dir_fd, const char *name)
{
	return rh_trace(
		open_for_real(openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)));
}

int rh_untar_open(const char *dir)
{
	/* An archive may close the top, too, and then "." cannot be looked up in it. */
	const char *path = strcmp(dir, ".") == 0 ? "/proc/self/cwd" : dir;

	return rh_trace(open_for_real(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)));
}

/* To a name at the top that nothing has; an empty directory of that name is replaced. */
static int move_up(struct emptying *e, int dir_fd, const char *name)
{
	int fd = rh_untar_enter(dir_fd, name); /* what is moved must be writable */
	char fresh[32];

	if (fd < 0)
		return rh_trace(fd);
	rh_close(fd);
	for (;;) {
		(void)snprintf(fresh, sizeof(fresh), "moved-%llu", (unsigned long long)e->serial++);
		if (renameat(dir_fd, name, dirfd(e->top), fresh) == 0)
			return 0;
		if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR)
			return rh_origin(-errno);
	}
}

static int remove_simple(int dir_fd, const char *name)
{
	if (unlinkat(dir_fd, name, 0) == 0 || unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	return rh_origin(-errno);
}

static bool is_self(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
}

/* What is in a directory at the top goes, or comes to the top. */
static int hollow(struct emptying *e, const char *name)
{
	int fd = rh_untar_enter(dirfd(e->top), name);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int r = fd < 0 ? fd : dir ? 0 : -errno;

	if (!dir) {
		rh_close(fd);
		return rh_trace(r);
	}
	for (const struct dirent *entry = NULL; (entry = readdir(dir));) {
		if (is_self(entry))
			continue;

		int one = remove_simple(fd, entry->d_name);

		if (one < 0)
			one = move_up(e, fd, entry->d_name);
		if (one < 0)
			r = one;
		else
			e->n_done++;
	}
	(void)closedir(dir);
	return rh_trace(r);
}

static void take(struct emptying *e, const char *name)
{
	int r = remove_simple(dirfd(e->top), name);

	if (r < 0) {
		int inside = hollow(e, name);

		r = remove_simple(dirfd(e->top), name);
		if (r < 0)
			e->error = inside < 0 ? inside : r;
	}
	if (r == 0)
		e->n_done++;
}

int rh_untar_empty(const char *dir)
{
	struct emptying e = {.top = NULL};
	uint64_t before = 0;
	bool left = true;
	int fd = rh_untar_open(dir);

	if (fd < 0)
		return rh_trace(fd);
	e.top = fdopendir(fd);
	if (!e.top) {
		int error = errno;

		rh_close(fd);
		return rh_origin(-error);
	}
	/* What readdir(3) gives of names that come and go meanwhile is open: it is asked again. */
	do {
		before = e.n_done;
		left = false;
		rewinddir(e.top);
		for (const struct dirent *entry = NULL; (entry = readdir(e.top));) {
			if (is_self(entry))
				continue;
			left = true;
			take(&e, entry->d_name);
		}
	} while (left && e.n_done > before);
	(void)closedir(e.top);
	return left ? rh_origin(e.error < 0 ? e.error : -EIO) : 0;
}
