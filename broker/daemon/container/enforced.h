/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is really in force around a container, read back from the kernel: from /proc of its first
 * process, which every step inherits from, and from its control groups. Not from the configuration,
 * nor from what the engine says it has done. Context: any thread.
 */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/daemon/config/config.h"

enum rh_enforced_ns {
	RH_NS_MNT,
	RH_NS_PID,
	RH_NS_IPC,
	RH_NS_UTS,
	RH_NS_NET,
	RH_NS_CGROUP,
	RH_NS_USER,
	RH_NS_KINDS,
};

#define RH_ENFORCED_MOUNTS 128
#define RH_ENFORCED_LINKS  16

struct rh_enforced_mount {
	char target[512];
	char type[32];
	char options[160]; /* of the mount, as mountinfo has them */
};

struct rh_enforced {
	uint64_t cap_effective, cap_bounding;
	int seccomp; /* mode; 2: filter */
	int n_filters; /* -1: this kernel does not say */
	bool no_new_privs;
	char apparmor[128]; /* "": none */
	char uid_map[128];
	uint64_t core_max; /* hard limit */
	uint64_t nofile_max;
	uint64_t fsize_max; /* of one file */
	uint64_t namespaces[RH_NS_KINDS]; /* their numbers */
	bool own[RH_NS_KINDS]; /* other than the broker's */
	int cgroup_version;
	uint64_t memory, memory_swap, pids; /* cgroups.h's unlimited and unknown */
	double cpus; /* 0: no limit; -1: unknown */
	uint64_t root_bytes; /* size of the root's file system as seen inside: a quota's, if one is
				set */
	size_t n_mounts;
	struct rh_enforced_mount mounts[RH_ENFORCED_MOUNTS];
	size_t n_links; /* network interfaces */
	char links[RH_ENFORCED_LINKS][16];
	char firewall[32]; /* of its network, as the broker says; "": none of ours */
	size_t n_addresses;
	char addresses[RH_ENFORCED_LINKS][48];
};

/* Return: 0; negative errno if the process is gone. */
int rh_enforced_read(pid_t pid, struct rh_enforced *ret_enforced);

/* What the job's own directories are to have. */
struct rh_enforced_wanted {
	const struct rh_profile *profile;
	const char *workspace; /* mount point of <work>/<repo> */
	bool id_mapped;
};

/**
 * rh_enforced_check() - compare with what the profile asks for
 *
 * Less than that is a difference, more is not. What this kernel does not tell is none.
 * Return: how many differences; @ret_text has them, or as many as fit, separated by "; ".
 */
int rh_enforced_check(const struct rh_enforced *enforced, const struct rh_enforced_wanted *wanted,
	char *ret_text, size_t size);

/* For the store and for people. NULL if out of memory. */
struct json_object *rh_enforced_to_json(const struct rh_enforced *enforced);

/* Bit of capabilities(7); names without CAP_. Return: -1: no such; NULL: no such. */
int rh_capability_number(const char *name);
const char *rh_capability_name(int number);
