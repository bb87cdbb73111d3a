/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a job uses of the host. Everything read here is a job's or of a job's making: trees are
 * walked by descriptors and without following links, numbers of processes that are gone are left
 * out.
 */

#include "broker/daemon/job/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/daemon/container/cgroups.h"
#include "broker/daemon/ipc/procfs.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"
#include "runnerhub/fd.h"

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
	_cleanup_(rh_freep) char *text = malloc(RH_USAGE_MOUNTINFO);
	char path[64];
	char upper[4096];

	(void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)target->init);
	if (text && rh_read_file_at(AT_FDCWD, path, text, RH_USAGE_MOUNTINFO) > 0 &&
		rh_usage_upper_of(text, upper, sizeof(upper)))
		target->paths[0] = strdup(upper);
}

void rh_usage_target_deinit(struct rh_usage_target *target)
{
	for (int i = 0; i < RH_USAGE_PATHS; i++)
		free(rh_steal(&target->paths[i]));
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

/* The files of the engine are few and come first: a tree without end must not hide them. */
static void measure(const struct rh_usage_target *target, const struct rh_cgroups *cgroups,
	struct rh_usage *usage)
{
	int64_t began_ms = rh_now_ms();
	struct rh_usage_count count = {
		.deadline_ms = began_ms + target->budget_ms,
		.stop = target->stop,
		.files_max = target->files_max,
	};

	rh_usage_count_engine(target->init, &count);
	for (int i = 0; i < RH_USAGE_PATHS && rh_usage_goes_on(&count); i++) {
		uint64_t before = count.bytes;

		if (target->paths[i])
			rh_usage_walk(target->paths[i], &count);
		if (i == RH_USAGE_TOOLS)
			usage->tools_bytes = count.bytes - before;
	}
	if (rh_usage_goes_on(&count))
		rh_usage_count_held(cgroups, &count);
	usage->disk_bytes = count.bytes;
	usage->disk_files = count.files;
	usage->too_deep = count.too_deep;
	usage->too_many = count.too_many;
	usage->cut = count.cut;
	usage->measured = !count.cut && !count.failed;
	usage->measure_ms = (uint64_t)(rh_now_ms() - began_ms);
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

static void take_rest(const struct rh_usage_target *target, const struct rh_cgroups *cgroups,
	struct rh_usage *usage)
{
	char path[64];
	char text[1024];

	if (cgroups) {
		uint64_t hits =
			rh_cgroup_number(cgroups, RH_CONTROLLER_PIDS, "pids.events", "max ");

		usage->n_pids = rh_cgroup_number(cgroups, RH_CONTROLLER_PIDS, "pids.current", "");
		usage->pids_max = rh_cgroup_number(cgroups, RH_CONTROLLER_PIDS, "pids.max", "");
		usage->pids_hits = hits == RH_CGROUP_UNKNOWN ? 0 : hits;
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/io", (int)target->worker);
	if (rh_read_file_at(AT_FDCWD, path, text, sizeof(text)) > 0)
		usage->output_bytes = number_after(text, "rchar: ");
	add_file_systems(target, usage);
	look_for_suspect(target, usage);
}

void rh_usage_take(const struct rh_usage_target *target, struct rh_usage *ret_usage)
{
	struct rh_usage usage = {.pids_max = RH_CGROUP_UNKNOWN};
	struct rh_cgroups cgroups;
	bool is_there = rh_cgroups_of(target->init, &cgroups) == 0;

	if (is_there && target->measure)
		measure(target, &cgroups, &usage);
	if (!target->only)
		take_rest(target, is_there ? &cgroups : NULL, &usage);
	*ret_usage = usage;
}
