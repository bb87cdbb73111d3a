/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Opening the store's file.
 *
 * Damage is whatever SQLite calls corrupt or not a database, at any moment until the open jobs have
 * been read. The file is then renamed, with its log, and a new one begun: once. A check that takes
 * too long is finished in the background; if that finds damage, a mark (NAME.condemned) makes the
 * next start set the file aside.
 */

#include "broker/daemon/store/open.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "broker/daemon/store/load.h"
#include "broker/daemon/store/schema.h"
#include "runnerhub/clock.h"

#define PATH_SIZE 4200

/* SQLite would make it with the umask's mode; its log takes over the file's. */
static int make_file(const char *path)
{
	_cleanup_(rh_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? rh_origin(-errno) : 0;
}

static void mark_path(const char *path, char ret_path[PATH_SIZE])
{
	(void)snprintf(ret_path, PATH_SIZE, "%s.condemned", path);
}

int rh_store_file_condemn(const char *path)
{
	char mark[PATH_SIZE];

	mark_path(path, mark);
	_cleanup_(rh_closep) int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? rh_origin(-errno) : 0;
}

static bool is_condemned(const char *path)
{
	char mark[PATH_SIZE];

	mark_path(path, mark);
	return access(mark, F_OK) == 0;
}

int rh_store_file_check(struct rh_db *db)
{
	char text[256] = "";
	/* One finding is enough. */
	int r = rh_db_text(db, "PRAGMA quick_check(1)", text, sizeof(text));

	if (r < 0)
		return rh_trace(r);
	return strcmp(text, "ok") == 0 ? 0 : rh_origin(-EBADMSG);
}

static int check_bounded(struct rh_store_file *file)
{
	rh_db_set_deadline(file->writer, rh_now_ms() + RH_STORE_CHECK_MS);
	int r = rh_store_file_check(file->writer);

	rh_db_set_deadline(file->writer, 0);
	if (r != -ECANCELED)
		return rh_trace(r);
	file->unchecked = true;
	return 0;
}

static void close_both(struct rh_store_file *file)
{
	rh_db_close(file->reader);
	rh_db_close(file->writer);
	file->reader = NULL;
	file->writer = NULL;
}

static int try_open(const char *path, struct rh_store_file *file)
{
	int r = make_file(path);

	if (r == 0)
		r = rh_db_open(path, RH_STORE_BUSY_MS, false, &file->writer);
	if (r == 0)
		r = check_bounded(file);
	if (r == 0)
		r = rh_schema_migrate(file->writer);
	if (r == 0)
		r = rh_db_open(path, RH_STORE_BUSY_MS, true, &file->reader);
	if (r == 0)
		r = rh_store_load(file->reader, &file->open);
	if (r < 0)
		close_both(file);
	return rh_trace(r);
}

static int set_aside(const char *path, char ret_aside[PATH_SIZE])
{
	char from[PATH_SIZE];
	char to[PATH_SIZE + 8];
	time_t seconds = time(NULL);
	struct tm tm = {0};
	char stamp[32];

	(void)gmtime_r(&seconds, &tm);
	(void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	(void)snprintf(ret_aside, PATH_SIZE, "%s.damaged-%s", path, stamp);
	/* A second one within a second must not replace the first. */
	if (access(ret_aside, F_OK) == 0)
		(void)snprintf(ret_aside, PATH_SIZE, "%s.damaged-%s-%" PRId64, path, stamp,
			rh_clock_us(CLOCK_REALTIME));
	if (rename(path, ret_aside) < 0 && errno != ENOENT)
		return rh_origin(-errno);
	/* The log may hold what the file lacks; it must not be taken for the new file's. */
	(void)snprintf(from, sizeof(from), "%s-wal", path);
	(void)snprintf(to, sizeof(to), "%s-wal", ret_aside);
	if (rename(from, to) < 0 && errno != ENOENT)
		return rh_origin(-errno);
	(void)snprintf(from, sizeof(from), "%s-shm", path);
	if (unlink(from) < 0 && errno != ENOENT)
		return rh_origin(-errno);
	mark_path(path, from);
	if (unlink(from) < 0 && errno != ENOENT)
		return rh_origin(-errno);
	return 0;
}

int rh_store_file_open(const char *path, struct rh_store_file *ret_file, struct rh_err *err)
{
	struct rh_store_file file = {0};
	/* Room for the endings. */
	int r = strlen(path) < sizeof(file.aside) - 100 ? 0 : -ENAMETOOLONG;

	if (r == 0)
		r = is_condemned(path) ? -EBADMSG : try_open(path, &file);
	if (r == -EBADMSG) {
		r = set_aside(path, file.aside);
		file.set_aside = r == 0;
		if (r == 0)
			r = try_open(path, &file);
	}
	if (r == -ENOTSUP)
		return rh_err_set(err, r,
			"%s: made by a newer version; install that one, or move the file away",
			path);
	if (r < 0)
		return rh_err_set(err, r, "%s: %s", path, strerror(-r));
	*ret_file = file;
	return 0;
}
