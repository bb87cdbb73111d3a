/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Processes of ours: each belongs to the broker, to a runner's Worker, or to a container that is
 * there. Source: proc(5).
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/cli/doctor/verify/verify.h"
#include "broker/daemon/ipc/procfs.h"
#include "runnerhub/limits.h"

#define FAMILY_MAX 8 /* from a helper up to the broker there are two */

struct places {
	char broker[PATH_MAX]; /* its program, "" if none runs */
	char hook[PATH_MAX];
	pid_t pid; /* the broker's */
};

static void close_dirp(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

static bool read_exe(const struct rh_verify *verify, pid_t pid, char exe[PATH_MAX])
{
	static const char deleted[] = " (deleted)";
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/proc/%d/exe", verify->doctor->host, (int)pid);

	ssize_t n = readlink(path, exe, PATH_MAX - 1);

	if (n <= 0)
		return false;
	exe[n] = '\0';
	if ((size_t)n > strlen(deleted) && strcmp(exe + n - strlen(deleted), deleted) == 0)
		exe[(size_t)n - strlen(deleted)] = '\0'; /* replaced by an update since */
	return true;
}

static pid_t parent_of(const struct rh_verify *verify, pid_t pid)
{
	struct rh_proc_stat stat = {0};
	char path[64], text[4096];

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (rh_look_host(verify->doctor, path, text, sizeof(text)) < 0 ||
		rh_proc_parse_stat(text, &stat) < 0)
		return 0;
	return stat.ppid;
}

static bool is_below(const struct rh_verify *verify, pid_t pid, pid_t top)
{
	for (int i = 0; i < FAMILY_MAX && pid > 1; i++) {
		if (pid == top)
			return true;
		pid = parent_of(verify, pid);
	}
	return false;
}

/* <root>/bin/Runner.Worker or <root>/bin.VERSION/Runner.Worker of a registered runner. */
static bool is_worker(const struct rh_verify *verify, const char *exe)
{
	for (size_t i = 0; i < verify->doctor->n_runners; i++) {
		const char *root = verify->doctor->runners[i].root;
		size_t n = strlen(root);
		const char *slash = NULL;

		if (strncmp(exe, root, n) != 0 || strncmp(exe + n, "/bin", 4) != 0)
			continue;
		slash = strchr(exe + n + 1, '/');
		if (slash && strcmp(slash, "/Runner.Worker") == 0)
			return true;
	}
	return false;
}

/* The container id in /proc/PID/cgroup: its longest run of 64 hexadecimal digits. */
static bool container_of(const struct rh_verify *verify, pid_t pid, char ret_id[65])
{
	char path[64], text[8192];
	size_t n = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	if (rh_look_host(verify->doctor, path, text, sizeof(text)) < 0)
		return false;
	for (const char *at = text; *at; at += n ? n : 1) {
		n = strspn(at, "0123456789abcdef");
		if (n == 64) {
			(void)snprintf(ret_id, 65, "%.64s", at);
			return true;
		}
	}
	return false;
}

static void check_agent(struct rh_verify *verify, pid_t pid)
{
	char id[65] = "", fix[64];

	/* Other installations have agents, too: only of those that are recorded here it is known.
	 */
	if (!container_of(verify, pid, id) || !verify->listed ||
		!rh_verify_find(verify->records, "engineId", id))
		return;
	verify->n_compared++;
	(void)snprintf(fix, sizeof(fix), "kill -KILL %d", (int)pid);
	if (!rh_verify_find(verify->listed, "Id", id))
		rh_verify_differs(verify, fix,
			"agent %d of container %.12s lives, and the engine has no such container",
			(int)pid, id);
}

static void check_process(struct rh_verify *verify, const struct places *places, pid_t pid)
{
	char exe[PATH_MAX], above[PATH_MAX] = "", fix[64];

	if (!read_exe(verify, pid, exe))
		return;
	(void)snprintf(fix, sizeof(fix), "kill -KILL %d", (int)pid);
	if (*places->broker && strcmp(exe, places->broker) == 0) {
		verify->n_compared++;
		if (!is_below(verify, pid, places->pid))
			rh_verify_differs(verify, fix,
				"process %d is of %s, and not the broker's (%d)", (int)pid, exe,
				(int)places->pid);
	} else if (strcmp(exe, places->hook) == 0) {
		verify->n_compared++;
		if (!read_exe(verify, parent_of(verify, pid), above) || !is_worker(verify, above))
			rh_verify_differs(verify, fix,
				"hook process %d is no child of a runner's Worker", (int)pid);
	} else if (strcmp(exe, RH_AGENT_PATH) == 0) {
		check_agent(verify, pid);
	}
}

void rh_verify_processes(struct rh_verify *verify)
{
	struct places places = {
		.pid = (pid_t)rh_json_number(rh_json_member(verify->status, "broker"), "pid")};
	char path[PATH_MAX];
	const struct dirent *entry = NULL;

	if (places.pid > 0 && !read_exe(verify, places.pid, places.broker))
		places.broker[0] = '\0';
	(void)snprintf(path, sizeof(path), "%s/runnerhub-hook", verify->doctor->libexec_dir);
	if (!realpath(path, places.hook))
		(void)snprintf(places.hook, sizeof(places.hook), "%s", path);
	(void)snprintf(path, sizeof(path), "%s/proc", verify->doctor->host);

	_cleanup_(close_dirp) DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0)
			check_process(verify, &places, pid);
	}
}
