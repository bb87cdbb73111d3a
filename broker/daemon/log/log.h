/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The broker's log: one event, one line, key=value details on stderr, as text or JSON.
 *
 * Lines are formatted into a bounded ring and written without blocking; what did not fit is counted
 * and said once there is room again. Foreign text is quoted and escaped. Never pass a secret:
 * nothing here can know one.
 *
 *   rh_log_info(log, "job started", RH_STR("job", id), RH_NUM("ms", ms));
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum rh_log_level {
	RH_LOG_ERROR, /* someone must act */
	RH_LOG_WARNING, /* we went on; the line says how */
	RH_LOG_NOTICE, /* life cycle */
	RH_LOG_INFO, /* per job */
	RH_LOG_DEBUG,
};

enum rh_log_format { RH_LOG_TEXT, RH_LOG_JSON };

struct rh_log;

struct rh_log_field {
	const char *key;
	const char *text; /* NULL: a number */
	int64_t number;
};

/* NULL is "". A function, since a compiler warns of (v) ? (v) : "" where v is an array. */
static inline const char *rh_log_text(const char *text)
{
	return text ? text : "";
}

#define RH_STR(k, v) ((struct rh_log_field){.key = (k), .text = rh_log_text(v)})
#define RH_NUM(k, v) ((struct rh_log_field){.key = (k), .number = (int64_t)(v)})
/* A negative errno as its text. */
#define RH_ERRNO(r) ((struct rh_log_field){.key = "error", .text = strerror(-(r))})

/**
 * rh_log_new() - a log that writes to @fd
 * @fd: borrowed; its flags are never changed, they may be shared with other processes. A pipe or
 *      terminal is opened anew for us, a socket written with MSG_DONTWAIT.
 *
 * The process ignores SIGPIPE. Lines for the journal carry its priority prefix (sd-daemon(3)).
 * Return: NULL if out of memory. Context: loop thread, like all of this.
 */
struct rh_log *rh_log_new(int fd, enum rh_log_level level, enum rh_log_format format);

/**
 * rh_log_start() - let a thread do the writing, so that not even a slow disk is felt by the loop
 *
 * Until then each line is written at once, or kept if that would block, and goes out with the next.
 * Context: after every fork of the process. Return: 0; negative errno (the log works as before).
 */
int rh_log_start(struct rh_log *log);
void rh_log_free(struct rh_log *log); /* writes what is left, bounded in time */
void rh_log_set(struct rh_log *log, enum rh_log_level level, enum rh_log_format format);
bool rh_log_enabled(const struct rh_log *log, enum rh_log_level level);
void rh_log_write(struct rh_log *log, enum rh_log_level level, const char *event,
	const struct rh_log_field *fields, size_t n_fields);

#define rh_log_at(log, level, event, ...)                                      \
	do {                                                                   \
		const struct rh_log_field rh_fields_[] = {{0}, ##__VA_ARGS__}; \
		rh_log_write(log, level, event, rh_fields_ + 1,                \
			sizeof(rh_fields_) / sizeof(rh_fields_[0]) - 1);       \
	} while (0)
#define rh_log_error(log, event, ...)   rh_log_at(log, RH_LOG_ERROR, event, ##__VA_ARGS__)
#define rh_log_warning(log, event, ...) rh_log_at(log, RH_LOG_WARNING, event, ##__VA_ARGS__)
#define rh_log_notice(log, event, ...)  rh_log_at(log, RH_LOG_NOTICE, event, ##__VA_ARGS__)
#define rh_log_info(log, event, ...)    rh_log_at(log, RH_LOG_INFO, event, ##__VA_ARGS__)
#define rh_log_debug(log, event, ...)   rh_log_at(log, RH_LOG_DEBUG, event, ##__VA_ARGS__)
