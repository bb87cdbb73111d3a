/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Counting a tree by descriptors. A job may nest its directories as deeply as it likes: the open
 * ones are a stack, and what lies deeper than that is put aside, to be walked as a tree of its own
 * when the stack is empty. Only where too many of those wait at a time the job itself is at fault.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/job/usage.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"
#include "runnerhub/weaken.h"

#define BLOCK_BYTES 512u

struct walk {
	struct rh_usage_count *count;
	dev_t dev;
	int depth; /* of the top of the stack; -1: it is empty */
	int n_later;
	DIR *stack[RH_USAGE_DEPTH];
	int later[RH_USAGE_LATER]; /* directories that were put aside */
};

bool rh_usage_goes_on(struct rh_usage_count *count)
{
	if (count->failed || count->too_deep || count->too_many ||
		(count->files_max > 0 && count->files > count->files_max))
		return false;
	if (!count->cut &&
		(rh_now_ms() >= count->deadline_ms ||
			(count->stop && atomic_load_explicit(count->stop, memory_order_relaxed))))
		count->cut = true;
	return !count->cut;
}

void rh_usage_failed(struct rh_usage_count *count, int error)
{
	/* Whatever else it is lies with the job, which renames and removes things meanwhile. */
	if (error == EMFILE || error == ENFILE || error == ENOMEM)
		count->failed = true;
}

static void add(struct rh_usage_count *count, const struct stat *st)
{
	/* Each of a file's names brings its share. */
	count->bytes += (uint64_t)st->st_blocks * BLOCK_BYTES /
		(st->st_nlink > 1 && !S_ISDIR(st->st_mode) ? (uint64_t)st->st_nlink : 1);
	count->files++;
}

/* Consumes @fd. */
static void push(struct walk *walk, int fd)
{
	DIR *dir = fdopendir(fd);

	if (dir) {
		walk->stack[++walk->depth] = dir;
		return;
	}
	rh_usage_failed(walk->count, errno);
	rh_close(fd);
}

static void enter(struct walk *walk, int dir_fd, const char *name)
{
	int fd = -1;

	if (walk->depth + 1 == RH_USAGE_DEPTH && rh_weakened("watch-deep"))
		return;
	if (walk->depth + 1 == RH_USAGE_DEPTH && walk->n_later == RH_USAGE_LATER) {
		walk->count->too_deep = true;
		return;
	}
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);
	if (fd < 0)
		rh_usage_failed(walk->count, errno);
	else if (walk->depth + 1 == RH_USAGE_DEPTH)
		walk->later[walk->n_later++] = fd;
	else
		push(walk, fd);
}

/* The next entry of the directory on top, which goes when there is none. */
static void step(struct walk *walk)
{
	DIR *dir = walk->stack[walk->depth];
	struct dirent *entry = readdir(dir);
	struct stat st;

	if (!entry) {
		(void)closedir(dir);
		walk->depth--;
		return;
	}
	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		st.st_dev != walk->dev)
		return;
	add(walk->count, &st);
	if (S_ISDIR(st.st_mode))
		enter(walk, dirfd(dir), entry->d_name);
}

void rh_usage_walk(const char *path, struct rh_usage_count *count)
{
	struct walk walk = {.count = count, .depth = -1};
	struct stat st;

	enter(&walk, AT_FDCWD, path);
	if (walk.depth == 0 && fstat(dirfd(walk.stack[0]), &st) == 0)
		walk.dev = st.st_dev;
	while ((walk.depth >= 0 || walk.n_later > 0) && rh_usage_goes_on(count)) {
		if (walk.depth < 0)
			push(&walk, walk.later[--walk.n_later]);
		else
			step(&walk);
	}
	while (walk.depth >= 0)
		(void)closedir(walk.stack[walk.depth--]);
	while (walk.n_later > 0)
		rh_close(walk.later[--walk.n_later]);
}
