/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The parent of the mount helpers: forked from the broker while that has one thread only, it forks
 * helpers then and later, when the broker has many.
 */

#include <sys/types.h>

#include "broker/daemon/mount/protocol.h"
#include "runnerhub/err.h"

struct rh_zygote {
	pid_t pid;
	int pidfd;
	int fd;
};

#define RH_ZYGOTE_INIT                           \
	{                                        \
		.pid = -1, .pidfd = -1, .fd = -1 \
	}

/* Context: single-threaded start-up. Return: 0; negative errno. */
int rh_zygote_fork(struct rh_zygote *ret_zygote);

#define RH_ZYGOTE_OPTION "--mount-zygote"

/**
 * rh_zygote_exec() - another one, when threads have been started
 * @program: run as PROGRAM --mount-zygote PID; it calls rh_zygote_main()
 *
 * A fork of a process with threads may do little; what executes a program of its own may do all.
 * Context: loop thread; returns when the program is executed. Return: 0; negative errno.
 */
int rh_zygote_exec(const char *program, struct rh_zygote *ret_zygote);

/* Be the zygote of the process @parent (decimal), whose socket is descriptor 3. */
_Noreturn void rh_zygote_main(const char *parent);

/**
 * rh_zygote_spawn() - a new helper
 * @ret_fd: the broker's end of its socket, non-blocking
 *
 * The helper of that kind that there may be is killed.
 * Context: any. Return: 0; negative errno: -EPIPE if the zygote is dead.
 */
int rh_zygote_spawn(const struct rh_zygote *zygote, enum rh_mount_helper_kind kind, int *ret_fd);

/* Tells it to end with its helpers. The caller waits on @pidfd, then calls rh_zygote_reap(). */
void rh_zygote_end(const struct rh_zygote *zygote);
/* For one that did not: its helpers are killed with it. */
void rh_zygote_kill(const struct rh_zygote *zygote);
void rh_zygote_reap(struct rh_zygote *zygote);
