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

#include "runnerhub/weaken.h"
#include "state.h"

#define EXPORT __attribute__((visibility("default")))

/* Words of an exec whose argv[0] is not its path: .NET never does that, so few suffice. */
#define RELAY_WORDS_MAX 64

static int fail(int error)
{
	errno = error;
	return -1;
}

static FILE *fail_null(int error)
{
	errno = error;
	return NULL;
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
	char cwd[PATH_MAX];
	char *words[RELAY_WORDS_MAX + 1];
	struct rh_exec exec = {
		.path = path,
		.argv = argv,
		.cwd = "",
		.marker = rh_policy_marker(envp),
	};
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

/* The rest of a function that passes through in a process that is no Worker. */
#define PASS(name, refused, ...)                        \
	do {                                            \
		if (rh_state.mode != RH_MODE_INERT)     \
			return refused(EACCES);         \
		if (!rh_state.next.name)                \
			return refused(ENOSYS);         \
		return rh_state.next.name(__VA_ARGS__); \
	} while (0)

EXPORT int execv(const char *path, char *const argv[])
{
	PASS(execv, fail, path, argv);
}

EXPORT int execvp(const char *file, char *const argv[])
{
	PASS(execvp, fail, file, argv);
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	PASS(execvpe, fail, file, argv, envp);
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	PASS(fexecve, fail, fd, argv, envp);
}

EXPORT int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
	if (rh_state.mode != RH_MODE_INERT)
		return fail(EACCES);
	return (int)syscall(SYS_execveat, fd, path, argv, envp, flags);
}

/* Declares @argv, the words of an execl…(), in the caller's frame as libc has it. @ap stays open.
 */
#define COLLECT(argv, ap, word)                          \
	va_list ap;                                      \
	size_t n_ = 0;                                   \
                                                         \
	va_start(ap, word);                              \
	for (const char *w_ = word; w_; n_++)            \
		w_ = va_arg(ap, const char *);           \
	va_end(ap);                                      \
	char **argv = alloca((n_ + 1) * sizeof(char *)); \
                                                         \
	va_start(ap, word);                              \
	argv[0] = (char *)(uintptr_t)word;               \
	for (size_t i_ = 0; i_ < n_; i_++)               \
	argv[i_ + 1] = va_arg(ap, char *)

EXPORT int execl(const char *path, const char *arg, ...)
{
	COLLECT(argv, ap, arg);
	va_end(ap);
	return execv(path, argv);
}

EXPORT int execlp(const char *file, const char *arg, ...)
{
	COLLECT(argv, ap, arg);
	va_end(ap);
	return execvp(file, argv);
}

EXPORT int execle(const char *path, const char *arg, ...)
{
	COLLECT(argv, ap, arg);

	char *const *envp = va_arg(ap, char *const *);

	va_end(ap);
	if (rh_state.mode != RH_MODE_INERT)
		return fail(EACCES);
	return next_execve(path, argv, envp);
}

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *file_actions,
	const posix_spawnattr_t *attrp, char *const argv[], char *const envp[])
{
	PASS(posix_spawn, , pid, path, file_actions, attrp, argv, envp);
}

EXPORT int posix_spawnp(pid_t *pid, const char *file,
	const posix_spawn_file_actions_t *file_actions, const posix_spawnattr_t *attrp,
	char *const argv[], char *const envp[])
{
	PASS(posix_spawnp, , pid, file, file_actions, attrp, argv, envp);
}

EXPORT int system(const char *command)
{
	PASS(system, fail, command);
}

EXPORT FILE *popen(const char *command, const char *modes)
{
	PASS(popen, fail_null, command, modes);
}
