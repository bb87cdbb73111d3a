/* SPDX-License-Identifier: Apache-2.0 */

/*
 * New processes as vfork(2) makes them, but on a stack of their own: the child borrows the agent's
 * memory until it executes a program. Saves half of what a fork costs a short step.
 *
 * What this asks for, and where it is kept:
 * - The agent sleeps meanwhile, so the child must not wait for anybody: it writes no messages.
 *   A job's root that stops the child in these microseconds (SIGSTOP) stops its own container.
 * - Changing ids makes the shared memory dumpable as fs.suid_dumpable says: the child resets that.
 * - The kernel spares a process in vfork from its OOM killer, and the OOM score is the child's own
 *   (mm/oom_kill.c oom_badness(), fs/proc/base.c __set_oom_adj()).
 * - A core dump would have killed all processes of the memory before Linux 5.16; non-dumpable ones
 *   dump no core.
 */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/agent/spawn.h"
#include "runnerhub/err.h"

#define SPAWN_STACK_SIZE ((size_t)256 * 1024)
#define SPAWN_GUARD_SIZE ((size_t)64 * 1024) /* a whole page, whatever its size */

int rh_spawner_init(struct rh_spawner *spawner)
{
	const int prot = PROT_READ | PROT_WRITE;

	*spawner = (struct rh_spawner){0};

	char *stack = mmap(NULL, SPAWN_GUARD_SIZE + SPAWN_STACK_SIZE, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (stack == MAP_FAILED)
		return rh_origin(-errno);
	spawner->stack = stack;
	if (mprotect(stack + SPAWN_GUARD_SIZE, SPAWN_STACK_SIZE, prot) < 0)
		return rh_origin(-errno);

	void *failure =
		mmap(NULL, sizeof(struct rh_failure), prot, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (failure == MAP_FAILED)
		return rh_origin(-errno);
	spawner->failure = failure;
	return 0;
}

void rh_spawner_deinit(struct rh_spawner *spawner)
{
	if (spawner->stack)
		(void)munmap(spawner->stack, SPAWN_GUARD_SIZE + SPAWN_STACK_SIZE);
	if (spawner->failure)
		(void)munmap(spawner->failure, sizeof(*spawner->failure));
	*spawner = (struct rh_spawner){0};
}

pid_t rh_spawn(struct rh_spawner *spawner, int (*run)(void *arg), void *arg)
{
	char *top = (char *)spawner->stack + SPAWN_GUARD_SIZE + SPAWN_STACK_SIZE;

	spawner->failure->status = 0;

	/* Stacks grow downwards on every architecture this is built for. */
	pid_t pid = clone(run, top, CLONE_VM | CLONE_VFORK | SIGCHLD, arg);

	return pid < 0 ? rh_origin(-errno) : pid;
}
