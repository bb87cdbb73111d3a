/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The administrator's own job hook, run on the host as the runner's user because the broker, who
 * has it from a root-owned file, says so.
 */

#include "runnerhub/block.h"

/**
 * rh_host_hook_run() - run it and wait
 * @signal_fd: signals are passed on to it
 *
 * It inherits descriptors 0 to 2 and dies with this process. Return: its status, 128 + signal, or
 * 126 or 127 if it cannot be executed, said on stderr.
 */
int rh_host_hook_run(const struct rh_block *block, int signal_fd);
