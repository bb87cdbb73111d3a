/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Carrying over what a profile keeps.
 */

#include "broker/daemon/mount/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/mount/kernel.h"
#include "runnerhub/cleanup.h"

static int open_dir(int dir_fd, const char *name)
{
	return rh_sys_openat2(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, RH_BENEATH);
}

/* Opens a folder of the new workspace, made as the runner's own if it is not there. */
static int open_new(const struct rh_ledger *ledger, int dir_fd, const char *name)
{
	bool made = mkdirat(dir_fd, name, 0755) == 0;

	if (!made && errno != EEXIST)
		return rh_origin(-errno);

	_cleanup_(rh_closep) int fd = open_dir(dir_fd, name);

	if (fd < 0)
		return rh_trace(fd);
	if (made && fchownat(fd, "", ledger->runner_uid, ledger->runner_gid, AT_EMPTY_PATH) < 0)
		return rh_origin(-errno);
	return rh_steal_fd(&fd);
}

static bool is_plain(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

/* Both descriptors are consumed. Return: 0, also if there is nothing to keep; negative errno. */
static int carry(const struct rh_ledger *ledger, int old_fd, int new_fd, char *path)
{
	int r = 0;

	for (char *slash = NULL; r == 0 && (slash = strchr(path, '/')); path = slash + 1) {
		*slash = '\0';

		int old_next = open_dir(old_fd, path);
		int new_next = old_next < 0 ? old_next : open_new(ledger, new_fd, path);

		rh_close(old_fd);
		rh_close(new_fd);
		old_fd = old_next;
		new_fd = new_next;
		r = new_next < 0 ? new_next : 0;
	}
	if (r == 0 && is_plain(old_fd, path))
		r = rh_sys_rename(old_fd, path, new_fd, path, RENAME_NOREPLACE);
	rh_close(old_fd);
	rh_close(new_fd);
	switch (r) {
	case -ENOENT:
	case -ENOTDIR:
	case -ELOOP:
	case -EXDEV:
	case -EEXIST: /* a folder on the way to something else that was kept */
		return 0;
	default:
		return rh_trace(r);
	}
}

static int carry_one(
	const struct rh_ledger *ledger, const char *repo, const char *inner, char *path)
{
	char from[PATH_MAX];
	char to[PATH_MAX];

	(void)snprintf(from, sizeof(from), "%s/%s", repo, inner);
	(void)snprintf(to, sizeof(to), RH_LEDGER_NEW "/%s", inner);

	int old_fd = open_dir(ledger->work_fd, from);
	int new_fd = old_fd < 0 ? -1 : open_dir(ledger->dir_fd, to);

	if (old_fd >= 0 && new_fd >= 0)
		return rh_trace(carry(ledger, old_fd, new_fd, path));
	rh_close(old_fd);
	return old_fd < 0 ? 0 : rh_trace(new_fd); /* a job that removed its workspace keeps none */
}

int rh_keep_carry(
	const struct rh_ledger *ledger, const char *repo, const char *inner, const char *keep)
{
	char line[PATH_MAX];
	int r = 0;

	for (const char *at = keep; *at && r == 0;) {
		size_t n = strcspn(at, "\n");

		if (n > 0 && n < sizeof(line)) {
			memcpy(line, at, n);
			line[n] = '\0';
			r = carry_one(ledger, repo, inner, line);
		}
		at += n + (at[n] == '\n');
	}
	return rh_trace(r);
}
