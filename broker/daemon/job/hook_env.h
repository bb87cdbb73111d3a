/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the administrator's own hook gets of the environment that the Worker gives to ours.
 *
 * A job adds variables of any name to later steps' and to the completed hook's ($GITHUB_ENV, env:).
 * The Worker sets its own after them, so these names hold its values.
 */

#include <stdbool.h>
#include <stddef.h>

/* Is this NAME=VALUE one that the Worker itself defines for each hook? */
bool rh_hook_env_is_context(const char *entry);

/**
 * rh_hook_env_copy() - those of @envp that the Worker defines, NUL-separated
 *
 * A name that occurs twice is left out: one of the two is a job's, whose name for it held a '='.
 * Return: allocated; NULL: out of memory.
 */
char *rh_hook_env_copy(char *const *envp, size_t *ret_size);
