/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the container's memory cgroup says: kills, limit, peak. Version 1 and 2 behind one face;
 * without either, every answer is "unknown". The files are opened once, at start, before anything
 * of a job could mount over them.
 */

#include <stddef.h>
#include <stdint.h>

#define RH_CGROUP_NONE UINT64_MAX /* no limit, or unknown */

struct rh_cgroup {
	int events_fd;
	int limit_fd;
	int peak_fd;
};

/**
 * rh_cgroup_init() - find the files
 * @root:       where cgroups are mounted, "/sys/fs/cgroup"
 * @membership: text of /proc/self/cgroup, for a container in the host's cgroup namespace
 *
 * Source: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst
 */
void rh_cgroup_init(struct rh_cgroup *cgroup, const char *root, const char *membership);
void rh_cgroup_deinit(struct rh_cgroup *cgroup);

/* Processes that the kernel's OOM killer took in this cgroup so far; 0 if unknown. */
uint64_t rh_cgroup_oom_kills(const struct rh_cgroup *cgroup);
/* Bytes, or RH_CGROUP_NONE. */
uint64_t rh_cgroup_limit(const struct rh_cgroup *cgroup);
uint64_t rh_cgroup_peak(const struct rh_cgroup *cgroup);

/* Writes the line that tells a step's reader of an OOM kill, with its newline. */
void rh_cgroup_explain_oom(const struct rh_cgroup *cgroup, char *ret_text, size_t size);
