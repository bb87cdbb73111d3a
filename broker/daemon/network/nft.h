/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The program nft(8).
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "runnerhub/err.h"

/**
 * rh_nft_run() - one transaction: all of it or nothing
 * @check_only: ask the kernel whether it would take it, no more
 * @ret_pid:    that it ran as (may be NULL)
 *
 * Context: the network helper (blocks, 10 s at most).
 * Return: 0; -ENOENT if there is no nft; -EINVAL if it refused, with its first words; negative
 * errno.
 */
int rh_nft_run(
	const char *script, size_t size, bool check_only, pid_t *ret_pid, struct rh_err *err);
