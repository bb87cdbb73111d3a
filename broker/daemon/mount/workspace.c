/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Workspaces: markers and the swap for a fresh one.
 */

#include "broker/daemon/mount/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/mount/keep.h"
#include "broker/daemon/mount/kernel.h"
#include "broker/daemon/mount/tree.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/weaken.h"

/* It has a marker, too; no repository may be called so. */
#define TEMP "_temp"

static void marker_name(const char *repo, char ret_name[NAME_MAX + 1])
{
	(void)snprintf(ret_name, NAME_MAX + 1, "leased-%.240s", repo);
}

static bool is_marked(const struct rh_ledger *ledger, const char *repo)
{
	char name[NAME_MAX + 1];
	struct stat st;

	marker_name(repo, name);
	return fstatat(ledger->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int create(const struct rh_ledger *ledger, const char *name)
{
	int fd = openat(ledger->dir_fd, name,
		O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	if (fd < 0)
		return rh_origin(-errno);
	rh_close(fd);
	return 0;
}

/*
 * All markers are links to one file: after a large tree was deleted ext4 looks for a long time for
 * an inode that was not in use a moment ago.
 */
static int mark(const struct rh_ledger *ledger, const char *repo)
{
	char name[NAME_MAX + 1];

	marker_name(repo, name);
	for (int i = 0; i < 2; i++) {
		if (linkat(ledger->dir_fd, "marker", ledger->dir_fd, name, 0) == 0 ||
			errno == EEXIST)
			return 0;
		if (errno != ENOENT || create(ledger, "marker") < 0)
			break;
	}
	return rh_trace(create(ledger, name)); /* a file system without links */
}

void rh_workspace_unmark(const struct rh_ledger *ledger, const char *repo)
{
	char name[NAME_MAX + 1];

	marker_name(repo, name);
	/* If it stays, the workspace is swapped once more than needed. */
	(void)unlinkat(ledger->dir_fd, name, 0);
}

/* It is a mount point of the host's and cannot be renamed: what is in it is deleted instead. */
static int empty_in_place(const struct rh_ledger *ledger, const char *repo, const char *inner)
{
	_cleanup_(rh_closep) int fd = rh_sys_openat2(
		ledger->work_fd, repo, O_PATH | O_DIRECTORY | O_NOFOLLOW, RH_BENEATH);
	struct rh_tree_count count = {0};
	char path[PATH_MAX];
	int r = fd < 0 ? fd : rh_tree_empty(fd, &count);

	if (r < 0 || !inner)
		return rh_trace(r);
	(void)snprintf(path, sizeof(path), "%s/%s", repo, inner);

	_cleanup_(rh_closep) int made = rh_ledger_ensure(ledger, path);

	return made < 0 ? rh_trace(made) : 0;
}

/* The new one appears and the old one disappears in one step; the name always exists. */
static int swap(
	const struct rh_ledger *ledger, const char *repo, const char *inner, const char *keep)
{
	int r = rh_ledger_build(ledger, inner);

	if (r == 0 && keep)
		r = rh_keep_carry(ledger, repo, inner, keep);
	if (r < 0)
		return rh_trace(r);
	r = rh_sys_rename(ledger->dir_fd, RH_LEDGER_NEW, ledger->work_fd, repo, RENAME_EXCHANGE);
	if (r == -EPERM && rh_tree_unlock(ledger->work_fd, repo) == 0)
		r = rh_sys_rename(
			ledger->dir_fd, RH_LEDGER_NEW, ledger->work_fd, repo, RENAME_EXCHANGE);
	if (r == 0)
		return rh_trace(rh_ledger_trash(ledger, ledger->dir_fd, RH_LEDGER_NEW));
	if (r == -EBUSY || r == -EXDEV)
		return rh_trace(empty_in_place(ledger, repo, inner));
	/* A file system that cannot exchange, or there was none. */
	r = rh_ledger_trash(ledger, ledger->work_fd, repo);
	if (r < 0 && r != -ENOENT)
		return rh_trace(r);
	return rh_trace(rh_sys_rename(ledger->dir_fd, RH_LEDGER_NEW, ledger->work_fd, repo, 0));
}

static int prepare(
	const struct rh_ledger *ledger, const char *repo, const char *inner, bool *ret_swapped)
{
	char path[PATH_MAX];

	*ret_swapped = is_marked(ledger, repo);
	if (*ret_swapped) {
		int r = swap(ledger, repo, inner, NULL);

		if (r < 0)
			return rh_trace(r);
	}
	(void)snprintf(path, sizeof(path), "%s/%s", repo, inner);

	_cleanup_(rh_closep) int fd = rh_ledger_ensure(ledger, path);
	int r = fd < 0 ? fd : mark(ledger, TEMP);

	return r < 0 ? rh_trace(r) : rh_trace(mark(ledger, repo));
}

int rh_workspace_prepare(const struct rh_ledger *ledger, const char *repo, const char *inner,
	bool *ret_swapped, struct rh_err *err)
{
	int r = prepare(ledger, repo, inner, ret_swapped);

	if (r == -ELOOP || r == -ENOTDIR)
		return rh_err_set(err, r,
			"workspace %.200s/%.200s: something that is no directory, or a link, is in "
			"its place; remove it",
			ledger->work, repo);
	if (r < 0)
		return rh_err_set(err, r, "cannot prepare the workspace %.200s/%.200s: %s",
			ledger->work, repo, strerror(-r));
	return 0;
}

/* Could the next job be given what this one has left? With a link in its place none could start. */
static bool is_sound(const struct rh_ledger *ledger, const char *repo)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", repo, repo);

	_cleanup_(rh_closep) int fd = rh_sys_openat2(
		ledger->work_fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, RH_BENEATH);

	return fd >= 0 || fd == -ENOENT || rh_weakened("sound-workspace");
}

int rh_workspace_release(const struct rh_ledger *ledger, const char *repo, bool scrub,
	const char *keep, struct rh_err *err)
{
	if (!is_marked(ledger, repo))
		return 0;

	bool fresh = (scrub && !rh_weakened("scrub")) || !is_sound(ledger, repo);
	int r = fresh ? swap(ledger, repo, repo, scrub ? keep : NULL) : 0;

	if (r < 0)
		return rh_err_set(err, r, "cannot scrub the workspace %.200s/%.200s: %s",
			ledger->work, repo, strerror(-r));
	rh_workspace_unmark(ledger, repo);
	return 0;
}

int rh_workspace_retire_temp(const struct rh_ledger *ledger, struct rh_err *err)
{
	int r = 0;

	if (!is_marked(ledger, TEMP) || rh_weakened("retire-temp"))
		return 0;
	r = swap(ledger, TEMP, NULL, NULL);
	if (r < 0)
		return rh_err_set(err, r, "cannot swap %.200s/_temp for a fresh one: %s",
			ledger->work, strerror(-r));
	rh_workspace_unmark(ledger, TEMP);
	return 0;
}

int rh_workspace_close(const struct rh_ledger *ledger)
{
	struct stat st;

	if (rh_weakened("closed-work"))
		return 0;
	if (fstat(ledger->work_fd, &st) < 0)
		return rh_origin(-errno);
	if (!(st.st_mode & 077) || st.st_uid != ledger->runner_uid)
		return 0;

	_cleanup_(rh_closep) int fd =
		openat(ledger->work_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fchmod(fd, st.st_mode & 07700) < 0)
		return rh_origin(-errno);
	return 0;
}
