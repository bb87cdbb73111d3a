/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a step inherits of this process.
 */

#include "inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runnerhub/err.h"
#include "runnerhub/fd.h"
#include "runnerhub/limits.h"

/* The runner's own default (ProcessInvoker.cs). */
#define OOM_SCORE_DEFAULT 500
#define OOM_SCORE_MAX     1000

/* Enough for nearly every Worker; doubled where it is not. */
#define ENVIRON_SIZE_FIRST 32768u

int rh_environ_split(char *text, size_t size, struct rh_environ *ret_environ)
{
	size_t n = 0;

	for (size_t at = 0; at < size; at += strlen(text + at) + 1)
		n++;

	char **envp = calloc(n + 1, sizeof(char *));

	if (!envp) {
		free(text);
		return rh_origin(-ENOMEM);
	}
	n = 0;
	for (size_t at = 0; at < size; at += strlen(text + at) + 1)
		envp[n++] = text + at;
	*ret_environ = (struct rh_environ){.envp = envp, .text = text};
	return 0;
}

int rh_environ_read(pid_t pid, struct rh_environ *ret_environ)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	for (size_t size = ENVIRON_SIZE_FIRST; size / 2 <= RH_BLOCK_SIZE_MAX; size *= 2) {
		char *text = malloc(size);
		ssize_t n = text ? rh_read_file_at(AT_FDCWD, path, text, size) : -ENOMEM;

		if (n >= 0)
			return rh_environ_split(text, (size_t)n, ret_environ);
		free(text);
		if (n != -EFBIG)
			return rh_trace((int)n);
	}
	return rh_origin(-E2BIG);
}

void rh_environ_deinit(struct rh_environ *environment)
{
	free(environment->envp);
	free(environment->text);
	*environment = (struct rh_environ){0};
}

int32_t rh_inherit_oom_score(char *const *envp)
{
	const char *value = rh_env_get(envp, "PIPELINE_JOB_OOMSCOREADJ");
	char *end = NULL;

	if (!value || !*value)
		return OOM_SCORE_DEFAULT;
	errno = 0;

	long score = strtol(value, &end, 10);

	if (errno != 0 || *end != '\0' || score < -OOM_SCORE_MAX || score > OOM_SCORE_MAX)
		return OOM_SCORE_DEFAULT;
	return (int32_t)score;
}

static uint64_t ignored_signals(void)
{
	uint64_t ignored = 0;

	for (int i = 1; i <= 64; i++) {
		struct sigaction action;

		/* Some real-time signals are the C library's own: refused, and never ignored. */
		if (sigaction(i, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			ignored |= UINT64_C(1) << (i - 1);
	}
	return ignored;
}

void rh_inherit(struct rh_block_spec *spec, char *const *envp)
{
	struct rlimit stack = {.rlim_cur = RLIM_INFINITY};
	mode_t mask = umask(0);

	(void)umask(mask);
	(void)getrlimit(RLIMIT_STACK, &stack); /* cannot fail */
	spec->umask = (uint32_t)mask;
	spec->stack_soft = (uint64_t)stack.rlim_cur;
	spec->sig_ignored = ignored_signals();
	spec->oom_score_adj = rh_inherit_oom_score(envp);
}
