/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The functions in front of libc's. They run in vfork children of a many-threaded process, whose
 * memory they share: stack and constants only.
 *
 * .NET starts every process with execve(2): that one is relayed. Each other way to start a program
 * is refused in a Worker, and passes through everywhere else.
 */

#include <alloca.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include "state.h"

/* Words of an exec whose argv[0] is not its path: .NET never does that, so few suffice. */
#define RELAY_WORDS_MAX 64

static int fail(int error)
{
	return errno = error, -1;
}

static int next_execve(const char *path, char *const argv[], char *const envp[])
{
	if (rh_state.next.execve)
		return rh_state.next.execve(path, argv, envp);
	return (int)syscall(SYS_execve, path, argv, envp);
}

/*
 * Executes the verb that the policy says, with the caller's arrays: the verb is the file's name,
 * the program is argv[0]. What fails reads "permission denied", never as a missing program.
 */
static int relay(const char *path, char *const argv[], char *const envp[])
{
	char cwd[PATH_MAX], *words[RELAY_WORDS_MAX + 1];
	struct rh_exec exec = {
		.path = path, .argv = argv, .cwd = "", .marker = rh_policy_marker(envp)};
	int saved_errno = errno;

	if (!path)
		return fail(EFAULT);
	/* The system call itself: glibc's getcwd() may allocate. */
	if (syscall(SYS_getcwd, cwd, sizeof(cwd)) > 0)
		exec.cwd = cwd;

	enum rh_verdict verdict = rh_policy_decide(&rh_state.policy, &exec);
	const char *verb = rh_state.verbs[verdict];

	if ((verdict == RH_VERDICT_RELAY && rh_weakened("relay")) ||
		(verdict == RH_VERDICT_JOB_COMPLETED && rh_weakened("hook-as-given")))
		return next_execve(path, argv, envp);
	if (!argv || !argv[0] || strcmp(argv[0], path) != 0) {
		size_t n = 1;

		words[0] = (char *)(uintptr_t)path;
		for (; argv && argv[0] && argv[n]; n++) {
			if (n == RELAY_WORDS_MAX)
				return fail(E2BIG);
			words[n] = argv[n];
		}
		words[n] = NULL;
		argv = words;
	}
	errno = saved_errno;
	(void)next_execve(verb, argv, envp);
	return fail(errno == E2BIG ? E2BIG : EACCES);
}

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	if (rh_state.mode == RH_MODE_INERT)
		return next_execve(path, argv, envp);
	return rh_state.mode == RH_MODE_ARMED ? relay(path, argv, envp) : fail(EACCES);
}

/* A function that is refused in a Worker and passes through in every other process. */
#define PASS(type, name, failed, params, ...)                                 \
	EXPORT type name params                                               \
	{                                                                     \
		int error = rh_state.mode == RH_MODE_INERT ? ENOSYS : EACCES; \
                                                                              \
		if (error == ENOSYS && rh_state.next.name)                    \
			return rh_state.next.name(__VA_ARGS__);               \
		return failed;                                                \
	}
PASS(int, execv, fail(error), (const char *path, char *const argv[]), path, argv)
PASS(int, execvp, fail(error), (const char *file, char *const argv[]), file, argv)
PASS(int, execvpe, fail(error), (const char *file, char *const argv[], char *const envp[]), file,
	argv, envp)
PASS(int, fexecve, fail(error), (int fd, char *const argv[], char *const envp[]), fd, argv, envp)
PASS(int, posix_spawn, error,
	(pid_t * pid, const char *path, const posix_spawn_file_actions_t *file_actions,
		const posix_spawnattr_t *attrp, char *const argv[], char *const envp[]),
	pid, path, file_actions, attrp, argv, envp)
PASS(int, posix_spawnp, error,
	(pid_t * pid, const char *file, const posix_spawn_file_actions_t *file_actions,
		const posix_spawnattr_t *attrp, char *const argv[], char *const envp[]),
	pid, file, file_actions, attrp, argv, envp)
PASS(int, system, fail(error), (const char *command), command)
PASS(FILE *, popen, (errno = error, NULL), (const char *command, const char *modes), command, modes)

EXPORT int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
	if (rh_state.mode != RH_MODE_INERT)
		return fail(EACCES);
	return (int)syscall(SYS_execveat, fd, path, argv, envp, flags);
}

/* An execl…() collects its words in its own frame, as libc's does. */
#define EXECL(name, first, has_envp, call)                                    \
	EXPORT int name(const char *first, const char *arg, ...)              \
	{                                                                     \
		va_list ap;                                                   \
		size_t n = 1;                                                 \
		va_start(ap, arg);                                            \
		for (const char *w = arg; w; n++)                             \
			w = va_arg(ap, const char *);                         \
		va_end(ap);                                                   \
		char **argv = alloca(n * sizeof(char *));                     \
		va_start(ap, arg);                                            \
		argv[0] = (char *)(uintptr_t)arg;                             \
		for (size_t i = 1; i < n; i++)                                \
			argv[i] = va_arg(ap, char *);                         \
		char *const *envp = has_envp ? va_arg(ap, char *const *) : 0; \
		va_end(ap);                                                   \
		(void)envp;                                                   \
		return call;                                                  \
	}
EXECL(execl, path, 0, execv(path, argv))
EXECL(execlp, file, 0, execvp(file, argv))
EXECL(execle, path, 1,
	rh_state.mode == RH_MODE_INERT ? next_execve(path, argv, envp) : fail(EACCES))
