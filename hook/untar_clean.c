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
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runnerhub/err.h"
#include "runnerhub/fd.h"
#include "runnerhub/utf8.h"
#include "runnerhub/walk.h"
#include "say.h"
#include "untar.h"

#define SHARED   1024 /* files of several names that are told apart; the rest goes */
#define LINES    20 /* that name what was removed; the rest is counted */
#define HEADROOM 512 /* for the folder that the Worker copies to, whose path may be longer */

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
	} levels[RH_UNTAR_DEPTH_MAX];
	size_t n;
	int top_fd;
	size_t room; /* for a path below the top */
	char path[PATH_MAX]; /* of the entry at hand, relative to the top */
	struct shared shared[SHARED];
	size_t n_shared;
	size_t n_discarded;
	bool second; /* of the walks */
	const char *error;
};

/* The path at hand, as one may print it: a name may hold a newline. */
static const char *shown(const struct walk *walk)
{
	static char text[PATH_MAX];
	size_t n = strlen(walk->path);

	for (size_t i = 0; i <= n; i++) {
		bool control = (unsigned char)walk->path[i] < ' ' || walk->path[i] == 0x7f;

		text[i] = (char)(control && i < n ? '?' : walk->path[i]);
	}
	return text;
}

static void discard(struct walk *walk, int dir_fd, const char *name, const char *why)
{
	if (unlinkat(dir_fd, name, 0) < 0)
		walk->error = "it cannot be removed";
	else if (walk->n_discarded++ < LINES)
		rh_say("removed from the action: %s (%s)", shown(walk), why);
}

static bool is_utf8(const char *name)
{
	const unsigned char *p = (const unsigned char *)name;

	for (size_t left = strlen(name), n = 0; left > 0; p += n, left -= n) {
		n = rh_utf8_sequence(p, left);
		if (n == 0)
			return false;
	}
	return true;
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
	else if ((st->st_mode & RH_UNTAR_SET_BITS) &&
		fchmodat(dir_fd, name, st->st_mode & 0777, 0) < 0)
		walk->error = "its mode cannot be changed";
}

static void push(struct walk *walk, int dir_fd, const char *name)
{
	struct stat st;

	if (walk->n == RH_UNTAR_DEPTH_MAX) {
		walk->error = "it is nested too deeply";
		return;
	}

	int fd = rh_untar_enter(dir_fd, name);
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

/* It is the folder that is named: what is in it cannot be shown. */
static void fail_in(struct walk *walk, size_t path_size, const char *error)
{
	walk->path[path_size] = '\0';
	walk->error = error;
}

static void take(struct walk *walk, const char *name)
{
	size_t used = walk->levels[walk->n - 1].path_size;
	int dir_fd = dirfd(walk->levels[walk->n - 1].dir);
	const char *fault = NULL;
	struct stat st;
	int n = snprintf(
		walk->path + used, sizeof(walk->path) - used, "%s%s", used ? "/" : "", name);

	if (n < 0 || used + (size_t)n > walk->room) {
		fail_in(walk, used, "a path in this folder is too long for the runner to delete");
	} else if (!is_utf8(name)) {
		fail_in(walk, used, "a name in this folder is not UTF-8, as the runner's are");
	} else if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		walk->error = "a file of it cannot be looked at";
	} else if (S_ISDIR(st.st_mode)) {
		push(walk, dir_fd, name);
	} else if (S_ISREG(st.st_mode)) {
		take_file(walk, dir_fd, name, &st);
	} else if (!S_ISLNK(st.st_mode)) {
		discard(walk, dir_fd, name, "neither file, folder nor link");
	} else if ((fault = fault_of_link(walk))) {
		discard(walk, dir_fd, name, fault);
	}
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
	static char top[PATH_MAX];
	_cleanup_(rh_closep) int fd = rh_untar_open(dir);

	if (fd < 0 || !realpath(dir, top)) {
		int r = fd < 0 ? fd : -errno;

		rh_say("this action cannot be used: its folder cannot be opened: %s", strerror(-r));
		return rh_trace(r);
	}

	size_t used = strlen(top) + 1 + HEADROOM;

	walk = (struct walk){.top_fd = fd, .room = used < PATH_MAX ? PATH_MAX - used : 0};
	walk_all(&walk);
	walk.second = true;
	if (walk.n_shared > 0 && !walk.error)
		walk_all(&walk);
	if (walk.n_discarded > LINES)
		rh_say("removed from the action: %zu more", walk.n_discarded - LINES);
	if (!walk.error)
		return 0;
	rh_say("this action cannot be used: %s (%s)", walk.error,
		walk.path[0] ? shown(&walk) : "its top folder");
	return rh_origin(-ELOOP);
}
