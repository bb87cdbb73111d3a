/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Running programs of a runner. Source: proc(5).
 */

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "broker/cli/doctor/doctor.h"
#include "broker/daemon/ipc/procfs.h"

static void close_dirp(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

/* <root>/bin/NAME or <root>/bin.VERSION/NAME, also if the file was replaced since. */
static bool is_program(const char *exe, const char *root, const char *name)
{
	size_t n_root = strlen(root), n_name = strlen(name);

	if (strncmp(exe, root, n_root) != 0 || strncmp(exe + n_root, "/bin", 4) != 0)
		return false;

	const char *slash = strchr(exe + n_root + 1, '/');

	return slash && strncmp(slash + 1, name, n_name) == 0 &&
		(slash[1 + n_name] == '\0' || strcmp(slash + 1 + n_name, " (deleted)") == 0);
}

static bool read_exe(const struct rh_doctor *doctor, const char *pid, char exe[PATH_MAX])
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/proc/%s/exe", doctor->host, pid);

	ssize_t n = readlink(path, exe, PATH_MAX - 1);

	exe[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

void rh_process_each(const struct rh_doctor *doctor, const char *root, const char *name,
	void (*fn)(void *arg, const struct rh_process *process), void *arg)
{
	char path[PATH_MAX];
	const struct dirent *entry = NULL;

	(void)snprintf(path, sizeof(path), "%s/proc", doctor->host);

	_cleanup_(close_dirp) DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		struct rh_process process = {.pid = (pid_t)strtol(entry->d_name, NULL, 10)};
		struct rh_proc_stat stat = {0};
		char text[4096];

		if (process.pid <= 0 || !read_exe(doctor, entry->d_name, process.exe) ||
			!is_program(process.exe, root, name))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)process.pid);
		if (rh_look_host(doctor, path, text, sizeof(text)) < 0 ||
			rh_proc_parse_stat(text, &stat) < 0)
			continue;
		process.start_ms = rh_proc_start_wall_ms(stat.start_ticks);
		fn(arg, &process);
	}
}
