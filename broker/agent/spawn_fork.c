/* SPDX-License-Identifier: Apache-2.0 */

/*
 * New processes by a plain fork, with the same promise as spawn_vfork.c: a pipe that the program's
 * start closes tells when it is kept.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/agent/spawn.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"

int rh_spawner_init(struct rh_spawner *spawner)
{
	void *failure = mmap(NULL, sizeof(struct rh_failure), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	*spawner = (struct rh_spawner){0};
	if (failure == MAP_FAILED)
		return rh_origin(-errno);
	spawner->failure = failure;
	return 0;
}

void rh_spawner_deinit(struct rh_spawner *spawner)
{
	if (spawner->failure)
		(void)munmap(spawner->failure, sizeof(*spawner->failure));
	*spawner = (struct rh_spawner){0};
}

pid_t rh_spawn(struct rh_spawner *spawner, int (*run)(void *arg), void *arg)
{
	int fds[2];
	char none;

	spawner->failure->status = 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return rh_origin(-errno);

	pid_t pid = fork();

	if (pid == 0)
		_exit(run(arg));

	int error = errno;

	rh_close(fds[1]);
	/* Nothing is ever written: this returns when the last copy is closed. */
	while (pid > 0 && read(fds[0], &none, 1) < 0 && errno == EINTR)
		continue;
	rh_close(fds[0]);
	return pid < 0 ? rh_origin(-error) : pid;
}
