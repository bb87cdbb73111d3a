/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Deleting trees that somebody hostile built.
 */

#include <stdint.h>

struct rh_tree_count {
	uint64_t bytes; /* on disk, of files whose last link went */
	uint64_t n_files; /* everything that is not a directory */
	/* Called now and then while at it; NULL: not wanted. A negative result stops the work. */
	int (*on_progress)(void *arg, const struct rh_tree_count *count);
	void *arg;
	uint64_t n_seen; /* private */
};

/**
 * rh_tree_delete() - delete @name in @dir_fd, whatever it is
 * @count: added to
 *
 * Links are never followed, mounts never entered, immutable flags are taken off. Descriptors and
 * memory do not grow with depth or size. What cannot be deleted is left and the first reason
 * returned, but everything else goes.
 * Context: a helper process. Return: 0 (also if it does not exist); negative errno.
 */
int rh_tree_delete(int dir_fd, const char *name, struct rh_tree_count *count);

/* The same for everything in a directory, but not for itself. */
int rh_tree_empty(int dir_fd, struct rh_tree_count *count);

/* Takes the immutable and append-only flags off a file or directory. Return: 0; negative errno. */
int rh_tree_unlock(int dir_fd, const char *name);
