/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Deleting in the background: the trash of a work directory, a container's own directory.
 */

#include <stdbool.h>

#include "broker/daemon/mount/tree.h"

/* Deletes what is in <work>/_runnerhub/trash. Return: 0; the first reason why something stays. */
int rh_sweep_trash(const char *work, struct rh_tree_count *count);

/* Deletes <parent>/<name>. Return: 0; -EINVAL: @name is no name; negative errno. */
int rh_sweep_remove(const char *parent, const char *name, struct rh_tree_count *count);

/* Makes <parent>/<name> with socket/ and the overlay's directories; @parent too if it is missing.
 * @slot: with its slot, too (slot.h)
 * Return: 0; -EEXIST; negative errno.
 */
int rh_sweep_make(const char *parent, const char *name, bool slot);
