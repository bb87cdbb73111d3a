/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The store's face on the loop thread.
 *
 *   put, add, retain ──▶ writer (thread, connection) ──┐
 *   query ─────────────▶ reader (thread, connection) ──┴── uv_async ──▶ callbacks
 *
 * Closing, each step after the one before: the reader ends; the writer writes what is queued and
 * ends, the last one at the file, so that SQLite empties the log and removes it; the async handle
 * is closed; the memory is freed.
 */

#include "broker/daemon/store/store.h"

#include <assert.h>

#include "broker/daemon/store/open.h"
#include "broker/daemon/store/reader.h"
#include "broker/daemon/store/writer.h"
#include "runnerhub/clock.h"

/* How long closing may go on writing what is queued. */
#define CLOSE_MS 2000

struct rh_store {
	uv_async_t async;
	struct rh_log *log;
	char *path;
	struct rh_writer writer;
	struct rh_reader reader;
	bool set_aside;
	atomic_bool damaged; /* found while running */
	bool told_damaged;
	int told_error; /* the writer's error that was logged */
	bool closing; /* nothing more is taken */
	bool writer_stopped;
	bool closed;
	void (*close_cb)(void *arg);
	void *close_arg;
};

/* Context: writing thread. */
static void on_log_grown(void *arg)
{
	struct rh_store *store = arg;

	(void)rh_reader_order(&store->reader, RH_READ_CHECKPOINT); /* asked again later */
}

/* Context: reading thread. */
static void on_checkpoint(void *arg)
{
	struct rh_store *store = arg;
	struct rh_write *write = rh_write_new(RH_WRITE_TOUCH, NULL, NULL);

	if (write && rh_writer_push(&store->writer, write) < 0)
		rh_write_free(write); /* some commit pays for the sync */
}

/* Context: reading thread. */
static void on_damage(void *arg)
{
	struct rh_store *store = arg;

	atomic_store(&store->damaged, true);
	(void)rh_store_file_condemn(store->path); /* if it fails the next check finds it again */
	(void)uv_async_send(&store->async);
}

static void say_changes(struct rh_store *store)
{
	int error = atomic_load(&store->writer.last_error);

	if (atomic_load(&store->damaged) && !store->told_damaged) {
		store->told_damaged = true;
		rh_log_error(store->log,
			"the store's file is damaged and will be set aside at the "
			"next start",
			RH_STR("file", store->path));
	}
	if (error == store->told_error)
		return;
	if (error < 0)
		rh_log_error(store->log, "the store cannot be written; records wait, jobs go on",
			RH_STR("file", store->path), RH_ERRNO(error));
	else
		rh_log_notice(
			store->log, "the store is written again", RH_STR("file", store->path));
	store->told_error = error;
}

static void on_closed(uv_handle_t *handle)
{
	struct rh_store *store = handle->data;
	void (*cb)(void *arg) = store->close_cb;
	void *arg = store->close_arg;

	rh_lane_deinit(&store->writer.lane);
	rh_lane_deinit(&store->reader.lane);
	free(store->path);
	free(store);
	if (cb)
		cb(arg);
}

static void go_on_closing(struct rh_store *store, bool writer_ended)
{
	if (!store->writer_stopped) {
		store->writer_stopped = true;
		rh_lane_stop(&store->writer.lane, rh_now_ms() + CLOSE_MS);
	}
	if (writer_ended && !store->closed) {
		store->closed = true;
		uv_close((uv_handle_t *)&store->async, on_closed);
	}
}

static void on_async(uv_async_t *async)
{
	struct rh_store *store = async->data;
	struct rh_list calls;

	rh_list_init(&calls);
	bool writer_ended = rh_lane_collect(&store->writer.lane, &calls);
	bool reader_ended = rh_lane_collect(&store->reader.lane, &calls);

	say_changes(store);
	while (!rh_list_is_empty(&calls)) {
		struct rh_lane_call *call = rh_list_first(&calls, struct rh_lane_call, node);

		rh_list_remove(&call->node);
		rh_lane_call_finish(call);
	}
	if (store->closing && reader_ended)
		go_on_closing(store, writer_ended);
}

static int start_lanes(struct rh_store *store, struct rh_store_file *file)
{
	int r_writer = rh_writer_init(&store->writer, file->writer, &store->async);
	int r = rh_reader_init(&store->reader, file->reader, &store->async);

	store->writer.on_log_grown = on_log_grown;
	store->writer.arg = store;
	store->reader.on_checkpoint = on_checkpoint;
	store->reader.on_damage = on_damage;
	store->reader.arg = store;
	if (r == 0)
		r = r_writer;
	if (r == 0)
		r = rh_reader_start(&store->reader);
	if (r == 0)
		r = rh_writer_start(&store->writer);
	return rh_trace(r);
}

/* A start that failed after the async handle exists: threads first, then the handle. */
static void abandon(struct rh_store *store)
{
	if (store->reader.lane.running) {
		rh_reader_stop(&store->reader);
		(void)pthread_join(store->reader.lane.thread, NULL);
	}
	rh_writer_deinit(&store->writer);
	rh_reader_deinit(&store->reader);
	uv_close((uv_handle_t *)&store->async, on_closed);
}

/* Everything that needs no loop. NULL with @err on failure; @r says which. */
static struct rh_store *open_store(
	const char *path, struct rh_store_file *file, int *r, struct rh_err *err)
{
	struct rh_store *store = calloc(1, sizeof(*store));

	if (store)
		store->path = strdup(path);
	if (!store || !store->path)
		*r = rh_err_set(err, -ENOMEM, "%s: out of memory", path);
	else
		*r = rh_store_file_open(path, file, err);
	if (*r == 0)
		return store;
	if (store)
		free(store->path);
	free(store);
	return NULL;
}

static void say_start(const struct rh_store *store, const struct rh_store_file *file)
{
	assert(file->open); /* of a file that was opened */
	if (file->set_aside)
		rh_log_error(store->log, "the store's file was damaged; a new one was begun",
			RH_STR("file", store->path), RH_STR("kept_as", file->aside));
	rh_log_debug(store->log, "store opened", RH_STR("file", store->path),
		RH_NUM("open_jobs", file->open->n_jobs),
		RH_NUM("open_containers", file->open->n_containers));
}

int rh_store_start(uv_loop_t *loop, const char *path, struct rh_log *log,
	struct rh_store **ret_store, struct rh_store_open **ret_open, struct rh_err *err)
{
	struct rh_store_file file = {0};
	int r = 0;
	struct rh_store *store = open_store(path, &file, &r, err);

	if (!store)
		return rh_trace(r);
	store->log = log;
	r = uv_async_init(loop, &store->async, on_async);
	if (r < 0) {
		rh_db_close(file.writer);
		rh_db_close(file.reader);
		rh_store_open_free(file.open);
		free(store->path);
		free(store);
		return rh_err_set(err, r, "%s: %s", path, uv_strerror(r));
	}
	store->async.data = store;
	store->set_aside = file.set_aside;
	r = start_lanes(store, &file);
	if (r < 0) {
		rh_store_open_free(file.open);
		abandon(store);
		return rh_err_set(err, r, "%s: %s", path, strerror(-r));
	}
	say_start(store, &file);
	if (file.unchecked)
		(void)rh_reader_order(&store->reader, RH_READ_CHECK);
	*ret_store = store;
	*ret_open = file.open;
	return 0;
}

void rh_store_close(struct rh_store *store, void (*cb)(void *arg), void *arg)
{
	if (store->closing)
		return;
	store->closing = true;
	store->close_cb = cb;
	store->close_arg = arg;
	rh_reader_stop(&store->reader);
}

/* Queues an item with its call; both are freed on failure. */
static int push(struct rh_store *store, struct rh_write *write, rh_store_done_fn cb, void *arg)
{
	int r = 0;

	if (!write)
		return rh_origin(-ENOMEM);
	if (cb) {
		write->item.call = rh_lane_call_new(cb, NULL, arg);
		r = write->item.call ? 0 : rh_origin(-ENOMEM);
	}
	if (r == 0 && store->closing)
		r = rh_origin(-ESHUTDOWN);
	if (r == 0)
		r = rh_writer_push(&store->writer, write);
	if (r < 0)
		rh_write_free(write);
	return rh_trace(r);
}

int rh_store_put_job(
	struct rh_store *store, const struct rh_store_job *job, rh_store_done_fn cb, void *arg)
{
	return rh_trace(push(store, rh_write_new(RH_WRITE_ROW, &rh_table_jobs, job), cb, arg));
}

int rh_store_put_step(
	struct rh_store *store, const struct rh_store_step *step, rh_store_done_fn cb, void *arg)
{
	struct rh_write *write = rh_write_new(RH_WRITE_ROW, &rh_table_steps, step);

	/* Steps come by the thousand, and nothing is done because of one that is not stored yet. */
	if (write)
		write->item.patient = true;
	return rh_trace(push(store, write, cb, arg));
}

int rh_store_put_container(struct rh_store *store, const struct rh_store_container *container,
	rh_store_done_fn cb, void *arg)
{
	return rh_trace(
		push(store, rh_write_new(RH_WRITE_ROW, &rh_table_containers, container), cb, arg));
}

int rh_store_put_isolation(struct rh_store *store, const struct rh_store_isolation *isolation,
	rh_store_done_fn cb, void *arg)
{
	if (strlen(isolation->data) > RH_STORE_LONG_MAX)
		return rh_origin(-EMSGSIZE);
	return rh_trace(
		push(store, rh_write_new(RH_WRITE_ROW, &rh_table_isolation, isolation), cb, arg));
}

int rh_store_add_event(struct rh_store *store, const struct rh_store_event *event)
{
	return rh_trace(
		push(store, rh_write_new(RH_WRITE_ROW, &rh_table_events, event), NULL, NULL));
}

int rh_store_retain(struct rh_store *store, uint64_t keep_ms, uint32_t keep_jobs)
{
	struct rh_write *write = rh_write_new(RH_WRITE_RETAIN, NULL, NULL);

	if (write)
		write->retain = (struct rh_retain){.keep_ms = keep_ms, .keep_jobs = keep_jobs};
	return rh_trace(push(store, write, NULL, NULL));
}

int rh_store_query(struct rh_store *store, const char *name, struct json_object *args,
	rh_store_query_fn cb, void *arg)
{
	struct rh_read *read = calloc(1, sizeof(*read));
	int r = 0;

	if (!read)
		return rh_origin(-ENOMEM);
	rh_list_init(&read->item.node);
	read->kind = RH_READ_QUERY;
	read->r_query = rh_query_parse(name, args, &read->query);
	read->item.call = rh_lane_call_new(NULL, cb, arg);
	r = read->item.call ? rh_lane_push(&store->reader.lane, &read->item) : rh_origin(-ENOMEM);
	if (r < 0) {
		free(read->item.call);
		free(read);
	}
	return rh_trace(r);
}

void rh_store_health(const struct rh_store *store, struct rh_store_health *ret_health)
{
	/* The lock is the only thing that changes. */
	struct rh_store *self = (struct rh_store *)(uintptr_t)store;

	*ret_health = (struct rh_store_health){
		.n_queued = (uint32_t)rh_lane_length(&self->writer.lane),
		.n_written = atomic_load(&self->writer.n_written),
		.n_failed = atomic_load(&self->writer.n_failed),
		.damaged_set_aside = store->set_aside,
		.last_error = atomic_load(&self->writer.last_error),
	};
}
