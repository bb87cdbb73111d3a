/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a job uses of the host. Everything read here is a job's or of a job's making: trees are
 * walked by descriptors and without following links, numbers of processes that are gone are left
 * out.
 */

#include "broker/daemon/job/usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/daemon/container/cgroups.h"
#include "broker/daemon/ipc/procfs.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"
#include "runnerhub/fd.h"

#define DEPTH_MAX     64 /* open directories; what lies deeper is not counted */
#define BLOCK_BYTES   512u
#define DELETED_MAX   1024u
#define MOUNTINFO_MAX ((size_t)256 * 1024)

static uint64_t number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

bool rh_usage_upper_of(const char *mountinfo, char *ret_path, size_t size)
{
	for (const char *line = mountinfo; line && *line;) {
		const char *end = strchr(line, '\n');
		const char *root = strstr(line, " / / ");
		const char *upper = strstr(line, "upperdir=");

		/* "36 25 0:40 / / rw,… - overlay overlay rw,lowerdir=…,upperdir=…,workdir=…" */
		if (root && upper && (!end || (root < end && upper < end))) {
			size_t n = strcspn(upper + strlen("upperdir="), ", \n");

			if (n == 0 || n >= size)
				return false;
			memcpy(ret_path, upper + strlen("upperdir="), n);
			ret_path[n] = '\0';
			return true;
		}
		line = end ? end + 1 : NULL;
	}
	return false;
}

void rh_usage_find_layer(struct rh_usage_target *target)
{
	_cleanup_(rh_freep) char *text = malloc(MOUNTINFO_MAX);
	char path[64];
	char upper[4096];

	(void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)target->init);
	if (text && rh_read_file_at(AT_FDCWD, path, text, MOUNTINFO_MAX) > 0 &&
		rh_usage_upper_of(text, upper, sizeof(upper)))
		target->paths[0] = strdup(upper);
}

void rh_usage_target_deinit(struct rh_usage_target *target)
{
	for (int i = 0; i < RH_USAGE_PATHS; i++)
		free(rh_steal(&target->paths[i]));
}

static void count(const struct stat *st, uint64_t *bytes, uint64_t *files)
{
	/* Each of a file's names brings its share. */
	*bytes += (uint64_t)st->st_blocks * BLOCK_BYTES /
		(st->st_nlink > 1 && !S_ISDIR(st->st_mode) ? (uint64_t)st->st_nlink : 1);
	(*files)++;
}

static DIR *open_below(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !dir)
		rh_close(fd);
	return dir;
}

void rh_usage_walk(const char *path, int64_t deadline_ms, uint64_t *bytes, uint64_t *files)
{
	DIR *stack[DEPTH_MAX] = {open_below(AT_FDCWD, path)};
	int depth = stack[0] ? 0 : -1;
	struct stat st;
	dev_t dev = 0;

	if (depth == 0 && fstat(dirfd(stack[0]), &st) == 0)
		dev = st.st_dev;
	while (depth >= 0) {
		struct dirent *entry = rh_now_ms() < deadline_ms ? readdir(stack[depth]) : NULL;

		if (!entry) {
			(void)closedir(stack[depth--]);
			continue;
		}
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			fstatat(dirfd(stack[depth]), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			st.st_dev != dev)
			continue;
		count(&st, bytes, files);
		if (!S_ISDIR(st.st_mode) || depth + 1 == DEPTH_MAX)
			continue;
		stack[depth + 1] = open_below(dirfd(stack[depth]), entry->d_name);
		if (stack[depth + 1])
			depth++;
	}
}

/* Files that were deleted and are still open take space that no walk sees. */
struct deleted {
	size_t n;
	struct {
		dev_t dev;
		ino_t ino;
	} seen[DELETED_MAX];
};

static void add_deleted(
	struct deleted *deleted, const struct stat *st, uint64_t *bytes, uint64_t *files)
{
	for (size_t i = 0; i < deleted->n; i++) {
		if (deleted->seen[i].ino == st->st_ino && deleted->seen[i].dev == st->st_dev)
			return;
	}
	if (deleted->n == DELETED_MAX)
		return;
	deleted->seen[deleted->n].dev = st->st_dev;
	deleted->seen[deleted->n++].ino = st->st_ino;
	*bytes += (uint64_t)st->st_blocks * BLOCK_BYTES;
	(*files)++;
}

static void count_descriptors(
	pid_t pid, struct deleted *deleted, int64_t deadline_ms, uint64_t *bytes, uint64_t *files)
{
	char path[64];
	DIR *dir = NULL;
	struct dirent *entry = NULL;
	struct stat st;
	struct statfs fs;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && rh_now_ms() < deadline_ms && (entry = readdir(dir))) {
		if (fstatat(dirfd(dir), entry->d_name, &st, 0) < 0 || !S_ISREG(st.st_mode) ||
			st.st_nlink > 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", (int)pid, entry->d_name);
		/* What is in memory counts as memory. */
		if (statfs(path, &fs) == 0 && fs.f_type != TMPFS_MAGIC &&
			fs.f_type != HUGETLBFS_MAGIC)
			add_deleted(deleted, &st, bytes, files);
	}
	if (dir)
		(void)closedir(dir);
}

static void count_deleted(
	const struct rh_cgroups *cgroups, int64_t deadline_ms, uint64_t *bytes, uint64_t *files)
{
	_cleanup_(rh_freep) struct deleted *deleted = calloc(1, sizeof(*deleted));
	char path[PATH_MAX + 32];
	FILE *procs = NULL;
	_cleanup_(rh_freep) char *line = NULL;
	size_t size = 0;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", cgroups->paths[RH_CONTROLLER_PIDS]);
	procs = fopen(path, "re");
	while (deleted && procs && rh_now_ms() < deadline_ms && getline(&line, &size, procs) > 0)
		count_descriptors(
			(pid_t)strtol(line, NULL, 10), deleted, deadline_ms, bytes, files);
	if (procs)
		(void)fclose(procs);
}

/* Each file system once. */
static void add_file_systems(const struct rh_usage_target *target, struct rh_usage *usage)
{
	dev_t seen[RH_USAGE_PATHS] = {0};
	int n = 0;

	for (int i = 0; i < RH_USAGE_PATHS; i++) {
		struct statvfs fs;
		struct stat st;
		bool is_new = true;

		if (!target->paths[i] || stat(target->paths[i], &st) < 0 ||
			statvfs(target->paths[i], &fs) < 0)
			continue;
		for (int k = 0; k < n; k++)
			is_new = is_new && seen[k] != st.st_dev;
		if (!is_new)
			continue;
		seen[n++] = st.st_dev;
		usage->fs_bytes += (uint64_t)(fs.f_blocks - fs.f_bfree) * fs.f_frsize;
		usage->fs_files += (uint64_t)(fs.f_files - fs.f_ffree);
	}
}

static void measure(const struct rh_usage_target *target, const struct rh_cgroups *cgroups,
	struct rh_usage *usage)
{
	int64_t began_ms = rh_now_ms();
	int64_t deadline_ms = began_ms + RH_USAGE_WALK_MS;

	for (int i = 0; i < RH_USAGE_PATHS; i++) {
		uint64_t before = usage->disk_bytes;

		if (target->paths[i])
			rh_usage_walk(target->paths[i], deadline_ms, &usage->disk_bytes,
				&usage->disk_files);
		if (i == RH_USAGE_TOOLS)
			usage->tools_bytes = usage->disk_bytes - before;
	}
	count_deleted(cgroups, deadline_ms, &usage->disk_bytes, &usage->disk_files);
	usage->measure_ms = (uint64_t)(rh_now_ms() - began_ms);
	usage->measured = true;
}

/*
 * The agent sleeps until a new step executes its program. A job's root can stop that process before
 * it does, and the agent with it; from here it can be seen, and ended.
 */
static void look_for_suspect(const struct rh_usage_target *target, struct rh_usage *usage)
{
	struct rh_proc_stat stat;
	char path[64];
	char children[4096];
	_cleanup_(rh_closep) int pidfd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)target->init,
		(int)target->init);
	if (rh_proc_stat(target->init, &stat) < 0 || stat.state != 'D' ||
		rh_read_file_at(AT_FDCWD, path, children, sizeof(children)) <= 0)
		return;
	for (char *at = children; *at;) {
		pid_t pid = (pid_t)strtol(at, &at, 10);

		at += strspn(at, " \n");
		if (pid > 0 && rh_proc_stat(pid, &stat) == 0 && stat.ppid == target->init &&
			(stat.state == 'T' || stat.state == 't')) {
			usage->suspect = pid;
			break;
		}
	}
	if (usage->suspect == 0 || usage->suspect != target->suspect)
		return;
	/* Twice in a row: its number is held now, and it is still the same. */
	pidfd = rh_pidfd_open(usage->suspect);
	if (pidfd >= 0 && rh_proc_stat(usage->suspect, &stat) == 0 && stat.ppid == target->init)
		usage->killed = syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0;
}

void rh_usage_take(const struct rh_usage_target *target, struct rh_usage *ret_usage)
{
	struct rh_usage usage = {.pids_max = RH_CGROUP_UNKNOWN};
	struct rh_cgroups cgroups;
	char path[64];
	char text[1024];

	if (rh_cgroups_of(target->init, &cgroups) == 0) {
		uint64_t hits =
			rh_cgroup_number(&cgroups, RH_CONTROLLER_PIDS, "pids.events", "max ");

		usage.n_pids = rh_cgroup_number(&cgroups, RH_CONTROLLER_PIDS, "pids.current", "");
		usage.pids_max = rh_cgroup_number(&cgroups, RH_CONTROLLER_PIDS, "pids.max", "");
		usage.pids_hits = hits == RH_CGROUP_UNKNOWN ? 0 : hits;
		if (target->measure)
			measure(target, &cgroups, &usage);
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/io", (int)target->worker);
	if (rh_read_file_at(AT_FDCWD, path, text, sizeof(text)) > 0)
		usage.output_bytes = number_after(text, "rchar: ");
	add_file_systems(target, &usage);
	look_for_suspect(target, &usage);
	*ret_usage = usage;
}
