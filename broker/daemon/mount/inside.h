/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a helper does in a container's mount namespace. Its file tree is an image's: hostile.
 */

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

#include "runnerhub/err.h"

/* The way home. */
struct rh_home {
	int ns_fd; /* the helper's own mount namespace */
	int root_fd;
};

#define RH_HOME_INIT                       \
	{                                  \
		.ns_fd = -1, .root_fd = -1 \
	}

int rh_home_open(struct rh_home *ret_home);
void rh_home_close(struct rh_home *home);
/* Back to the own namespace, root and "/". A helper that cannot get home must exit. */
int rh_home_return(const struct rh_home *home);

/**
 * rh_inside_open() - the mount namespace of a process
 * @ret_root_fd: its root directory, O_PATH
 *
 * Return: descriptor; -ESRCH: it is gone; -EXDEV: it shares the helper's own namespace.
 */
int rh_inside_open(const struct rh_home *home, pid_t pid, int *ret_root_fd);

#define RH_INSIDE_SKELETONS 2

struct rh_inside {
	int root_fd; /* the container's, after setns(2) */
	uid_t uid; /* owner of the directories that are made from @owned_from on */
	gid_t gid;
	struct {
		const char *path;
		int fd; /* root of the mount */
	} skeletons[RH_INSIDE_SKELETONS];
	size_t n_skeletons;
};

#define RH_INSIDE_INIT        \
	{                     \
		.root_fd = -1 \
	}

/* Enters; @inside->root_fd is set. Return: 0; negative errno. */
int rh_inside_enter(struct rh_inside *inside, int ns_fd);
void rh_inside_deinit(struct rh_inside *inside);

/**
 * rh_inside_add_skeleton() - a place where mount points cost nothing
 * @path: borrowed; a directory that is to hold them
 *
 * If the image does not have it, it is made and a small tmpfs is mounted there: a directory in it
 * takes microseconds, one in an engine's image layers up to a quarter of a millisecond.
 * Return: 0, also if there is none to be had; negative errno if @path cannot be made.
 */
int rh_inside_add_skeleton(struct rh_inside *inside, const char *path);

/**
 * rh_inside_make_dir() - open a directory of the container, make what is missing of it
 * @path:       absolute; links are resolved within the container's root
 * @owned_from: directories whose path is at least that long are given to @inside->uid
 *
 * Return: an O_PATH descriptor; negative errno.
 */
int rh_inside_make_dir(const struct rh_inside *inside, const char *path, size_t owned_from);

/**
 * rh_inside_agent_dir() - open the directory of the agent's socket
 * @host: what stat(2) says of it on the host
 *
 * Proof that this is the container that was meant: no other has this directory mounted, and it
 * has it only until its one lease.
 * Return: an O_PATH descriptor; -ESTALE: it is another one, or was attached before.
 */
struct stat;
int rh_inside_agent_dir(const struct rh_inside *inside, const struct stat *host);

/* Detaches the mount that @fd is the root of. Changes the working directory. */
int rh_inside_detach(int fd);
