/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * openat2(2) for kernels before 5.6, which lack it: a path taken apart, each of its components
 * opened by itself without following it.
 */

#include <stdint.h>

/**
 * rh_walk_open() - what openat2(2) does
 * @dir_fd:  AT_FDCWD or a directory, may be O_PATH
 * @flags:   as open(2), without those that make files; close-on-exec is added
 * @resolve: RESOLVE_BENEATH, _IN_ROOT, _NO_SYMLINKS, _NO_MAGICLINKS, _NO_XDEV
 *
 * It is as safe as openat2(2) where nobody swaps directories meanwhile, or where ".." and links are
 * not allowed: BENEATH with NO_SYMLINKS refuses "..". More is refused than openat2(2) would: every
 * link on procfs is taken for a magic one.
 * Context: any thread. Return: the descriptor; -EXDEV, -ELOOP, -ENOTDIR; negative errno.
 * Source: openat2(2)
 */
int rh_walk_open(int dir_fd, const char *path, int flags, uint64_t resolve);

/**
 * rh_open_beneath() - openat2(2), or rh_walk_open() where the kernel has no such call
 *
 * EAGAIN means that a rename came between: tried again.
 */
int rh_open_beneath(int dir_fd, const char *path, int flags, uint64_t resolve);
