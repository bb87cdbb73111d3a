/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Opening what lies where a job can write. The Worker follows links there, and they are legitimate
 * as long as they lead to the job's own files. So each such open is taken apart: a descriptor that
 * reads nothing (O_PATH), the kernel's word on where and what that is, then the open of the very
 * same file, or of a new one in a directory that was looked at. A swap in between gains nothing.
 */

#undef _FILE_OFFSET_BITS /* else open() and open64() are one name */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "state.h"

static bool in(const char *path, const char *dir, size_t n)
{
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* What follows the work directory in @path, "" for a path elsewhere; NULL if nothing is guarded. */
static const char *place(const char *path)
{
	const char *dirs[] = {rh_state.work, rh_state.real_work};

	if (rh_state.mode != RH_MODE_ARMED || !path || rh_weakened("open-guard"))
		return NULL;
	for (int i = 0; i < 2; i++) {
		const char *rest = path + strlen(dirs[i]) + 1;

		if (in(path, dirs[i], (size_t)(rest - path - 1)) && rest[-1])
			return rest;
	}
	return "";
}

/* Can a job write there? */
static bool is_jobs(const char *rest)
{
	return rest && *rest && !in(rest, "_actions", 8) && !in(rest, "_tool", 5);
}

/* What else a job may name to its Worker: another runner's action; a device, where opening is
 * acting (a watchdog) or waiting. Of those it is left what the runtime itself needs. */
static bool is_foreign(int dir, const char *path, const char *rest)
{
	const char *last = strrchr(path, '/');
	struct statx stx;

	return (!*rest && last && strncmp(last, "/action.y", 9) == 0) ||
		(statx(dir, path, 0, STATX_TYPE, &stx) == 0 &&
			(S_ISBLK(stx.stx_mode) || S_ISCHR(stx.stx_mode)) &&
			stx.stx_rdev_major != 1);
}

/* Is it a file or directory of the job that @rest was asked of? */
static bool is_inside(const char *name, int fd, const char *rest)
{
	const size_t n_work = strlen(rh_state.real_work);
	char real[PATH_MAX];
	struct statx stx;
	ssize_t n = readlink(name, real, sizeof(real) - 1);

	real[n > 0 ? n : 0] = '\0';
	if (!in(real, rh_state.real_work, n_work) || real[n_work] == '\0' ||
		statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &stx) < 0 ||
		!(S_ISREG(stx.stx_mode) || S_ISDIR(stx.stx_mode)))
		return false;

	const char *at = real + n_work + 1;

	return in(at, rest, strcspn(rest, "/")) ||
		(!in(rest, "_temp", 5) && (in(at, "_temp", 5) || in(at, "_actions", 8)));
}

static int open_at(int dir, const char *path, int flags, mode_t mode)
{
	return (int)syscall(SYS_openat, dir, path, flags, mode);
}

static int guard(int dir, const char *path, int flags, mode_t mode)
{
	const char *rest = place(path);
	char name[PATH_MAX];
	const char *last = NULL;
	int look = O_PATH | O_CLOEXEC, fd = -1;

	if (rest && !is_jobs(rest) && is_foreign(dir, path, rest))
		return errno = EACCES, -1;
	if (!is_jobs(rest))
		return open_at(dir, path, flags, mode);

	int found = open_at(dir, path, look | (flags & (O_NOFOLLOW | O_DIRECTORY)), 0);

	if (found < 0 && errno == ENOENT && (flags & O_CREAT)) {
		/* It fits, since the kernel has looked for it. */
		last = strrchr(path, '/') + 1;
		memcpy(name, path, (size_t)(last - path));
		name[last - path] = '\0';
		found = open_at(dir, name, look | O_DIRECTORY, 0);
	}
	if (found < 0)
		return -1;
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", found);
	errno = EACCES;
	if (!last && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		errno = EEXIST;
	else if (is_inside(name, found, rest))
		fd = last ? open_at(found, last, flags | O_NOFOLLOW, mode)
			  : open_at(dir, name, flags & ~(O_CREAT | O_NOFOLLOW), 0);
	look = errno;
	(void)close(found);
	errno = look;
	return fd;
}

/* The last argument is there if a file may be made. */
#define OPEN(name, dir, ...)                                                     \
	EXPORT int name(__VA_ARGS__ const char *file, int oflag, ...)            \
	{                                                                        \
		va_list ap;                                                      \
		va_start(ap, oflag);                                             \
		bool makes = oflag & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY));     \
		int r = guard(dir, file, oflag, makes ? va_arg(ap, mode_t) : 0); \
		va_end(ap);                                                      \
		return r;                                                        \
	}
OPEN(open, AT_FDCWD)
OPEN(open64, AT_FDCWD)
OPEN(openat, fd, int fd, )
OPEN(openat64, fd, int fd, )

EXPORT FILE *fopen64(const char *filename, const char *modes)
{
	int flags = modes[0] == 'r' ? 0 : O_CREAT | (modes[0] == 'a' ? O_APPEND : O_TRUNC);

	flags |= (strchr(modes, 'e') ? O_CLOEXEC : 0) | (strchr(modes, 'x') ? O_EXCL : 0);
	flags |= strchr(modes, '+') ? O_RDWR : flags & O_CREAT ? O_WRONLY : O_RDONLY;

	int fd = guard(AT_FDCWD, filename, flags, 0666);

	return fd < 0 ? NULL : fdopen(fd, modes);
}

EXPORT DIR *opendir(const char *name)
{
	if (!is_jobs(place(name)) && rh_state.next.opendir)
		return rh_state.next.opendir(name);

	int fd = guard(AT_FDCWD, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK, 0);

	return fd < 0 ? NULL : fdopendir(fd);
}
