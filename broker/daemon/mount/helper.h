/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A mount helper: one small single-threaded process that does what is asked on its socket, one
 * request after the other, until the socket ends.
 */

#include "broker/daemon/mount/protocol.h"

/**
 * rh_mount_helper_main() - be a helper
 * @fd: its socket; every other descriptor above 2 is closed
 *
 * Context: a process of its own, forked from a single-threaded one.
 */
_Noreturn void rh_mount_helper_main(int fd, enum rh_mount_helper_kind kind);

/* What zygote and helpers have in common: name, signals, descriptors, death with the parent. */
void rh_mount_process_init(const char *name, int *fd, pid_t parent);
