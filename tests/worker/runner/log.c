/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log pages and events, see log.h.
 *
 * A page is <timeline>_<record>_<n>.log: a byte-order mark, then lines of time, blank, text. It is
 * made with O_EXCL, its writes are buffered, and a new one begins at 8 MiB.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/files.h"
#include "common/json.h"
#include "runner/log.h"
#include "runnerhub/clock.h"
#include "runnerhub/fd.h"

#define PAGE_MAX       ((size_t)8 * 1024 * 1024)
#define PAGE_BUFFER    4096u
#define EVENTS_BUFFER  32768u
#define EVENTS_WAIT_MS 200

void rh_log_init(struct rh_log *log, const char *diag_dir, int fd)
{
	_cleanup_(rh_freep) char *blocks = rh_fmt("%s/blocks", diag_dir);

	*log = (struct rh_log){
		.pages_dir = rh_fmt("%s/pages", diag_dir), .timeline = rh_guid(), .fd = fd};
	(void)rh_dir_make(log->pages_dir);
	(void)rh_dir_make(blocks);
}

void rh_log_close(struct rh_log *log)
{
	rh_log_flush(log);
	for (size_t i = 0; i < log->n_pages; i++) {
		(void)unlink(log->pages[i]);
		free(log->pages[i]);
	}
	free(log->pages);
	free(log->pages_dir);
	free(log->timeline);
	rh_text_deinit(&log->buffer);
	rh_mask_deinit(&log->mask);
}

/* A Listener that died is no reason to stop: the job goes on without anyone to tell. */
void rh_log_flush(struct rh_log *log)
{
	if (log->buffer.size && log->fd >= 0 &&
		rh_write_all(log->fd, log->buffer.data, log->buffer.size) < 0)
		log->fd = -1;
	log->buffer.size = 0;
	log->flushed_ms = rh_now_ms();
}

void rh_log_tick(struct rh_log *log)
{
	if (log->buffer.size && rh_now_ms() - log->flushed_ms >= EVENTS_WAIT_MS)
		rh_log_flush(log);
}

void rh_log_event(struct rh_log *log, struct json_object *event)
{
	const char *text = json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN);

	rh_frame_add(&log->buffer, RH_FRAME_EVENT, text, strlen(text));
	(void)json_object_put(event);
	if (log->buffer.size >= EVENTS_BUFFER)
		rh_log_flush(log);
	else
		rh_log_tick(log);
}

static void flush_page(struct rh_record *record)
{
	if (record->page_fd >= 0 && record->page_buffer.size)
		(void)rh_write_all(
			record->page_fd, record->page_buffer.data, record->page_buffer.size);
	record->page_buffer.size = 0;
}

static void close_page(struct rh_record *record)
{
	flush_page(record);
	rh_close(rh_steal_fd(&record->page_fd));
}

static void open_page(struct rh_record *record)
{
	struct rh_log *log = record->log;
	char *path = rh_fmt(
		"%s/%s_%s_%d.log", log->pages_dir, log->timeline, record->id, ++record->n_pages);

	record->page_fd = rh_file_open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
	record->page_size = 0;
	rh_text_puts(&record->page_buffer, "\xef\xbb\xbf");
	log->pages = rh_must(reallocarray(log->pages, log->n_pages + 1, sizeof(*log->pages)));
	log->pages[log->n_pages++] = path;
}

struct rh_record *rh_record_new(struct rh_log *log, const char *name)
{
	struct rh_record *record = rh_must(calloc(1, sizeof(*record)));
	struct json_object *event = rh_must(json_object_new_object());
	_cleanup_(rh_freep) char *masked = rh_mask_apply(&log->mask, name);

	*record = (struct rh_record){.log = log,
		.id = rh_guid(),
		.number = ++log->n_records,
		.page_fd = -1,
		.started_ms = rh_now_ms()};
	rh_json_set_str(event, "e", "start");
	rh_json_set(event, "number", json_object_new_int(record->number));
	rh_json_set_str(event, "name", masked ? masked : name);
	rh_log_event(log, event);
	return record;
}

void rh_record_line(struct rh_record *record, const char *line)
{
	struct rh_log *log = record->log;
	_cleanup_(rh_freep) char *masked = rh_mask_apply(&log->mask, line);
	struct json_object *event = rh_must(json_object_new_object());
	char time[32] = "";

	line = masked ? masked : line;
	rh_timestamp(time);
	if (record->page_fd < 0)
		open_page(record);
	rh_text_puts(&record->page_buffer, time);
	rh_text_puts(&record->page_buffer, " ");
	rh_text_puts(&record->page_buffer, line);
	rh_text_puts(&record->page_buffer, "\n");
	record->page_size += strlen(line) + 30;
	if (record->page_buffer.size >= PAGE_BUFFER)
		flush_page(record);
	if (record->page_size >= PAGE_MAX)
		close_page(record);

	rh_json_set_str(event, "e", "line");
	rh_json_set(event, "number", json_object_new_int(record->number));
	rh_json_set_str(event, "time", time);
	rh_json_set_str(event, "text", line);
	rh_log_event(log, event);
}

void rh_record_printf(struct rh_record *record, const char *fmt, ...)
{
	_cleanup_(rh_freep) char *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&line, fmt, ap) < 0)
		abort();
	va_end(ap);
	rh_record_line(record, line);
}

void rh_record_free(struct rh_record *record)
{
	if (!record)
		return;
	close_page(record);
	rh_text_deinit(&record->page_buffer);
	free(record->id);
	free(record);
}
