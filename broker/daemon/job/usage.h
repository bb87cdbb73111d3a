/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a job uses of the host, looked at from outside: processes, output, disk. No libuv.
 *
 * Disk is measured when it could have passed its limit, and only then: as long as what its file
 * systems have grown by since the last measurement is less than what the job still may, nobody
 * needs to walk its trees. Where the engine's storage driver keeps a quota, that comes first.
 *
 * A look that ran out of time is no measurement: what it has counted is the least that there is,
 * and says only that a limit was passed, never that it was not.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/daemon/container/cgroups.h"

#define RH_USAGE_PATHS 4
#define RH_USAGE_TOOLS 1 /* the one that holds the tool cache's changes */

/* What to look at. Owned strings. */
struct rh_usage_target {
	pid_t init; /* of the container */
	pid_t worker;
	char *paths[RH_USAGE_PATHS]; /* trees that the job fills; NULL: none */
	bool measure; /* walk them */
	bool only; /* and nothing else */
	int64_t budget_ms; /* for that */
	uint64_t files_max; /* counting may end above it; 0: no limit */
	const atomic_bool *stop; /* set by anybody who no longer wants to know; or NULL */
	pid_t suspect; /* that was seen stopped before its program began, or 0 */
};

struct rh_usage {
	uint64_t n_pids;
	uint64_t pids_max;
	uint64_t pids_hits; /* how often a process was refused, since the container began */
	uint64_t output_bytes; /* that the Worker has read in its life; 0: not known */
	uint64_t fs_bytes, fs_files; /* in use on the file systems of the trees, by anybody */
	bool measured; /* all was counted */
	bool cut; /* it was not: the next three are the least that there is */
	bool too_deep, too_many; /* of rh_usage_count */
	uint64_t disk_bytes, disk_files;
	uint64_t tools_bytes; /* of the container's own directory: changes to the tool cache */
	uint64_t measure_ms;
	pid_t suspect;
	bool killed; /* the suspect was, for keeping the agent waiting */
};

/* Finds the container's writable layer and sets it as the first path, if there is one. */
void rh_usage_find_layer(struct rh_usage_target *target);
void rh_usage_target_deinit(struct rh_usage_target *target);

/**
 * rh_usage_take() - look
 *
 * Context: worker thread; walks for at most the target's budget.
 */
void rh_usage_take(const struct rh_usage_target *target, struct rh_usage *ret_usage);

#define RH_USAGE_MOUNTINFO ((size_t)256 * 1024)

/* The value of "upperdir=" of the mount at "/", from the text of mountinfo. Return: false: none. */
bool rh_usage_upper_of(const char *mountinfo, char *ret_path, size_t size);

/* usage_walk.c, usage_held.c */

#define RH_USAGE_DEPTH 128 /* open directories */
#define RH_USAGE_LATER 128 /* trees below those that wait to be walked */
#define RH_USAGE_HELD  ((size_t)1024 * 1024) /* deleted files that are held */

struct rh_usage_count {
	int64_t deadline_ms;
	const atomic_bool *stop; /* as the target's */
	uint64_t files_max; /* likewise */
	uint64_t bytes, files;
	bool cut; /* there is more than was counted */
	bool failed; /* likewise, and that is no fault of the job */
	bool too_deep; /* more than RH_USAGE_LATER trees are deeper than RH_USAGE_DEPTH */
	bool too_many; /* more than RH_USAGE_HELD */
};

/* Whether to count on; notes that the time is over. */
bool rh_usage_goes_on(struct rh_usage_count *count);
/* Something could not be looked at; notes whether that is for want of memory or descriptors. */
void rh_usage_failed(struct rh_usage_count *count, int error);

/* Adds a tree's disk space and entries. Other file systems and what links name are left out. */
void rh_usage_walk(const char *path, struct rh_usage_count *count);
/* Adds the deleted files that processes of a control group hold. */
void rh_usage_count_held(const struct rh_cgroups *cgroups, struct rh_usage_count *count);
/* Adds the engine's own files that are mounted in the container: /etc/hosts and its like. */
void rh_usage_count_engine(pid_t init, struct rh_usage_count *count);
/**
 * rh_usage_engine_file() - the mount point of the next one of these
 * @ret_path: without escapes; "" if it does not fit
 *
 * Return: where to go on in the text; NULL: there is no more.
 */
const char *rh_usage_engine_file(const char *mountinfo, char *ret_path, size_t size);
