/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the container's memory cgroup says.
 *
 *              version 2 (unified)          version 1
 *   kills      memory.events: oom_kill N    memory.oom_control: oom_kill N (4.13)
 *   limit      memory.max                   memory.limit_in_bytes
 *   peak       memory.peak (5.19)           memory.max_usage_in_bytes
 *
 * In a cgroup namespace of its own, and always with version 1, the container's cgroup is what is
 * mounted; in the host's namespace /proc/self/cgroup tells the path below.
 */

#include "broker/agent/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runnerhub/cleanup.h"

#define MIB (UINT64_C(1) << 20)

/* Version 1 says "no limit" by a huge number: LONG_MAX rounded down to a page. */
#define CGROUP_V1_UNLIMITED (UINT64_C(1) << 60)

static int open_below(const char *root, const char *below, const char *name)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/%s/%s", root, below, name);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -1;
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool open_v2(struct rh_cgroup *cgroup, const char *root, const char *below)
{
	cgroup->events_fd = open_below(root, below, "memory.events");
	if (cgroup->events_fd < 0)
		return false;
	cgroup->limit_fd = open_below(root, below, "memory.max");
	cgroup->peak_fd = open_below(root, below, "memory.peak");
	return true;
}

static void open_v1(struct rh_cgroup *cgroup, const char *root)
{
	cgroup->events_fd = open_below(root, "memory", "memory.oom_control");
	cgroup->limit_fd = open_below(root, "memory", "memory.limit_in_bytes");
	cgroup->peak_fd = open_below(root, "memory", "memory.max_usage_in_bytes");
}

/* The path of "0::/path", the unified hierarchy's line. */
static bool unified_path(const char *membership, char *ret_path, size_t size)
{
	for (const char *line = membership; line;) {
		const char *end = strchr(line, '\n');

		if (strncmp(line, "0::/", 4) == 0) {
			const char *path = line + strlen("0::");
			size_t n = end ? (size_t)(end - path) : strlen(path);

			if (n >= size)
				return false;
			memcpy(ret_path, path, n);
			ret_path[n] = '\0';
			return true;
		}
		line = end ? end + 1 : NULL;
	}
	return false;
}

void rh_cgroup_init(struct rh_cgroup *cgroup, const char *root, const char *membership)
{
	char below[2048];

	*cgroup = (struct rh_cgroup){.events_fd = -1, .limit_fd = -1, .peak_fd = -1};
	if (unified_path(membership, below, sizeof(below)) && open_v2(cgroup, root, below))
		return;
	if (!open_v2(cgroup, root, "."))
		open_v1(cgroup, root);
}

void rh_cgroup_deinit(struct rh_cgroup *cgroup)
{
	rh_close(cgroup->events_fd);
	rh_close(cgroup->limit_fd);
	rh_close(cgroup->peak_fd);
	*cgroup = (struct rh_cgroup){.events_fd = -1, .limit_fd = -1, .peak_fd = -1};
}

/* The number behind @key (which may be "") at the start of a line, else @missing. */
static uint64_t read_number(int fd, const char *key, uint64_t missing)
{
	char text[1024];
	ssize_t n = fd >= 0 ? pread(fd, text, sizeof(text) - 1, 0) : -1;

	if (n <= 0)
		return missing;
	text[n] = '\0';
	for (const char *line = text; line;) {
		const char *end = strchr(line, '\n');
		const char *digits = line + strlen(key);

		if (strncmp(line, key, strlen(key)) == 0 && *digits >= '0' && *digits <= '9')
			return strtoull(digits, NULL, 10);
		line = end ? end + 1 : NULL;
	}
	return missing;
}

uint64_t rh_cgroup_oom_kills(const struct rh_cgroup *cgroup)
{
	return read_number(cgroup->events_fd, "oom_kill ", 0);
}

uint64_t rh_cgroup_limit(const struct rh_cgroup *cgroup)
{
	/* Version 2 says "max", which is no number. */
	uint64_t bytes = read_number(cgroup->limit_fd, "", RH_CGROUP_NONE);

	return bytes >= CGROUP_V1_UNLIMITED ? RH_CGROUP_NONE : bytes;
}

uint64_t rh_cgroup_peak(const struct rh_cgroup *cgroup)
{
	return read_number(cgroup->peak_fd, "", RH_CGROUP_NONE);
}

void rh_cgroup_explain_oom(const struct rh_cgroup *cgroup, char *ret_text, size_t size)
{
	uint64_t limit = rh_cgroup_limit(cgroup);
	uint64_t peak = rh_cgroup_peak(cgroup);
	char peak_text[48] = "";

	if (peak != RH_CGROUP_NONE)
		(void)snprintf(peak_text, sizeof(peak_text), " (peak %" PRIu64 " MiB)", peak / MIB);
	if (limit == RH_CGROUP_NONE)
		(void)snprintf(ret_text, size,
			"runnerhub: killed by the kernel's OOM killer: the host ran out of "
			"memory%s; the container has no limit of its own, set `memory` in its "
			"profile\n",
			peak_text);
	else
		(void)snprintf(ret_text, size,
			"runnerhub: killed by the kernel's OOM killer: the container's memory "
			"limit is %" PRIu64 " MiB%s; raise `memory` of its profile\n",
			limit / MIB, peak_text);
}
