/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a job's container is to see, worked out from the attach request alone: no I/O.
 */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "broker/daemon/mount/mount.h"
#include "runnerhub/err.h"

#define RH_PLAN_MAX 8

enum rh_plan_base { RH_PLAN_WORK, RH_PLAN_ROOT };

struct rh_plan_entry {
	enum rh_plan_base base; /* @source is below the work directory or the runner's root */
	char source[NAME_MAX * 2]; /* relative */
	char target[PATH_MAX]; /* absolute, inside the container */
	bool read_only;
	bool create; /* an empty one, the runner's, if it is missing; else it is left out */
	bool map_optional; /* read only and not the job's: may stay unmapped where that fails */
	int below; /* index of the entry that @target lies in, or -1 */
};

enum rh_plan_tools {
	RH_PLAN_TOOLS_NONE,
	RH_PLAN_TOOLS_BELOW_WORK, /* @tools is relative to the work directory */
	RH_PLAN_TOOLS_ELSEWHERE, /* @tools is absolute */
};

struct rh_plan {
	struct rh_plan_entry entries[RH_PLAN_MAX];
	size_t n_entries;
	char workspace[PATH_MAX]; /* relative to the work directory, begins with the repository */
	enum rh_plan_tools tools_kind;
	char tools[PATH_MAX];
	char tools_target[PATH_MAX];
};

/* The real names of the runner's bin and externals: themselves, or where their links lead. */
struct rh_plan_names {
	const char *bin;
	const char *externals;
};

/**
 * rh_plan_make() - check the request and list its mounts
 *
 * Parents come before what lies in them. Where bin or externals is a link, the directory is listed
 * under both of its names: the Worker uses either.
 * Context: any thread. Return: 0; negative errno with @err.
 */
int rh_plan_make(const struct rh_mount_attach *attach, const struct rh_plan_names *names,
	struct rh_plan *plan, struct rh_err *err);

/* A repository's name as a directory below the work directory: 0; -EINVAL with @err. */
int rh_plan_check_repo(const char *repo, struct rh_err *err);

/* One path component that is not "." or "..". */
bool rh_plan_is_name(const char *name);

/* Absolute, without empty, "." or ".." components. */
bool rh_plan_is_path(const char *path);

/* What follows "@dir/" in @path; NULL if it is not below @dir. */
const char *rh_plan_below(const char *dir, const char *path);

/**
 * rh_plan_check_tools() - may this host directory be a tool cache?
 * @path: its canonical name
 *
 * It is shown to jobs, so it must not hold anything else: no system directory, nothing of the
 * runner's own but a directory of its own, no parent of any of them.
 */
int rh_plan_check_tools(const struct rh_mount_attach *attach, const char *path, struct rh_err *err);
