/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the Worker tells about a job: log pages below _diag/pages, and events to the Listener, which
 * stand for the HTTP calls of the real one. Every line is masked first. The caller holds the job's
 * lock.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/text.h"
#include "runner/mask.h"

struct json_object;

struct rh_log {
	struct rh_mask mask;
	char *pages_dir;
	char *timeline;
	int fd; /* to the Listener, borrowed; -1 once it is gone */
	struct rh_text buffer; /* frames that wait */
	int64_t flushed_ms;
	int n_records;
	char **pages; /* written so far, removed at the end of the job */
	size_t n_pages;
	bool debug; /* ::debug:: lines are shown */
};

/* One step's log. */
struct rh_record {
	struct rh_log *log;
	char *id;
	int number; /* 1, 2, …: the place of the step in the job's list */
	int page_fd;
	int n_pages;
	size_t page_size;
	struct rh_text page_buffer;
	int64_t started_ms;
};

void rh_log_init(struct rh_log *log, const char *diag_dir, int fd);
/* Writes what waits; removes the pages, as the runner does after their upload. */
void rh_log_close(struct rh_log *log);
/* One event; consumes it. It waits until enough came together or rh_log_flush(). */
void rh_log_event(struct rh_log *log, struct json_object *event);
void rh_log_flush(struct rh_log *log);
/* Writes what has waited for some tenths of a second. */
void rh_log_tick(struct rh_log *log);

/* Starts a record and tells its name. */
struct rh_record *rh_record_new(struct rh_log *log, const char *name);
/* One line (foreign text: any bytes but NUL); masked. */
void rh_record_line(struct rh_record *record, const char *line);
_printf_(2, 3) void rh_record_printf(struct rh_record *record, const char *fmt, ...);
/* Frees the record after its last line. */
void rh_record_free(struct rh_record *record);
