/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Messages that wait for the agent: bounded, in order, owning duplicates of their descriptors.
 */

#include "broker/daemon/container/link_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"

struct item {
	struct rh_list node;
	enum rh_wire_type type;
	size_t body_size;
	int n_fds;
	int fds[RH_LINK_FDS_MAX];
	uint8_t body[RH_LINK_BODY_MAX];
};

static void item_free(struct item *item)
{
	if (!item)
		return;
	for (int i = 0; i < item->n_fds; i++)
		rh_close(item->fds[i]);
	free(item);
}
RH_DEFINE_CLEANUP(struct item *, item_free);

int rh_link_queue_add(struct rh_link *link, enum rh_wire_type type, const void *body,
	size_t body_size, const int *fds, int n_fds)
{
	_cleanup_(item_freep) struct item *item = NULL;

	if (body_size > RH_LINK_BODY_MAX || n_fds > RH_LINK_FDS_MAX)
		return rh_origin(-EMSGSIZE);
	if (link->n_queued == RH_LINK_QUEUE_MAX)
		return rh_origin(-ENOBUFS);
	item = calloc(1, sizeof(*item));
	if (!item)
		return rh_origin(-ENOMEM);
	item->type = type;
	item->body_size = body_size;
	if (body_size > 0)
		memcpy(item->body, body, body_size);
	for (int i = 0; i < n_fds; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		if (fd < 0)
			return rh_origin(-errno);
		item->fds[item->n_fds++] = fd;
	}
	rh_list_append(&link->queue, &item->node);
	link->n_queued++;
	item = NULL;
	return 0;
}

static void drop_first(struct rh_link *link)
{
	struct item *item = rh_list_entry(link->queue.next, struct item, node);

	rh_list_remove(&item->node);
	link->n_queued--;
	item_free(item);
}

int rh_link_queue_flush(struct rh_link *link)
{
	while (!rh_list_is_empty(&link->queue)) {
		struct item *item = rh_list_entry(link->queue.next, struct item, node);
		int r = rh_wire_send(link->connection->fd, item->type, item->body, item->body_size,
			item->fds, item->n_fds);

		if (r < 0)
			return rh_trace(r);
		drop_first(link);
	}
	return 0;
}

void rh_link_queue_drop(struct rh_link *link)
{
	while (!rh_list_is_empty(&link->queue))
		drop_first(link);
}
