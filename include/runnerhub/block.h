/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An exec in a sealed memfd: program, working directory, argv, environment and what the process is
 * to inherit. The sender builds it once; receivers check seals, size and every string before use.
 *
 * Layout: struct rh_block_header, then NUL-terminated strings without gaps: path, cwd, argv…,
 * envp….
 */

#include <stddef.h>
#include <stdint.h>

#include "runnerhub/cleanup.h"

#define RH_BLOCK_MAGIC 0x314b4252u /* "RBK1" */

/* PATH in the environment holds the job's own entries only: the receiver appends the image's. */
#define RH_BLOCK_PATH_PREFIX 0x1u

struct rh_block_header {
	uint32_t magic;
	uint32_t flags;
	uint32_t n_args;
	uint32_t n_envs;
	uint32_t umask;
	int32_t oom_score_adj; /* wanted for the step, clamped by the agent */
	uint64_t stack_soft; /* RLIMIT_STACK of the sender, bytes or RLIM_INFINITY */
	uint64_t sig_ignored; /* bit n-1: signal n is ignored in the sender */
	uint64_t strings_size; /* bytes behind the header */
};

struct rh_block_spec {
	uint32_t flags;
	uint32_t umask;
	int32_t oom_score_adj;
	uint64_t stack_soft;
	uint64_t sig_ignored;
	const char *path; /* "" where there is none */
	const char *cwd; /* "" where there is none */
	char *const *argv; /* NULL-terminated, or NULL */
	char *const *envp; /* NULL-terminated, or NULL */
};

/* A received block. Strings point into its mapping or copy. */
struct rh_block {
	const struct rh_block_header *header;
	size_t size;
	char *path;
	char *cwd;
	char **argv; /* NULL-terminated; one allocation for both arrays */
	char **envp; /* NULL-terminated */
};

/**
 * rh_block_seal() - write a block into a new memfd and seal it
 *
 * Return: descriptor; -E2BIG beyond RH_BLOCK_SIZE_MAX or RH_BLOCK_STRINGS_MAX; negative errno.
 * Source: memfd_create(2), fcntl(2) F_ADD_SEALS.
 */
int rh_block_seal(const struct rh_block_spec *spec);

/**
 * rh_block_map() - check a received block and take it into memory
 * @fd: borrowed; may be closed afterwards
 *
 * The memory is private and writable, so that strings can be handed to execve(2) as they are.
 * Return: 0; -EPROTO if it is not a well-formed sealed block; -ENOMEM; negative errno.
 */
int rh_block_map(int fd, struct rh_block **ret_block);
void rh_block_free(struct rh_block *block);
RH_DEFINE_CLEANUP(struct rh_block *, rh_block_free);

/* Parses bytes that stay owned by the caller and must live as long as the result; for tests. */
int rh_block_parse(void *data, size_t size, struct rh_block *ret_block);

/* Value of NAME in a NULL-terminated environment, or NULL. */
const char *rh_env_get(char *const *envp, const char *name);
