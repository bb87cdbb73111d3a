/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One line of the log as text or JSON. Pure functions.
 *
 * Foreign text comes out as valid UTF-8 on one line and without control characters: what a terminal
 * or a parser could take for something else is escaped.
 */

#include <stddef.h>
#include <stdint.h>

#include "broker/daemon/log/log.h"

/* A write of this size to a pipe is never mixed with another's (pipe(7), PIPE_BUF). */
#define RH_LOG_LINE_MAX 4096u

struct rh_log_entry {
	enum rh_log_level level;
	int64_t wall_ms;
	const char *event;
	const struct rh_log_field *fields;
	size_t n_fields;
};

const char *rh_log_level_name(enum rh_log_level level);

/**
 * rh_log_format_line() - write one line with its newline
 * @ret_line: not NUL-terminated
 *
 * A field that does not fit is cut or left out; the line stays well-formed and says so (cut=1).
 * Context: any thread. Return: its length.
 */
size_t rh_log_format_line(enum rh_log_format format, const struct rh_log_entry *entry,
	char ret_line[RH_LOG_LINE_MAX]);
