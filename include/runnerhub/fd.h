/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Descriptors: small helpers that every program needs. Context: any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * rh_read_file_at() - read a small file whole
 * @dir_fd: as openat(2)
 * @size:   of @buf, one byte more than the largest file that is accepted
 *
 * Works on /proc and other files that do not know their size. The result is NUL-terminated.
 * Return:  number of bytes; -EFBIG if it does not fit; negative errno.
 */
ssize_t rh_read_file_at(int dir_fd, const char *path, char *buf, size_t size);

/**
 * rh_close_from() - close this descriptor and every one above it
 *
 * By close_range(2), or before Linux 5.9 one by one as /proc/self/fd lists them: allocates memory.
 * Return:  0; negative errno.
 */
int rh_close_from(int first);

/**
 * rh_write_all() - write everything, blocking
 * Return: 0; negative errno.
 */
int rh_write_all(int fd, const void *data, size_t size);

/**
 * rh_unix_connect() - connect to a Unix socket of any path length
 * @type: SOCK_STREAM or SOCK_SEQPACKET, with SOCK_NONBLOCK if wanted; close-on-exec is added
 *
 * A path longer than sun_path is reached through /proc/self/fd (unix(7)). A socket of this family
 * connects at once or fails: -EAGAIN means that the listener's backlog is full.
 * Return: the descriptor; negative errno.
 */
int rh_unix_connect(const char *path, int type);

/**
 * rh_unix_listen() - bind and listen
 * @mode: of the socket's file, set before anyone can connect
 *
 * An existing socket file at @path is replaced.
 * Return: the descriptor, close-on-exec; negative errno.
 */
int rh_unix_listen(const char *path, int type, mode_t mode, int backlog);
