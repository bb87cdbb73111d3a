/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a process with the very calls that .NET makes: all signals blocked around vfork, in the
 * child handlers back to their defaults (what is ignored stays ignored), the mask restored, dup2 of
 * the three streams, chdir, execve. The outcome of chdir and execve comes through a pipe.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/proc.h"
#include "runnerhub/cleanup.h"

/* Linux has 64 signals; two of them belong to glibc, whose sigaction refuses them. */
#define N_SIGNALS 65

static void reset_handlers(void)
{
	for (int sig = 1; sig < N_SIGNALS; sig++) {
		struct sigaction action;

		if (sigaction(sig, NULL, &action) < 0 || action.sa_handler == SIG_IGN ||
			action.sa_handler == SIG_DFL)
			continue;
		action.sa_handler = SIG_DFL;
		action.sa_flags = 0;
		(void)sigaction(sig, &action, NULL);
	}
}

/* The child of vfork: shares the parent's memory and must not return. */
static _Noreturn void child(
	const struct rh_proc_spec *spec, const int stdio[3], const sigset_t *mask, int report_fd)
{
	reset_handlers();
	(void)pthread_sigmask(SIG_SETMASK, mask, NULL);
	for (int fd = 0; fd < 3; fd++)
		while (dup2(stdio[fd], fd) < 0 && errno == EINTR)
			;
	if (chdir(spec->cwd) == 0)
		(void)execve(spec->path, spec->argv, spec->envp);

	int error = errno;

	(void)!write(report_fd, &error, sizeof(error));
	_exit(error);
}

static __attribute__((noinline)) pid_t start(
	const struct rh_proc_spec *spec, const int stdio[3], int report_fd)
{
	sigset_t all, before;

	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);

	/* NOLINTBEGIN(clang-analyzer-unix.Vfork,clang-analyzer-security.insecureAPI.vfork): .NET's
	 * child does more than exec, and so does this. */
	pid_t pid = vfork();

	if (pid == 0)
		child(spec, stdio, &before, report_fd);
	/* NOLINTEND(clang-analyzer-unix.Vfork,clang-analyzer-security.insecureAPI.vfork) */

	int error = errno;

	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid < 0 ? -error : pid;
}

pid_t rh_proc_start(const struct rh_proc_spec *spec, const int stdio[3])
{
	int report[2] = {-1, -1};

	if (access(spec->path, X_OK) < 0 || pipe2(report, O_CLOEXEC) < 0)
		return -errno;

	pid_t pid = start(spec, stdio, report[1]);
	int error = 0;

	rh_close(report[1]);
	if (pid > 0 && read(report[0], &error, sizeof(error)) == (ssize_t)sizeof(error)) {
		(void)waitpid(pid, NULL, 0);
		pid = -error;
	}
	rh_close(report[0]);
	return pid;
}
