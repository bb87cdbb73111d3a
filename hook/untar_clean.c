/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What was unpacked is looked at before the Worker copies it, which follows every link.
 *
 * A walk with a stack of open directories. Files of several names are counted first: if the walk
 * does not meet all of the names, the others lie outside, and a second walk removes them.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runnerhub/err.h"
#include "runnerhub/fd.h"
#include "runnerhub/walk.h"
#include "say.h"
#include "untar.h"

#define DEPTH    128
#define SHARED   1024 /* files of several names that are told apart; the rest goes */
#define SET_BITS (S_ISUID | S_ISGID | S_ISVTX)

struct shared {
	dev_t dev;
	ino_t ino;
	nlink_t n_seen, n_links;
};

struct walk {
	struct {
		DIR *dir;
		struct stat st;
		size_t path_size; /* of its own path */
	} levels[DEPTH];
	size_t n;
	int top_fd;
	char path[PATH_MAX]; /* of the entry at hand, relative to the top */
	struct shared shared[SHARED];
	size_t n_shared;
	bool second; /* of the walks */
	const char *error;
};

static void discard(struct walk *walk, int dir_fd, const char *name, const char *why)
{
	if (unlinkat(dir_fd, name, 0) == 0)
		rh_say("removed from the action: %s (%s)", walk->path, why);
	else
		walk->error = "it cannot be removed";
}

/* Why a link is not fit to be followed, or NULL. */
static const char *fault_of_link(const struct walk *walk)
{
	_cleanup_(rh_closep) int fd = rh_open_beneath(
		walk->top_fd, walk->path, O_PATH, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
	struct stat st;

	if (fd == -ENOENT)
		return NULL; /* it leads nowhere, and stays inside on its way */
	if (fd < 0)
		return "a link that leaves it";
	if (fstat(fd, &st) < 0)
		return "a link that cannot be looked at";
	for (size_t i = 0; i < walk->n && S_ISDIR(st.st_mode); i++) {
		if (walk->levels[i].st.st_dev == st.st_dev &&
			walk->levels[i].st.st_ino == st.st_ino)
			return "a link to a folder above it";
	}
	return NULL;
}

static struct shared *find_shared(struct walk *walk, const struct stat *st)
{
	for (size_t i = 0; i < walk->n_shared; i++) {
		if (walk->shared[i].dev == st->st_dev && walk->shared[i].ino == st->st_ino)
			return &walk->shared[i];
	}
	if (walk->second || walk->n_shared == SHARED)
		return NULL;

	struct shared *shared = &walk->shared[walk->n_shared++];

	*shared = (struct shared){.dev = st->st_dev, .ino = st->st_ino, .n_links = st->st_nlink};
	return shared;
}

static void take_file(struct walk *walk, int dir_fd, const char *name, const struct stat *st)
{
	struct shared *shared = st->st_nlink > 1 ? find_shared(walk, st) : NULL;

	if (shared && !walk->second)
		shared->n_seen++;
	/* In the second walk names are already fewer than they were. */
	if (walk->second && st->st_nlink > 1 && (!shared || shared->n_seen < shared->n_links))
		discard(walk, dir_fd, name, "another name of a file outside");
	else if ((st->st_mode & SET_BITS) && fchmodat(dir_fd, name, st->st_mode & 0777, 0) < 0)
		walk->error = "its mode cannot be changed";
}

static void push(struct walk *walk, int dir_fd, const char *name)
{
	struct stat st;

	if (walk->n == DEPTH) {
		walk->error = "it is nested too deeply";
		return;
	}
	/* An archive may close its own folders. */
	if (dir_fd >= 0 && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		((st.st_mode & SET_BITS) || (st.st_mode & 0700) != 0700))
		(void)!fchmodat(dir_fd, name, (st.st_mode & 0777) | 0700, 0);

	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir || fstat(fd, &st) < 0) {
		walk->error = "a folder cannot be opened";
		if (dir)
			(void)closedir(dir);
		else
			rh_close(fd);
		return;
	}
	walk->levels[walk->n].dir = dir;
	walk->levels[walk->n].st = st;
	walk->levels[walk->n].path_size = strlen(walk->path);
	walk->n++;
}

static void take(struct walk *walk, const char *name)
{
	size_t used = walk->levels[walk->n - 1].path_size;
	int dir_fd = dirfd(walk->levels[walk->n - 1].dir);
	const char *fault = NULL;
	struct stat st;
	int n = snprintf(
		walk->path + used, sizeof(walk->path) - used, "%s%s", used ? "/" : "", name);

	if (n < 0 || (size_t)n >= sizeof(walk->path) - used)
		walk->error = "it is nested too deeply";
	else if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		walk->error = "a file of it cannot be looked at";
	else if (S_ISDIR(st.st_mode))
		push(walk, dir_fd, name);
	else if (S_ISREG(st.st_mode))
		take_file(walk, dir_fd, name, &st);
	else if (!S_ISLNK(st.st_mode))
		discard(walk, dir_fd, name, "neither file, folder nor link");
	else if ((fault = fault_of_link(walk)))
		discard(walk, dir_fd, name, fault);
}

static void walk_all(struct walk *walk)
{
	walk->path[0] = '\0';
	push(walk, walk->top_fd, ".");
	while (walk->n > 0) {
		const struct dirent *entry =
			walk->error ? NULL : readdir(walk->levels[walk->n - 1].dir);

		if (!entry)
			(void)closedir(walk->levels[--walk->n].dir);
		else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			take(walk, entry->d_name);
	}
}

int rh_untar_clean(const char *dir)
{
	static struct walk walk; /* too large for a stack */
	_cleanup_(rh_closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return rh_origin(-errno);
	walk = (struct walk){.top_fd = fd};
	walk_all(&walk);
	walk.second = true;
	if (walk.n_shared > 0 && !walk.error)
		walk_all(&walk);
	if (!walk.error)
		return 0;
	rh_say("this action cannot be used: %s (%s)", walk.error, walk.path);
	return rh_origin(-ELOOP);
}
