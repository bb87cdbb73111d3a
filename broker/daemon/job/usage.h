/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a job uses of the host, looked at from outside: processes, output, disk. No libuv.
 *
 * Disk is measured when it could have passed its limit, and only then: as long as what its file
 * systems have grown by since the last measurement is less than what the job still may, nobody
 * needs to walk its trees. Where the engine's storage driver keeps a quota, that comes first.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define RH_USAGE_PATHS 4
#define RH_USAGE_TOOLS 1 /* the one that holds the tool cache's changes */

/* What to look at. Owned strings. */
struct rh_usage_target {
	pid_t init; /* of the container */
	pid_t worker;
	char *paths[RH_USAGE_PATHS]; /* trees that the job fills; NULL: none */
	bool measure; /* walk them */
	pid_t suspect; /* that was seen stopped before its program began, or 0 */
};

struct rh_usage {
	uint64_t n_pids;
	uint64_t pids_max;
	uint64_t pids_hits; /* how often a process was refused, since the container began */
	uint64_t output_bytes; /* that the Worker has read in its life; 0: not known */
	uint64_t fs_bytes, fs_files; /* in use on the file systems of the trees, by anybody */
	bool measured; /* the next three are valid */
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
 * Context: worker thread; walks for at most RH_USAGE_WALK_MS.
 */
void rh_usage_take(const struct rh_usage_target *target, struct rh_usage *ret_usage);

#define RH_USAGE_WALK_MS 2000

/* The value of "upperdir=" of the mount at "/", from the text of mountinfo. Return: false: none. */
bool rh_usage_upper_of(const char *mountinfo, char *ret_path, size_t size);

/* Adds a tree's disk space and entries; stops at @deadline_ms. Other file systems and what links
 * name are left out. */
void rh_usage_walk(const char *path, int64_t deadline_ms, uint64_t *bytes, uint64_t *files);
