/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Finding a step's program inside the image. Paths come resolved from the host, where the image's
 * programs may live elsewhere.
 */

#include <limits.h>

struct rh_lookup {
	const char *path; /* as asked for */
	const char *step_path; /* PATH of the step, searched first */
	const char *image_path; /* then this one */
};

/**
 * rh_lookup_program() - what to execute
 * @ret_path: written in every case that can be executed or tried
 *
 * A path that exists is taken as it is; the base name of an absolute one that does not or is out of
 * the user's reach, and a bare name, are searched for. A relative path with a slash is what it
 * says. Where a musl image is asked for the runner's glibc node, its node for such images is taken.
 *
 * Context: the forked child, as the step's user, in its directory.
 * Return: 0; -ENOENT if there is none; -EACCES if only files that may not be executed were found;
 * -ENAMETOOLONG.
 */
int rh_lookup_program(const struct rh_lookup *lookup, char ret_path[PATH_MAX]);

/**
 * rh_lookup_alpine_node() - the path of the runner's node for musl images
 * @path: any
 *
 * Pure. Return: 0 if @path ends in externals/nodeNN/bin/node; -ENOENT; -ENAMETOOLONG.
 */
int rh_lookup_alpine_node(const char *path, char ret_path[PATH_MAX]);
