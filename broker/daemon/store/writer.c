/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The writing thread.
 *
 *   take what is queued ──▶ one transaction ──▶ answers ──▶ free
 *                             │ failed
 *                             ▼
 *            tried again, a few times in a fraction of a second; then the callers are told, and
 *            the rows stay at the front of the work, tried again with the next ones and every
 *            RETRY_MS, at most half of the queue's bound of them: the oldest go first
 *
 * A row that the database itself refuses (a constraint) fails alone; the others are written.
 *
 * Nobody must wait for a sync. A commit makes none (synchronous=NORMAL), a checkpoint does, so it
 * is made by the reading thread's connection while commits go on. The first commit after the log
 * starts again syncs its header: a change of nothing (TOUCH) takes that upon itself.
 *
 * Deleting old records goes on in small transactions between the others.
 */

#include "broker/daemon/store/writer.h"

#include <time.h>

#include "broker/daemon/store/schema.h"
#include "runnerhub/clock.h"
#include "runnerhub/err.h"

#define BATCH_MAX        256
#define TRIES            3
#define TRY_PAUSE_MS     40 /* doubled each time */
#define RETRY_MS         2000
#define CHECKPOINT_PAGES 1000

static const struct rh_table *const tables[RH_WRITER_TABLES] = {&rh_table_jobs, &rh_table_steps,
	&rh_table_containers, &rh_table_events, &rh_table_isolation};

struct rh_write *rh_write_new(
	enum rh_write_kind kind, const struct rh_table *table, const void *record)
{
	struct rh_write *write = calloc(1, sizeof(*write));

	if (!write)
		return NULL;
	rh_list_init(&write->item.node);
	write->kind = kind;
	write->item.size = sizeof(*write);
	if (kind != RH_WRITE_ROW)
		return write;
	write->row = rh_row_new(table, record);
	if (!write->row) {
		free(write);
		return NULL;
	}
	write->item.size += rh_row_size(write->row);
	return write;
}

void rh_write_free(struct rh_write *write)
{
	if (!write)
		return;
	rh_row_free(write->row);
	free(write->item.call);
	free(write);
}

int rh_writer_push(struct rh_writer *writer, struct rh_write *write)
{
	return rh_trace(rh_lane_push(&writer->lane, &write->item));
}

static struct rh_write *write_of(struct rh_list *node)
{
	return rh_list_entry(node, struct rh_write, item.node);
}

static int run_once(struct rh_stmt *stmt)
{
	int r = rh_stmt_step(stmt);

	rh_stmt_reset(stmt);
	return r < 0 ? rh_trace(r) : 0;
}

static int write_one(struct rh_writer *writer, const struct rh_write *write)
{
	if (write->kind == RH_WRITE_TOUCH)
		return rh_trace(run_once(writer->touch));

	size_t i = 0;

	while (tables[i] != rh_row_table(write->row))
		i++;
	int r = rh_row_bind(write->row, writer->puts[i]);

	if (r == 0)
		r = rh_stmt_step(writer->puts[i]);
	rh_stmt_reset(writer->puts[i]);
	return rh_trace(r);
}

/* All of the work in one transaction, or nothing of it. */
static int write_all(struct rh_writer *writer)
{
	int r = run_once(writer->begin);

	if (r < 0)
		return rh_trace(r);
	rh_list_for_each (node, &writer->work) {
		struct rh_write *write = write_of(node);

		write->r = write_one(writer, write);
		if (write->r < 0 && write->r != -EINVAL && write->r != -E2BIG) {
			rh_db_rollback(writer->db);
			return rh_trace(write->r);
		}
	}
	r = run_once(writer->commit);
	if (r < 0)
		rh_db_rollback(writer->db);
	return rh_trace(r);
}

/*
 * Takes the callers out of the work, with their own result, or @r for all. They are told with
 * rh_lane_answer(), after all else: who has been told finds the store's health as it then is.
 */
static void take_calls(struct rh_writer *writer, int r, struct rh_list *calls)
{
	rh_list_init(calls);
	rh_list_for_each (node, &writer->work) {
		struct rh_write *write = write_of(node);

		if (!write->item.call)
			continue;
		write->item.call->r = r < 0 ? r : write->r;
		rh_list_append(calls, &rh_steal(&write->item.call)->node);
	}
}

/* Frees up to @n_max of the oldest work. */
static void forget(struct rh_writer *writer, size_t n_max)
{
	size_t n = 0;
	size_t size = 0;

	for (; n < n_max && !rh_list_is_empty(&writer->work); n++) {
		struct rh_write *write = write_of(writer->work.next);

		size += write->item.size;
		rh_list_remove(&write->item.node);
		rh_write_free(write);
	}
	rh_lane_release(&writer->lane, n, size);
}

static void finish(struct rh_writer *writer)
{
	uint64_t n_written = 0;
	uint64_t n_failed = 0;
	struct rh_list calls;

	rh_list_for_each (node, &writer->work) {
		n_written += write_of(node)->r == 0;
		n_failed += write_of(node)->r < 0;
	}
	atomic_fetch_add(&writer->n_written, n_written);
	atomic_fetch_add(&writer->n_failed, n_failed);
	take_calls(writer, 0, &calls);
	forget(writer, SIZE_MAX);
	if (writer->failing) {
		writer->failing = false;
		atomic_store(&writer->last_error, 0);
		(void)uv_async_send(writer->lane.async); /* the loop says that it is over */
	}
	rh_lane_answer(&writer->lane, &calls);
}

/* The callers are told; the rows stay, within half of the queue's bound. */
static void keep_failed(struct rh_writer *writer, int r)
{
	size_t n = 0;
	size_t size = 0;
	size_t n_over = 0;
	struct rh_list calls;

	take_calls(writer, r, &calls);
	rh_list_for_each (node, &writer->work) {
		n++;
		size += write_of(node)->item.size;
	}
	rh_list_for_each (it, &writer->work) {
		if (n - n_over <= RH_WRITER_QUEUE_MAX / 2 && size <= RH_WRITER_BYTES_MAX / 2)
			break;
		size -= write_of(it)->item.size;
		n_over++;
	}
	forget(writer, n_over);
	atomic_fetch_add(&writer->n_failed, n_over);
	writer->failing = true;
	atomic_store(&writer->last_error, r);
	(void)uv_async_send(writer->lane.async); /* the loop says so */
	rh_lane_answer(&writer->lane, &calls);
}

static void pause_ms(int ms)
{
	struct timespec ts = {.tv_nsec = (long)ms * 1000000};

	(void)nanosleep(&ts, NULL);
}

static void ask_for_checkpoint(struct rh_writer *writer)
{
	int n_pages = rh_db_wal_pages(writer->db);

	/* It began again, or a reader kept it from being emptied: not with every commit then. */
	if (n_pages < CHECKPOINT_PAGES)
		writer->next_checkpoint = CHECKPOINT_PAGES;
	if (n_pages < writer->next_checkpoint)
		return;
	writer->next_checkpoint = n_pages + CHECKPOINT_PAGES;
	writer->on_log_grown(writer->arg);
}

/* What only sets the thread's own state leaves the work. */
static void take_orders(struct rh_writer *writer)
{
	rh_list_for_each (node, &writer->work) {
		struct rh_write *write = write_of(node);

		if (write->kind != RH_WRITE_RETAIN)
			continue;
		writer->retain = write->retain;
		writer->retain.active = true;
		rh_list_remove(node);
		rh_lane_release(&writer->lane, 1, write->item.size);
		rh_write_free(write);
	}
}

static void write_work(struct rh_writer *writer)
{
	/* While it is known to fail, once is enough. */
	int tries = writer->failing ? 1 : TRIES;
	int r = 0;

	for (int i = 0; i < tries; i++) {
		if (i > 0)
			pause_ms(TRY_PAUSE_MS << (i - 1));
		r = write_all(writer);
		if (r == 0 || rh_lane_is_over(&writer->lane))
			break;
	}
	if (r < 0) {
		keep_failed(writer, r);
		return;
	}
	finish(writer);
	ask_for_checkpoint(writer);
}

static void retain_some(struct rh_writer *writer)
{
	bool more = false;
	int r = run_once(writer->begin);

	if (r == 0)
		r = rh_retainer_run(writer->retainer, &writer->retain, &more);
	if (r == 0)
		r = run_once(writer->commit);
	if (r < 0)
		rh_db_rollback(writer->db);
	/* A failure ends it: it comes again with the next rh_store_retain(). */
	writer->retain.active = r == 0 && more;
	ask_for_checkpoint(writer);
}

static void *run(void *arg)
{
	struct rh_writer *writer = arg;
	struct rh_list calls;

	for (;;) {
		int timeout_ms = writer->retain.active ? 0 : writer->failing ? RETRY_MS : -1;
		bool goes_on = rh_lane_take(&writer->lane, &writer->work, BATCH_MAX, timeout_ms);

		take_orders(writer);
		if (!goes_on && rh_list_is_empty(&writer->work))
			break;
		if (!rh_list_is_empty(&writer->work))
			write_work(writer);
		else if (writer->retain.active)
			retain_some(writer);
		if (rh_lane_is_over(&writer->lane))
			break;
		if (!goes_on && writer->failing)
			pause_ms(TRY_PAUSE_MS);
	}
	/* What is still there could not be written in time. */
	(void)rh_lane_take(&writer->lane, &writer->work, SIZE_MAX, 0);
	take_calls(writer, -ECANCELED, &calls);
	rh_lane_answer(&writer->lane, &calls);
	rh_writer_deinit(writer);
	rh_lane_exit(&writer->lane);
	return NULL;
}

static int prepare(struct rh_writer *writer)
{
	char sql[RH_SQL_MAX];
	int r = rh_db_prepare(writer->db, "BEGIN IMMEDIATE", &writer->begin);

	if (r == 0)
		r = rh_db_prepare(writer->db, "COMMIT", &writer->commit);
	rh_sql_touch(sql);
	if (r == 0)
		r = rh_db_prepare(writer->db, sql, &writer->touch);
	for (size_t i = 0; r == 0 && i < RH_WRITER_TABLES; i++) {
		rh_sql_put(tables[i], sql);
		r = rh_db_prepare(writer->db, sql, &writer->puts[i]);
	}
	if (r == 0)
		r = rh_retainer_new(writer->db, &writer->retainer);
	return rh_trace(r);
}

int rh_writer_init(struct rh_writer *writer, struct rh_db *db, uv_async_t *async)
{
	*writer = (struct rh_writer){.db = db, .next_checkpoint = CHECKPOINT_PAGES};
	rh_list_init(&writer->work);
	rh_lane_init(&writer->lane, async, RH_WRITER_QUEUE_MAX, RH_WRITER_BYTES_MAX);
	return rh_trace(prepare(writer));
}

int rh_writer_start(struct rh_writer *writer)
{
	return rh_trace(rh_lane_start(&writer->lane, run, writer));
}

void rh_writer_deinit(struct rh_writer *writer)
{
	forget(writer, SIZE_MAX);
	rh_retainer_free(rh_steal(&writer->retainer));
	for (size_t i = 0; i < RH_WRITER_TABLES; i++)
		rh_stmt_free(rh_steal(&writer->puts[i]));
	rh_stmt_free(rh_steal(&writer->touch));
	rh_stmt_free(rh_steal(&writer->commit));
	rh_stmt_free(rh_steal(&writer->begin));
	rh_db_close(rh_steal(&writer->db));
}
