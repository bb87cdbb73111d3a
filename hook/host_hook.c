/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The administrator's own job hook.
 */

#include "host_hook.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker.h"
#include "say.h"

#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND      127

static _Noreturn void run_child(const struct rh_block *block, pid_t parent)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(STATUS_NOT_EXECUTABLE); /* it died before the line above */
	if (block->cwd[0] && chdir(block->cwd) < 0) {
		rh_say("the host's own hook %s: its directory %s: %s", block->path, block->cwd,
			strerror(errno));
		_exit(STATUS_NOT_EXECUTABLE);
	}
	(void)execve(block->path, block->argv, block->envp);

	int error = errno;

	rh_say("the host's own hook %s was not run: %s", block->path, strerror(error));
	_exit(error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
}

/* Return: whether the child has ended; then its status. */
static bool reap(pid_t pid, int *ret_status)
{
	int status = 0;

	if (waitpid(pid, &status, WNOHANG) != pid)
		return false;
	*ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return true;
}

int rh_host_hook_run(const struct rh_block *block, int signal_fd)
{
	pid_t self = getpid();
	pid_t pid = fork();
	int status = STATUS_NOT_EXECUTABLE;

	if (pid < 0) {
		rh_say("the host's own hook %s was not run: %s", block->path, strerror(errno));
		return status;
	}
	if (pid == 0)
		run_child(block, self);
	while (!reap(pid, &status)) {
		struct pollfd fds = {.fd = signal_fd, .events = POLLIN};

		if (poll(&fds, 1, -1) <= 0)
			continue;

		int signal = rh_signals_take(signal_fd);

		if (signal != 0 && signal != SIGCHLD)
			(void)kill(pid, signal); /* not reaped yet, so it is still ours */
	}
	return status;
}
