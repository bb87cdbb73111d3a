/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where the log's bytes go: a file, pipe, terminal or socket, written without blocking as far as
 * its kind allows.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct rh_log_sink {
	int fd;
	bool own_fd; /* opened anew, non-blocking */
	bool is_socket;
	bool is_file;
	bool is_journal;
};

/* @fd is borrowed until rh_log_sink_deinit(). Always succeeds; the kind may be the slowest. */
void rh_log_sink_init(struct rh_log_sink *sink, int fd);
void rh_log_sink_deinit(struct rh_log_sink *sink);

/* Return: bytes written; -EAGAIN if it would block; negative errno. */
ssize_t rh_log_sink_write(const struct rh_log_sink *sink, const char *data, size_t size);

/* Waits until a write would not block. */
void rh_log_sink_wait(const struct rh_log_sink *sink, int timeout_ms);
