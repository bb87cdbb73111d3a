/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a step inherits of this process, and what the Worker itself was started with.
 */

#include "runnerhub/block.h"

/* An environment read from /proc. */
struct rh_environ {
	char **envp; /* NULL-terminated, points into text */
	char *text;
};

/**
 * rh_environ_split() - cut @text of @size bytes, NUL-terminated behind them, into entries
 *
 * Consumes @text, also on failure. Return: 0; -ENOMEM.
 */
int rh_environ_split(char *text, size_t size, struct rh_environ *ret_environ);

/**
 * rh_environ_read() - the environment that process @pid was started with
 *
 * Return: 0; -E2BIG beyond what execve(2) allows; negative errno. Source: proc(5).
 */
int rh_environ_read(pid_t pid, struct rh_environ *ret_environ);
void rh_environ_deinit(struct rh_environ *environment);

/* Fills in umask, stack limit, ignored signals and the OOM score that the runner would set. */
void rh_inherit(struct rh_block_spec *spec, char *const *envp);

/* The OOM score of PIPELINE_JOB_OOMSCOREADJ if it is a number from -1000 to 1000, else 500. */
int32_t rh_inherit_oom_score(char *const *envp);
