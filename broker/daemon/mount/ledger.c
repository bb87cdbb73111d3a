/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The ledger of a work directory. The work directory itself belongs to the runner, so what is new
 * in it is built in the ledger, where only root can write, and then renamed into its place: nobody
 * can put something else under a name between its making and the change of its owner.
 */

#include "broker/daemon/mount/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/mount/kernel.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/id.h"

/*
 * Makes a directory root's own again. Whoever sets up a runner changes the owner of everything
 * below its directory (chown -R), ours with it. The runner's own user is trusted, nobody else is.
 */
static int take_back(int path_fd, const struct stat *st, uid_t runner_uid)
{
	_cleanup_(rh_closep) int fd = -1;

	if (st->st_uid != runner_uid || (st->st_mode & 022))
		return rh_origin(-EPERM);
	fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fchown(fd, geteuid(), getegid()) < 0 || fchmod(fd, 0700) < 0)
		return rh_origin(-errno);
	return 0;
}

/* Opens, or makes, a directory that only root may enter. */
static int open_private(int dir_fd, const char *name, uid_t runner_uid)
{
	struct stat st;

	if (mkdirat(dir_fd, name, 0700) < 0 && errno != EEXIST)
		return rh_origin(-errno);

	_cleanup_(rh_closep) int fd =
		rh_sys_openat2(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, RH_BENEATH);

	if (fd < 0)
		return rh_trace(fd);
	if (fstat(fd, &st) < 0)
		return rh_origin(-errno);
	if (st.st_uid != geteuid() || (st.st_mode & 022)) {
		int r = take_back(fd, &st, runner_uid);

		if (r < 0)
			return rh_trace(r);
	}
	return rh_steal_fd(&fd);
}

int rh_ledger_open(const char *work, uid_t runner_uid, gid_t runner_gid,
	struct rh_ledger *ret_ledger, struct rh_err *err)
{
	struct rh_ledger ledger = {
		.work_fd = rh_sys_openat2(AT_FDCWD, work, O_PATH | O_DIRECTORY,
			RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS),
		.dir_fd = -1,
		.trash_fd = -1,
		.runner_uid = runner_uid,
		.runner_gid = runner_gid,
		.work = work,
	};
	int r = ledger.work_fd;

	if (r < 0)
		return rh_err_set(err, r, "work directory %.300s: %s", work, strerror(-r));
	ledger.dir_fd = open_private(ledger.work_fd, RH_LEDGER_DIR, runner_uid);
	if (ledger.dir_fd >= 0)
		ledger.trash_fd = open_private(ledger.dir_fd, "trash", runner_uid);
	r = ledger.dir_fd < 0 ? ledger.dir_fd : ledger.trash_fd;
	if (r < 0) {
		rh_ledger_close(&ledger);
		return rh_err_set(err, r,
			"%.300s/" RH_LEDGER_DIR " is not root's own directory (%s); remove it",
			work, strerror(-r));
	}
	*ret_ledger = ledger;
	return 0;
}

void rh_ledger_close(struct rh_ledger *ledger)
{
	rh_close(ledger->trash_fd);
	rh_close(ledger->dir_fd);
	rh_close(ledger->work_fd);
	ledger->work_fd = ledger->dir_fd = ledger->trash_fd = -1;
}

int rh_ledger_trash(const struct rh_ledger *ledger, int dir_fd, const char *name)
{
	char to[RH_ID_TEXT_SIZE];
	struct rh_id id;
	int r = rh_id_new(&id);

	if (r < 0)
		return rh_trace(r);
	rh_id_format(&id, to);
	return rh_trace(rh_sys_rename(dir_fd, name, ledger->trash_fd, to, 0));
}

/* Makes one directory of the runner's, best where only root can write, and opens it. */
static int make_owned(const struct rh_ledger *ledger, int dir_fd, const char *name)
{
	if (mkdirat(dir_fd, name, 0755) < 0)
		return rh_origin(-errno);

	_cleanup_(rh_closep) int fd =
		openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return rh_origin(-errno);
	if (fchown(fd, ledger->runner_uid, ledger->runner_gid) < 0 || fchmod(fd, 0755) < 0)
		return rh_origin(-errno);
	return rh_steal_fd(&fd);
}

/* Copies the first component of @path; returns what follows it, NULL if it was the last. */
static const char *split(const char *path, char ret_name[NAME_MAX + 1])
{
	size_t length = strcspn(path, "/");

	(void)snprintf(
		ret_name, NAME_MAX + 1, "%.*s", (int)(length > NAME_MAX ? NAME_MAX : length), path);
	return path[length] ? path + length + 1 : NULL;
}

/* Makes @name in @dir_fd, @inner in that, and so on. */
static int make_chain(
	const struct rh_ledger *ledger, int dir_fd, const char *name, const char *inner)
{
	_cleanup_(rh_closep) int fd = make_owned(ledger, dir_fd, name);
	char part[NAME_MAX + 1];

	while (fd >= 0 && inner) {
		inner = split(inner, part);

		int next = make_owned(ledger, fd, part);

		(void)close(fd);
		fd = next;
	}
	return fd < 0 ? rh_trace(fd) : 0;
}

int rh_ledger_build(const struct rh_ledger *ledger, const char *inner)
{
	int r = rh_ledger_trash(ledger, ledger->dir_fd, RH_LEDGER_NEW);

	if (r < 0 && r != -ENOENT)
		return rh_trace(r);
	return rh_trace(make_chain(ledger, ledger->dir_fd, RH_LEDGER_NEW, inner));
}

static int open_beneath(int dir_fd, const char *path)
{
	return rh_sys_openat2(dir_fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, RH_BENEATH);
}

/* Puts the missing end of a path, @name/@inner, into @dir_fd. */
static int put_new(const struct rh_ledger *ledger, int dir_fd, const char *name, const char *inner)
{
	int r = rh_ledger_build(ledger, inner);

	if (r == 0)
		r = rh_sys_rename(ledger->dir_fd, RH_LEDGER_NEW, dir_fd, name, RENAME_NOREPLACE);
	if (r == -EINVAL) /* a file system without the flag */
		r = rh_sys_rename(ledger->dir_fd, RH_LEDGER_NEW, dir_fd, name, 0);
	if (r == -EXDEV) /* the host has mounted something in between */
		r = make_chain(ledger, dir_fd, name, inner);
	/* Somebody was faster; what is there now is opened, whatever it is. */
	return r == -EEXIST ? 0 : rh_trace(r);
}

int rh_ledger_ensure(const struct rh_ledger *ledger, const char *path)
{
	int r = open_beneath(ledger->work_fd, path);

	if (r != -ENOENT)
		return rh_trace(r);

	_cleanup_(rh_closep) int dir_fd = fcntl(ledger->work_fd, F_DUPFD_CLOEXEC, 0);
	const char *rest = path;
	char name[NAME_MAX + 1];

	if (dir_fd < 0)
		return rh_origin(-errno);
	while (rest) {
		rest = split(rest, name);

		int next = open_beneath(dir_fd, name);

		if (next == -ENOENT) {
			r = put_new(ledger, dir_fd, name, rest);
			return r < 0 ? rh_trace(r) : open_beneath(ledger->work_fd, path);
		}
		if (next < 0)
			return rh_trace(next);
		(void)close(dir_fd);
		dir_fd = next;
	}
	return rh_steal_fd(&dir_fd);
}
