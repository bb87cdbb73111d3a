/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Descriptors: small helpers that every program needs.
 */

#include "runnerhub/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"

ssize_t rh_read_file_at(int dir_fd, const char *path, char *buf, size_t size)
{
	_cleanup_(rh_closep) int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t n = 0;

	if (fd < 0)
		return rh_origin(-errno);
	for (;;) {
		ssize_t r = read(fd, buf + n, size - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return rh_origin(-errno);
		if (r == 0)
			break;
		n += (size_t)r;
		if (n == size)
			return rh_origin(-EFBIG);
	}
	buf[n] = '\0';
	return (ssize_t)n;
}

int rh_close_from(int first)
{
	if (syscall(SYS_close_range, (unsigned)first, ~0U, 0) == 0)
		return 0;

	DIR *dir = opendir("/proc/self/fd");

	if (!dir)
		return rh_origin(-errno);
	for (const struct dirent *e = NULL; (e = readdir(dir));) {
		char *end = NULL;
		long fd = strtol(e->d_name, &end, 10);

		if (end != e->d_name && *end == '\0' && fd >= first && fd != dirfd(dir))
			(void)close((int)fd);
	}
	(void)closedir(dir);
	return 0;
}

int rh_write_all(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size > 0) {
		ssize_t r = write(fd, p, size);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return rh_origin(-errno);
		p += r;
		size -= (size_t)r;
	}
	return 0;
}

/*
 * Fills in an address for @path. Where sun_path is too short the directory is opened and named
 * through /proc; the descriptor must live until the address was used.
 */
static int unix_address(const char *path, struct sockaddr_un *ret_address, int *ret_dir_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) < sizeof(address.sun_path)) {
		memcpy(address.sun_path, path, strlen(path) + 1);
		*ret_address = address;
		return 0;
	}

	const char *base = strrchr(path, '/');
	char dir[4096];

	if (!base || (size_t)(base - path) >= sizeof(dir))
		return rh_origin(-ENAMETOOLONG);
	memcpy(dir, path, (size_t)(base - path));
	dir[base - path] = '\0';

	_cleanup_(rh_closep) int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir_fd < 0)
		return rh_origin(-errno);
	int n = snprintf(
		address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d%s", dir_fd, base);

	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return rh_origin(-ENAMETOOLONG);
	*ret_address = address;
	*ret_dir_fd = rh_steal_fd(&dir_fd);
	return 0;
}

int rh_unix_connect(const char *path, int type)
{
	_cleanup_(rh_closep) int dir_fd = -1;
	struct sockaddr_un address;
	int r = unix_address(path, &address, &dir_fd);

	if (r < 0)
		return rh_trace(r);

	_cleanup_(rh_closep) int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return rh_origin(-errno);
	do
		r = connect(fd, (const struct sockaddr *)&address, sizeof(address));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return rh_origin(-errno);
	return rh_steal_fd(&fd);
}

int rh_unix_listen(const char *path, int type, mode_t mode, int backlog)
{
	_cleanup_(rh_closep) int dir_fd = -1;
	struct sockaddr_un address;
	struct stat st;
	int r = unix_address(path, &address, &dir_fd);

	if (r < 0)
		return rh_trace(r);
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && unlink(path) < 0)
		return rh_origin(-errno);

	_cleanup_(rh_closep) int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return rh_origin(-errno);
	/* bind(2) applies the mode of the socket's inode, less the umask (unix(7)). */
	if (fchmod(fd, mode) < 0)
		return rh_origin(-errno);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return rh_origin(-errno);
	/* The umask may have taken bits away; nobody can connect before listen(2). */
	if (chmod(path, mode) < 0 || listen(fd, backlog) < 0)
		return rh_origin(-errno);
	return rh_steal_fd(&fd);
}
