/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Looking at files that others may have made.
 */

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/cli/doctor/doctor.h"
#include "runnerhub/fd.h"

ssize_t rh_look_read(const char *path, size_t max, char **ret_text)
{
	/* Without O_NONBLOCK somebody's FIFO would hold us up. */
	_cleanup_(rh_closep) int fd =
		open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char link[64];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return rh_origin(-errno);
	if (!S_ISREG(st.st_mode))
		return rh_origin(-EINVAL);

	_cleanup_(rh_freep) char *text = malloc(max + 2);

	if (!text)
		return rh_origin(-ENOMEM);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);

	ssize_t n = rh_read_file_at(AT_FDCWD, link, text, max + 2);

	if (n < 0)
		return rh_trace((int)n);
	*ret_text = rh_steal(&text);
	return n;
}

ssize_t rh_look_host(const struct rh_doctor *doctor, const char *path, char *buf, size_t size)
{
	char full[PATH_MAX];

	(void)snprintf(full, sizeof(full), "%s%s", doctor->host, path);
	return rh_read_file_at(AT_FDCWD, full, buf, size);
}

int rh_look_root_only(const char *path, char ret_culprit[PATH_MAX])
{
	char at[PATH_MAX];

	if (!realpath(path, at))
		return rh_origin(-errno);
	for (;;) {
		struct stat st;

		if (lstat(at, &st) < 0)
			return rh_origin(-errno);
		/* In a sticky directory only its owner replaces a file. */
		bool shared =
			(st.st_mode & 022) && !(S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX));

		if (st.st_uid != 0 || shared) {
			memcpy(ret_culprit, at, strlen(at) + 1);
			return rh_origin(-EPERM);
		}

		char *slash = strrchr(at, '/');

		if (strcmp(at, "/") == 0)
			return 0;
		slash[slash == at] = '\0';
	}
}

bool rh_look_number(const char **at, int base, unsigned long long *ret_number)
{
	const char *digits = *at + strspn(*at, " \t");
	char *end = NULL;

	if (!isxdigit((unsigned char)*digits))
		return false;
	errno = 0;

	unsigned long long number = strtoull(digits, &end, base);

	if (errno != 0 || end == digits)
		return false;
	*ret_number = number;
	*at = end;
	return true;
}

bool rh_look_writable_by(const struct stat *st, uid_t uid, gid_t gid)
{
	if (st->st_uid == uid)
		return true; /* it may chmod it first */
	if (st->st_gid == gid && (st->st_mode & S_IWGRP))
		return true;
	return st->st_mode & S_IWOTH;
}

bool rh_look_is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}
