/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where the kernel keeps a container's control groups.
 */

#include "broker/daemon/container/cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runnerhub/err.h"
#include "runnerhub/fd.h"

static const char *const names[RH_CONTROLLERS] = {
	[RH_CONTROLLER_CPU] = "cpu",
	[RH_CONTROLLER_MEMORY] = "memory",
	[RH_CONTROLLER_PIDS] = "pids",
};

/* Version 1 says "no limit" by LONG_MAX rounded down to a page. */
#define V1_UNLIMITED (UINT64_C(1) << 60)

/* Whether @name is one of "cpu,cpuacct". */
static bool has_name(const char *list, size_t size, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = list; at < list + size; at += strcspn(at, ",:") + 1) {
		if (strncmp(at, name, n) == 0 && (at[n] == ',' || at[n] == ':'))
			return true;
	}
	return false;
}

/* "N:controllers:/path". */
static void take_line(const char *root, const char *line, size_t size, struct rh_cgroups *cgroups,
	char unified[PATH_MAX])
{
	const char *list = memchr(line, ':', size);
	const char *path = list ? memchr(list + 1, ':', size - (size_t)(list + 1 - line)) : NULL;

	if (!path)
		return;
	list++;
	path++;

	int path_size = (int)(line + size - path);

	if (path - 1 == list) {
		(void)snprintf(unified, PATH_MAX, "%s%.*s", root, path_size, path);
		return;
	}
	for (int i = 0; i < RH_CONTROLLERS; i++) {
		if (has_name(list, (size_t)(path - list), names[i]))
			(void)snprintf(cgroups->paths[i], PATH_MAX, "%s/%s%.*s", root, names[i],
				path_size, path);
	}
}

int rh_cgroups_parse(const char *root, const char *membership, struct rh_cgroups *ret_cgroups)
{
	char unified[PATH_MAX] = "";

	*ret_cgroups = (struct rh_cgroups){.version = 1};
	for (const char *line = membership; *line;) {
		size_t size = strcspn(line, "\n");

		take_line(root, line, size, ret_cgroups, unified);
		line += size + (line[size] == '\n');
	}
	for (int i = 0; i < RH_CONTROLLERS; i++) {
		if (ret_cgroups->paths[i][0])
			return 0;
	}
	if (!unified[0])
		return rh_origin(-EPROTO);
	ret_cgroups->version = 2;
	for (int i = 0; i < RH_CONTROLLERS; i++)
		memcpy(ret_cgroups->paths[i], unified, sizeof(unified));
	return 0;
}

int rh_cgroups_of(pid_t pid, struct rh_cgroups *ret_cgroups)
{
	char path[64];
	char text[8192];

	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);

	ssize_t n = rh_read_file_at(AT_FDCWD, path, text, sizeof(text));

	return n < 0 ? rh_trace((int)n)
		     : rh_trace(rh_cgroups_parse(RH_CGROUPS_ROOT, text, ret_cgroups));
}

uint64_t rh_cgroup_number(const struct rh_cgroups *cgroups, enum rh_controller controller,
	const char *file, const char *key)
{
	char path[PATH_MAX + 64];
	char text[4096];

	if (!cgroups->paths[controller][0])
		return RH_CGROUP_UNKNOWN;
	(void)snprintf(path, sizeof(path), "%s/%s", cgroups->paths[controller], file);
	if (rh_read_file_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return RH_CGROUP_UNKNOWN;
	for (const char *line = text; line;
		line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		const char *value = line + strlen(key);

		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		if (strncmp(value, "max", 3) == 0)
			return RH_CGROUP_UNLIMITED;
		if (*value >= '0' && *value <= '9') {
			uint64_t number = strtoull(value, NULL, 10);

			return number >= V1_UNLIMITED ? RH_CGROUP_UNLIMITED : number;
		}
	}
	return RH_CGROUP_UNKNOWN;
}
