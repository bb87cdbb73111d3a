/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Putting the view on, taking it off. In a foreign namespace everything is looked up anew, by the
 * path of the work directory without links, and compared with what it is at home.
 */

#include "broker/daemon/mount/view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "broker/daemon/ipc/procfs.h"
#include "broker/daemon/ipc/worker.h"
#include "broker/daemon/mount/kernel.h"
#include "broker/daemon/mount/slot.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/weaken.h"

#define TEMP "_temp"

/* statfs(2) and <sys/statvfs.h> of later C libraries. */
#ifndef ST_NOSYMFOLLOW
#define ST_NOSYMFOLLOW 0x2000
#endif

/* Views on top of one another that are taken off at a time; each attach leaves at most one. */
#define LAYERS_MAX 64

/* A Worker loads .NET and reads its message before it looks at its directories: 300 ms. */
#define YOUNG_MS 100
/* The kernel's clocks for files and for the start of processes tick that coarsely. */
#define SLACK_MS 20

void rh_views_deinit(struct rh_views *views)
{
	for (size_t i = 0; i < views->n; i++) {
		rh_close(views->items[i].ns_fd);
		free(views->items[i].work);
	}
	views->n = 0;
}

/* Consumes @ns_fd. What does not fit is dropped by the runner's next attach. */
static void remember(struct rh_views *views, const char *work, int ns_fd)
{
	char *copy = views->n < RH_VIEWS_MAX ? strdup(work) : NULL;

	if (!copy) {
		rh_close(ns_fd);
		return;
	}
	views->items[views->n].work = copy;
	views->items[views->n++].ns_fd = ns_fd;
}

/* Return: the descriptor, now the caller's; -1: there is none. */
static int forget(struct rh_views *views, const char *work)
{
	for (size_t i = 0; i < views->n; i++) {
		if (strcmp(views->items[i].work, work) == 0) {
			int ns_fd = views->items[i].ns_fd;

			free(views->items[i].work);
			views->items[i] = views->items[--views->n];
			return ns_fd;
		}
	}
	return -1;
}

static int open_temp(const char *work)
{
	_cleanup_(rh_closep) int work_fd = rh_sys_openat2(
		AT_FDCWD, work, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);

	if (work_fd < 0)
		return rh_trace(work_fd);
	return rh_sys_openat2(work_fd, TEMP, O_PATH | O_DIRECTORY | O_NOFOLLOW, RH_BENEATH);
}

/* The root of a mount that follows no links: ours, since nobody else makes such ones of _temp. */
static bool is_view(int fd)
{
	struct statx stx;
	struct statfs fs;

	return statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &stx) == 0 &&
		(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) && fstatfs(fd, &fs) == 0 &&
		((uint64_t)fs.f_flags & ST_NOSYMFOLLOW);
}

static int drop_here(const char *work)
{
	for (int i = 0; i < LAYERS_MAX; i++) {
		_cleanup_(rh_closep) int fd = open_temp(work);

		if (fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR)
			return 0;
		if (fd < 0)
			return rh_trace(fd);
		if (!is_view(fd))
			return 0;

		int r = rh_inside_detach(fd);

		if (r < 0 || chdir("/") < 0)
			return r < 0 ? rh_trace(r) : rh_origin(-errno);
	}
	return rh_origin(-EBUSY);
}

/* Enters @ns_fd, if it is one; calls @fn there; comes home in any case. */
static int visit(const struct rh_home *home, int ns_fd, int (*fn)(void *arg), void *arg)
{
	if (ns_fd < 0)
		return fn(arg);
	if (setns(ns_fd, CLONE_NEWNS) < 0)
		return rh_origin(-errno);

	int r = fn(arg);

	if (rh_home_return(home) < 0)
		_exit(1);
	return r;
}

static int on_drop(void *arg)
{
	return drop_here(arg);
}

int rh_view_drop(struct rh_views *views, const struct rh_home *home, const char *work)
{
	_cleanup_(rh_closep) int ns_fd = forget(views, work);

	/* A namespace that nobody is left in is no worry of ours. */
	if (ns_fd >= 0)
		(void)visit(home, ns_fd, on_drop, (void *)(uintptr_t)work);
	return drop_here(work);
}

struct put {
	const char *work;
	int mount_fd;
	const struct stat *temp;
	bool late_flag; /* Linux 5.10 to 5.13: by mount(2), once it is in its place */
};

/* By mount(2) alone, before Linux 5.12. Return: 0; -EINVAL: there are no such mounts. */
static int put_old(const char *work, int temp_fd)
{
	const unsigned long flags = MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | MS_NOSYMFOLLOW;
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", temp_fd);

	int r = rh_sys_mount(path, path, NULL, MS_BIND, NULL);

	if (r < 0)
		return rh_trace(r);

	_cleanup_(rh_closep) int fd = open_temp(work);

	if (fd < 0)
		return rh_trace(fd);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = rh_sys_mount(NULL, path, NULL, MS_PRIVATE, NULL);
	if (r == 0)
		r = rh_sys_mount(NULL, path, NULL, flags, NULL);
	/* Before 5.10 the flag is not refused, it does nothing. */
	if (r == 0 && !is_view(fd))
		r = rh_origin(-EINVAL);
	if (r < 0 && (rh_inside_detach(fd) < 0 || chdir("/") < 0))
		return rh_origin(-errno);
	return rh_trace(r);
}

static int on_put(void *arg)
{
	const struct put *put = arg;
	struct stat st;
	char path[32];
	int r = drop_here(put->work);

	if (r < 0)
		return rh_trace(r);

	_cleanup_(rh_closep) int fd = open_temp(put->work);

	if (fd < 0)
		return rh_trace(fd);
	if (fstat(fd, &st) < 0)
		return rh_origin(-errno);
	if (st.st_dev != put->temp->st_dev || st.st_ino != put->temp->st_ino)
		return rh_origin(-ESTALE);
	if (put->mount_fd < 0)
		return rh_trace(put_old(put->work, fd));
	r = rh_sys_move_mount(put->mount_fd, fd);
	if (r < 0 || !put->late_flag)
		return rh_trace(r);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", put->mount_fd);
	return rh_sys_result(syscall(SYS_mount, NULL, path, NULL,
		MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | MS_NOSYMFOLLOW, NULL));
}

/* A private detached mount of the directory; @ret_late_flag if it is yet to be made a view. */
static int clone_temp(int temp_fd, bool *ret_late_flag)
{
	struct mount_attr flags = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSYMFOLLOW,
		.propagation = MS_PRIVATE,
	};
	_cleanup_(rh_closep) int fd =
		rh_sys_open_tree(temp_fd, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return rh_trace(fd);

	int r = rh_sys_mount_setattr(fd, 0, &flags);

	*ret_late_flag = r == -EINVAL;
	if (*ret_late_flag) {
		flags.attr_set &= ~(uint64_t)MOUNT_ATTR_NOSYMFOLLOW;
		r = rh_sys_mount_setattr(fd, 0, &flags);
	}
	return r < 0 ? rh_trace(r) : rh_steal_fd(&fd);
}

/* Its mount namespace, unless that is ours: -EXDEV. */
static int open_namespace(const struct rh_home *home, pid_t pid, uint64_t start)
{
	struct rh_proc_stat stat;
	_cleanup_(rh_closep) int root_fd = -1;
	_cleanup_(rh_closep) int ns_fd = rh_inside_open(home, pid, &root_fd);

	if (ns_fd < 0 && ns_fd != -EXDEV)
		return rh_trace(ns_fd);
	if (rh_proc_stat(pid, &stat) < 0 || stat.start_ticks != start || stat.state == 'Z')
		return rh_origin(-ESRCH);
	return rh_steal_fd(&ns_fd);
}

int rh_view_put(struct rh_views *views, const struct rh_home *home, const char *work, int temp_fd,
	pid_t worker_pid, uint64_t worker_start)
{
	struct stat temp;
	struct put put = {.work = work, .temp = &temp};

	if (worker_pid == 0 || rh_weakened("temp-view"))
		return 0;
	if (fstat(temp_fd, &temp) < 0)
		return rh_origin(-errno);

	_cleanup_(rh_closep) int ns_fd = open_namespace(home, worker_pid, worker_start);

	if (ns_fd < 0 && ns_fd != -EXDEV)
		return rh_trace(ns_fd);

	put.late_flag = rh_slot_is_needed();

	_cleanup_(rh_closep) int mount_fd =
		put.late_flag ? -1 : clone_temp(temp_fd, &put.late_flag);

	if (mount_fd < 0 && !put.late_flag)
		return rh_trace(mount_fd);
	put.mount_fd = mount_fd;

	int r = visit(home, ns_fd, on_put, &put);

	if (r == -EINVAL && put.late_flag) { /* Linux before 5.10 */
		(void)visit(home, ns_fd, on_drop, (void *)(uintptr_t)work);
		return 0;
	}
	if (r == 0 && ns_fd >= 0)
		remember(views, work, rh_steal_fd(&ns_fd));
	return r < 0 ? rh_trace(r) : 1;
}

/* Has it only just been started, and nothing in _temp changed since? */
static bool is_untouched_by(const struct stat *temp, uint64_t worker_start)
{
	int64_t changed_ms = (int64_t)temp->st_ctim.tv_sec * 1000 + temp->st_ctim.tv_nsec / 1000000;

	return rh_proc_age_ms(worker_start) <= YOUNG_MS &&
		changed_ms < rh_proc_start_wall_ms(worker_start) - SLACK_MS;
}

static bool is_used_by(const char *root, const struct stat *temp, pid_t pid)
{
	char exe[PATH_MAX];
	struct rh_proc_stat stat;

	return rh_proc_exe(pid, exe, sizeof(exe)) == 0 && rh_worker_is_of(root, pid, exe) &&
		rh_proc_stat(pid, &stat) == 0 && !is_untouched_by(temp, stat.start_ticks);
}

bool rh_view_in_use(const char *root, const char *work)
{
	DIR *dir = opendir("/proc");
	struct stat temp = {0};
	char path[PATH_MAX];
	bool found = false;

	/* If there is none, nobody has touched it. */
	if (snprintf(path, sizeof(path), "%s/" TEMP, work) < (int)sizeof(path))
		(void)lstat(path, &temp);
	for (const struct dirent *e = NULL; dir && !found && (e = readdir(dir));)
		found = e->d_name[0] >= '1' && e->d_name[0] <= '9' &&
			is_used_by(root, &temp, (pid_t)strtol(e->d_name, NULL, 10));
	if (dir)
		(void)closedir(dir);
	return found;
}
