/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The reading thread: one thing after the other.
 */

#include "broker/daemon/store/reader.h"

#include "broker/daemon/store/open.h"
#include "runnerhub/clock.h"
#include "runnerhub/err.h"

int rh_reader_order(struct rh_reader *reader, enum rh_read_kind kind)
{
	struct rh_read *read = calloc(1, sizeof(*read));

	if (!read)
		return rh_origin(-ENOMEM);
	rh_list_init(&read->item.node);
	read->kind = kind;
	int r = rh_lane_push(&reader->lane, &read->item);

	if (r < 0)
		free(read);
	return rh_trace(r);
}

static void answer(struct rh_reader *reader, struct rh_read *read, int r, struct json_object *data)
{
	struct rh_list calls;

	rh_list_init(&calls);
	if (read->item.call) {
		read->item.call->r = r;
		read->item.call->data = data;
		rh_list_append(&calls, &rh_steal(&read->item.call)->node);
	}
	rh_lane_answer(&reader->lane, &calls);
}

static void work(struct rh_reader *reader, struct rh_read *read)
{
	struct json_object *data = NULL;
	int r = read->r_query;

	switch (read->kind) {
	case RH_READ_QUERY:
		if (r == 0)
			r = rh_querier_run(reader->querier, &read->query, &data);
		answer(reader, read, r, data);
		return;
	case RH_READ_CHECKPOINT:
		/* A failure shows again in the next commit. */
		if (rh_db_checkpoint(reader->db) == 0)
			reader->on_checkpoint(reader->arg);
		return;
	case RH_READ_CHECK:
		if (rh_store_file_check(reader->db) == -EBADMSG)
			reader->on_damage(reader->arg);
		return;
	}
}

static void *run(void *arg)
{
	struct rh_reader *reader = arg;
	struct rh_list list;

	rh_list_init(&list);
	while (rh_lane_take(&reader->lane, &list, 1, -1)) {
		struct rh_read *read = rh_list_first(&list, struct rh_read, item.node);

		if (!read)
			continue;
		rh_list_remove(&read->item.node);
		if (rh_lane_is_over(&reader->lane))
			answer(reader, read, -ECANCELED, NULL);
		else
			work(reader, read);
		rh_lane_release(&reader->lane, 1, read->item.size);
		free(read);
	}
	rh_reader_deinit(reader);
	rh_lane_exit(&reader->lane);
	return NULL;
}

int rh_reader_init(struct rh_reader *reader, struct rh_db *db, uv_async_t *async)
{
	*reader = (struct rh_reader){.db = db, .querier = rh_querier_new(db)};
	rh_lane_init(&reader->lane, async, RH_READER_QUEUE_MAX, SIZE_MAX);
	return reader->querier ? 0 : rh_origin(-ENOMEM);
}

int rh_reader_start(struct rh_reader *reader)
{
	return rh_trace(rh_lane_start(&reader->lane, run, reader));
}

void rh_reader_stop(struct rh_reader *reader)
{
	rh_lane_stop(&reader->lane, rh_now_ms());
	(void)pthread_mutex_lock(&reader->lane.lock);
	if (reader->db)
		rh_db_interrupt(reader->db);
	(void)pthread_mutex_unlock(&reader->lane.lock);
}

void rh_reader_deinit(struct rh_reader *reader)
{
	struct rh_db *db = NULL;

	rh_querier_free(rh_steal(&reader->querier));
	(void)pthread_mutex_lock(&reader->lane.lock);
	db = rh_steal(&reader->db);
	(void)pthread_mutex_unlock(&reader->lane.lock);
	rh_db_close(db);
}
