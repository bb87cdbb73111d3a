/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * New processes, without the price of copying the agent: the caller waits until the new one has
 * executed a program or is gone. Two files do it: spawn_vfork.c, which ships, and spawn_fork.c for
 * sanitizers, which do not understand two processes in one memory.
 */

#include <stddef.h>
#include <sys/types.h>

/* What went wrong before the program was executed; in memory that both processes see. */
struct rh_failure {
	int status; /* 0: nothing */
	char text[2048]; /* for people */
};

struct rh_spawner {
	void *stack;
	struct rh_failure *failure;
};

/* Return: 0; negative errno. */
int rh_spawner_init(struct rh_spawner *spawner);
void rh_spawner_deinit(struct rh_spawner *spawner);

/**
 * rh_spawn() - run a function in a new process
 * @run: executes a program, or fills in the failure and exits. It may share all memory with the
 *       caller: it writes to its own stack and the failure only, and allocates nothing.
 *
 * Return: the pid, when @run has come to its end; the failure, cleared before, says how. -EAGAIN
 * at the limit of processes; negative errno.
 */
pid_t rh_spawn(struct rh_spawner *spawner, int (*run)(void *arg), void *arg);
