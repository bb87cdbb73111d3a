/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The host's view of _temp while a job has it: a mount of the directory over itself on which no
 * symbolic link is followed. The Worker, which writes and reads there by path, cannot be led away
 * by a link that its job has planted; the job itself has a mount without that. It is made in the
 * Worker's own mount namespace, in which a service may have been started.
 *
 *   attach: what an earlier job left is taken off, a new one put on
 *   retire, once the Worker is gone: taken off; _temp is then swapped for a fresh directory
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/daemon/mount/inside.h"
#include "runnerhub/err.h"

/* Mount namespaces, other than the helper's own, in which views were put. */
#define RH_VIEWS_MAX 64

struct rh_views {
	struct {
		char *work;
		int ns_fd;
	} items[RH_VIEWS_MAX];
	size_t n;
};

/* The views of a helper that ends are found by the next attach of the same runner. */
void rh_views_deinit(struct rh_views *views);

/**
 * rh_view_put() - cover _temp
 * @work:       canonical path of the work directory
 * @temp_fd:    of its _temp, which must be what the Worker finds there, too
 * @worker_pid: held against reuse by @worker_start, clock ticks after boot; 0: no Worker, no view
 *
 * Context: a helper process; one that cannot get home again exits.
 * Return: 1 if it was put; 0 if this kernel has no such mounts (before 5.10); -ESRCH: the Worker is
 * gone; -ESTALE: it has another directory there; negative errno.
 */
int rh_view_put(struct rh_views *views, const struct rh_home *home, const char *work, int temp_fd,
	pid_t worker_pid, uint64_t worker_start);

/**
 * rh_view_drop() - take off whatever views cover _temp, here and where the last one was put
 *
 * Other mounts stay. Return: 0, also if there is none; negative errno.
 */
int rh_view_drop(struct rh_views *views, const struct rh_home *home, const char *work);

/*
 * Is a Worker of this runner alive, whichever it is? One that was started just now and has not come
 * to its _temp yet does not count: a fresh _temp is what it needs.
 */
bool rh_view_in_use(const char *root, const char *work);
