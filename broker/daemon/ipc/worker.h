/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Does a process run the Runner.Worker of a runner? By the file itself: what the kernel says of its
 * path is, for a process in a container, a path in there, where everybody can make what they like.
 */

#include <stdbool.h>
#include <sys/types.h>

/**
 * rh_worker_is_of() - is this <root>/bin…/Runner.Worker of the host's?
 * @root: of a runner, canonical
 * @exe:  what rh_proc_exe() said of @pid: where to look for the file
 *
 * Never waits for a file system that somebody else serves. Context: any thread. Source: proc(5).
 */
bool rh_worker_is_of(const char *root, pid_t pid, const char *exe);
