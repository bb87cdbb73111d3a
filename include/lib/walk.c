/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Walking a path by descriptors. A component is opened with O_PATH and O_NOFOLLOW, so that it is
 * known what it is before anything is done with it; a link's text takes its place in the rest of
 * the path.
 */

#include "runnerhub/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"
#include "runnerhub/fd.h"

#define LINKS_MAX  40 /* as the kernel's MAXSYMLINKS */
#define TRIES      16
#define PROC_MAGIC 0x9fa0 /* linux/magic.h */

struct walk {
	int root_fd; /* where it began, or the root of an absolute path */
	int fd; /* how far it got */
	int flags;
	uint64_t resolve;
	unsigned n_links;
	long mount; /* id of the first one; -1: does not matter */
	char rest[PATH_MAX];
};

/* The mount that a descriptor is on: proc(5), fdinfo. */
static long mount_of(int fd)
{
	char path[64], text[512];

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (rh_read_file_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -1;

	const char *at = strstr(text, "mnt_id:");

	return at ? strtol(at + 7, NULL, 10) : -1;
}

static int go_to(struct walk *walk, int fd)
{
	if (fd < 0)
		return rh_origin(-errno);
	rh_close(walk->fd);
	walk->fd = fd;
	return 0;
}

static int go_to_root(struct walk *walk)
{
	if (walk->resolve & RESOLVE_BENEATH)
		return rh_origin(-EXDEV);
	return rh_trace(go_to(walk, fcntl(walk->root_fd, F_DUPFD_CLOEXEC, 0)));
}

static int go_up(struct walk *walk)
{
	struct stat root, here;

	if ((walk->resolve & RESOLVE_BENEATH) && (walk->resolve & RESOLVE_NO_SYMLINKS))
		return rh_origin(-EXDEV);
	if (fstat(walk->root_fd, &root) < 0 || fstat(walk->fd, &here) < 0)
		return rh_origin(-errno);
	if (root.st_dev == here.st_dev && root.st_ino == here.st_ino)
		return (walk->resolve & RESOLVE_BENEATH) ? rh_origin(-EXDEV) : 0;
	return rh_trace(go_to(walk, openat(walk->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC)));
}

/* Puts the text of the link @fd before what is left of the path. */
static int follow(struct walk *walk, int fd)
{
	struct statfs fs;
	char text[PATH_MAX];
	size_t n_rest = strlen(walk->rest);
	ssize_t n = -1;

	if ((walk->resolve & RESOLVE_NO_SYMLINKS) || ++walk->n_links > LINKS_MAX)
		return rh_origin(-ELOOP);
	if (fstatfs(fd, &fs) < 0)
		return rh_origin(-errno);
	if (fs.f_type == PROC_MAGIC)
		return rh_origin(-ELOOP);
	n = readlinkat(fd, "", text, sizeof(text));
	if (n <= 0)
		return rh_origin(n < 0 ? -errno : -ENOENT);
	if ((size_t)n + n_rest + 2 > sizeof(walk->rest))
		return rh_origin(-ENAMETOOLONG);
	memmove(walk->rest + n + 1, walk->rest, n_rest + 1);
	memcpy(walk->rest, text, (size_t)n);
	walk->rest[n] = '/';
	return text[0] == '/' ? rh_trace(go_to_root(walk)) : 0;
}

static int go_down(struct walk *walk, const char *name)
{
	_cleanup_(rh_closep) int fd = openat(walk->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	bool is_last = walk->rest[strspn(walk->rest, "/")] == '\0';
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return rh_origin(-errno);
	if (S_ISLNK(st.st_mode) && !(is_last && (walk->flags & O_NOFOLLOW)))
		return rh_trace(follow(walk, fd));
	if (walk->mount >= 0 && mount_of(fd) != walk->mount)
		return rh_origin(-EXDEV);
	return rh_trace(go_to(walk, rh_steal_fd(&fd)));
}

/* Takes the next component off the path and goes there. */
static int step(struct walk *walk)
{
	char *begin = walk->rest + strspn(walk->rest, "/");
	size_t n = strcspn(begin, "/");
	char name[NAME_MAX + 1];

	if (n > NAME_MAX)
		return rh_origin(-ENAMETOOLONG);
	memcpy(name, begin, n);
	name[n] = '\0';
	memmove(walk->rest, begin + n, strlen(begin + n) + 1);
	if (n == 0 || strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0)
		return rh_trace(go_up(walk));
	return rh_trace(go_down(walk, name));
}

/* What was found, opened as it was asked for. */
static int finish(struct walk *walk)
{
	char path[64];
	struct stat st;
	int fd = -1;

	if (fstat(walk->fd, &st) < 0)
		return rh_origin(-errno);
	if ((walk->flags & O_DIRECTORY) && !S_ISDIR(st.st_mode))
		return rh_origin(-ENOTDIR);
	if (walk->flags & O_PATH)
		return rh_steal_fd(&walk->fd);
	if (S_ISLNK(st.st_mode))
		return rh_origin(-ELOOP);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", walk->fd);
	fd = S_ISDIR(st.st_mode) ? openat(walk->fd, ".", (walk->flags & ~O_NOFOLLOW) | O_CLOEXEC)
				 : open(path, (walk->flags & ~O_NOFOLLOW) | O_CLOEXEC);
	return fd < 0 ? rh_origin(-errno) : fd;
}

static int begin(struct walk *walk, int dir_fd, const char *path)
{
	const char *from = path[0] == '/' && !(walk->resolve & RESOLVE_IN_ROOT) ? "/" : ".";
	size_t n = strlen(path);

	if (n == 0)
		return rh_origin(-ENOENT);
	if (n >= sizeof(walk->rest))
		return rh_origin(-ENAMETOOLONG);
	if (path[0] == '/' && (walk->resolve & RESOLVE_BENEATH))
		return rh_origin(-EXDEV);
	memcpy(walk->rest, path, n + 1);
	walk->root_fd = openat(dir_fd, from, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (walk->root_fd < 0)
		return rh_origin(-errno);
	walk->mount = (walk->resolve & RESOLVE_NO_XDEV) ? mount_of(walk->root_fd) : -1;
	if ((walk->resolve & RESOLVE_NO_XDEV) && walk->mount < 0)
		return rh_origin(-EXDEV);
	return rh_trace(go_to(walk, fcntl(walk->root_fd, F_DUPFD_CLOEXEC, 0)));
}

int rh_walk_open(int dir_fd, const char *path, int flags, uint64_t resolve)
{
	struct walk walk = {.root_fd = -1, .fd = -1, .flags = flags, .resolve = resolve};
	int r = begin(&walk, dir_fd, path);

	while (r == 0 && walk.rest[0])
		r = step(&walk);
	if (r == 0)
		r = finish(&walk);
	rh_close(walk.fd);
	rh_close(walk.root_fd);
	return rh_trace(r);
}

int rh_open_beneath(int dir_fd, const char *path, int flags, uint64_t resolve)
{
	const struct open_how how = {
		.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
		.resolve = resolve,
	};
	long r = -1;

	for (int i = 0; i < TRIES; i++) {
		r = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
		if (r >= 0 || errno != EAGAIN)
			break;
	}
	if (r < 0 && errno == ENOSYS)
		return rh_trace(rh_walk_open(dir_fd, path, flags, resolve));
	return r < 0 ? rh_origin(-errno) : (int)r;
}
