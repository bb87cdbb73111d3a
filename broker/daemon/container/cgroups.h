/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where the kernel keeps a container's control groups, seen from the host. Both layouts:
 *
 *   version 1   N:pids:/docker/ID   ──▶ <root>/pids/docker/ID
 *   version 2   0::/docker/ID       ──▶ <root>/docker/ID
 *
 * A hybrid host has both lines; the controllers are then in version 1. Context: any thread.
 */

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

enum rh_controller {
	RH_CONTROLLER_CPU,
	RH_CONTROLLER_MEMORY,
	RH_CONTROLLER_PIDS,
	RH_CONTROLLERS,
};

struct rh_cgroups {
	int version; /* 1 or 2 */
	char paths[RH_CONTROLLERS][PATH_MAX]; /* "": there is none */
};

#define RH_CGROUPS_ROOT "/sys/fs/cgroup"

/**
 * rh_cgroups_parse() - the places, from the text of /proc/PID/cgroup
 * @root: where control groups are mounted
 *
 * Return: 0; -EPROTO if no controller was found.
 */
int rh_cgroups_parse(const char *root, const char *membership, struct rh_cgroups *ret_cgroups);
/* Of a process. Return: 0; negative errno. */
int rh_cgroups_of(pid_t pid, struct rh_cgroups *ret_cgroups);

#define RH_CGROUP_UNKNOWN   UINT64_MAX
#define RH_CGROUP_UNLIMITED (UINT64_MAX - 1)

/**
 * rh_cgroup_number() - one number of one file
 * @key: "max " of "max 12" in a file of several lines; "" for a file that holds just a number
 *
 * Return: the number; RH_CGROUP_UNLIMITED for "max" and for version 1's huge number;
 * RH_CGROUP_UNKNOWN.
 */
uint64_t rh_cgroup_number(const struct rh_cgroups *cgroups, enum rh_controller controller,
	const char *file, const char *key);
