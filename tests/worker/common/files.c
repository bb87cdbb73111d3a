/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files as the runner handles them, see files.h.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.h"
#include "runnerhub/fd.h"

int rh_file_open(const char *path, int flags, mode_t mode)
{
	struct stat st = {0};

	(void)lstat(path, &st); /* what it finds is not used: the runner looks, too */

	int fd = open64(path, flags | O_CLOEXEC, mode);

	return fd >= 0 ? fd : -errno;
}

int rh_file_read(const char *path, struct rh_text *text)
{
	_cleanup_(rh_closep) int fd = rh_file_open(path, O_RDONLY, 0);
	struct stat st = {0};
	char buf[16384];

	if (fd < 0)
		return fd;
	/* Its size is believed, as .NET does. */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		rh_text_try_reserve(text, (size_t)st.st_size) < 0)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (rh_text_try_reserve(text, (size_t)n) < 0)
			return -ENOMEM;
		rh_text_add(text, buf, (size_t)n);
		if (n == 0)
			return 0;
	}
}

int rh_file_write(const char *path, const char *data, size_t size)
{
	_cleanup_(rh_closep) int fd = rh_file_open(path, O_WRONLY | O_CREAT, 0666);

	if (fd < 0)
		return fd;
	if (ftruncate(fd, 0) < 0)
		return -errno;
	return rh_write_all(fd, data, size);
}

int rh_file_write_str(const char *path, const char *string)
{
	return rh_file_write(path, string, strlen(string));
}

bool rh_file_exists(const char *path)
{
	struct stat st = {0};

	return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

bool rh_dir_exists(const char *path)
{
	struct stat st = {0};

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int rh_dir_make(const char *path)
{
	_cleanup_(rh_freep) char *copy = rh_dup(path);

	for (char *p = copy + 1;; p++) {
		if (*p && *p != '/')
			continue;

		char kept = *p;

		*p = '\0';
		if (mkdir(copy, 0777) < 0 && errno != EEXIST)
			return -errno;
		*p = kept;
		if (!kept)
			return 0;
	}
}

static int on_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	if (ftw->level > 0)
		(void)remove(path);
	return 0;
}

void rh_dir_empty(const char *path)
{
	(void)nftw(path, on_remove, 32, FTW_DEPTH | FTW_PHYS);
}

void rh_dir_remove(const char *path)
{
	rh_dir_empty(path);
	(void)rmdir(path);
}

static int copy_file(const char *from, const char *to, mode_t mode)
{
	struct rh_text text = {0};
	int r = rh_file_read(from, &text);

	if (!r)
		r = rh_file_write(to, text.data ? text.data : "", text.size);
	if (!r && chmod(to, mode & 07777) < 0)
		r = -errno;
	rh_text_deinit(&text);
	return r;
}

static int copy_level(const char *from, const char *to, int depth, struct rh_err *err);

static int copy_entry(const char *from, const char *to, int depth, struct rh_err *err)
{
	struct stat st = {0};
	int r = stat(from, &st) < 0 ? -errno : 0;

	if (!r && S_ISDIR(st.st_mode))
		return copy_level(from, to, depth + 1, err);
	/* The runner waits at a FIFO, too. */
	if (!r && !S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		r = -EINVAL;
	if (!r)
		r = copy_file(from, to, st.st_mode);
	return r ? rh_err_set(err, r, "%s: %s", from, strerror(-r)) : 0;
}

static int copy_level(const char *from, const char *to, int depth, struct rh_err *err)
{
	if (depth > 64)
		return rh_err_set(err, -ELOOP, "%s: nested too deeply", from);

	DIR *dir = opendir(from);
	int r = dir ? rh_dir_make(to) : -errno;

	if (r)
		rh_err_set(err, r, "%s: %s", from, strerror(-r));
	for (struct dirent *entry = NULL; dir && !r && (entry = readdir(dir));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;

		_cleanup_(rh_freep) char *source = rh_fmt("%s/%s", from, entry->d_name);
		_cleanup_(rh_freep) char *target = rh_fmt("%s/%s", to, entry->d_name);

		r = copy_entry(source, target, depth, err);
	}
	if (dir)
		(void)closedir(dir);
	return r;
}

int rh_tree_copy(const char *from, const char *to, struct rh_err *err)
{
	return copy_entry(from, to, 0, err);
}

int rh_tree_chown(const char *path, uid_t uid, gid_t gid)
{
	struct stat st = {0};

	if (lchown(path, uid, gid) < 0 || lstat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return 0;

	DIR *dir = opendir(path);
	int r = dir ? 0 : -errno;

	for (struct dirent *entry = NULL; dir && !r && (entry = readdir(dir));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;

		_cleanup_(rh_freep) char *below = rh_fmt("%s/%s", path, entry->d_name);

		r = rh_tree_chown(below, uid, gid);
	}
	if (dir)
		(void)closedir(dir);
	return r;
}
