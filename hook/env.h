/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The environment that a step gets of the one the Worker gave it: what is merely the host's stays
 * on the host.
 *
 * An entry that the Worker was started with, unchanged, is dropped unless its name is listed or
 * begins with GITHUB_ or RUNNER_. RUNNERHUB_* and LD_* are never saved by a list. Of PATH, what
 * stands before the Worker's own is kept: the entries of GITHUB_PATH.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runnerhub/cleanup.h"

struct rh_env_rules {
	char *const *base; /* the Worker's environment at its start, NULL-terminated */
	const char *pass; /* names, or prefixes with *, parted by commas */
	const char *stubs; /* the directory that the preload library puts last in PATH */
};

struct rh_env {
	char **envp; /* NULL-terminated; entries are the caller's, but for PATH */
	char *path; /* the entry of PATH, if it was cut */
	uint32_t flags; /* RH_BLOCK_PATH_PREFIX */
};

/**
 * rh_env_filter() - what passes of @envp
 * @envp: borrowed; must live as long as the result
 *
 * Pure. Return: 0; -ENOMEM.
 */
int rh_env_filter(const struct rh_env_rules *rules, char *const *envp, struct rh_env *ret_env);
void rh_env_deinit(struct rh_env *env);

/* Whether the first @size bytes of @name are in the list. */
bool rh_env_listed(const char *list, const char *name, size_t size);
