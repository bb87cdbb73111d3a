/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The broker's end of one mount helper.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/daemon/mount/mounter.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"

static void on_timer(uv_timer_t *timer);
static void pump(struct rh_mount_channel *channel);

static const char *helper_name(const struct rh_mount_channel *channel)
{
	return channel->kind == RH_MOUNT_HELPER_FAST ? "mount" : "sweep";
}

/* Takes the first request off the queue and answers it. */
static void finish(struct rh_mount_channel *channel, const struct rh_mount_reply *reply)
{
	struct rh_mount_pending *pending = channel->head;
	const struct rh_mount_result result = {
		.swapped_workspace = reply->swapped_workspace,
		.n_temp_leftovers = reply->n_temp_leftovers,
		.id_mapped = reply->id_mapped,
		.no_follow = reply->no_follow,
	};
	struct rh_err err;

	memcpy(err.text, reply->text, sizeof(err.text));
	channel->head = pending->next;
	if (!channel->head)
		channel->tail = &channel->head;
	channel->n_pending--;
	channel->busy = false;
	if (pending->done)
		pending->done(pending->arg, reply->r, &result, &err);
	else if (pending->swept)
		pending->swept(pending->arg, reply->r, reply->bytes, reply->n_files);
	free(pending);
}

static void fail(struct rh_mount_channel *channel, int r, const char *why)
{
	struct rh_mount_reply reply = {.r = r};

	(void)snprintf(reply.text, sizeof(reply.text), "%s", why);
	finish(channel, &reply);
}

static void on_link_closed(uv_handle_t *handle)
{
	struct rh_mount_link *link = handle->data;
	struct rh_mounter *mounter = link->channel->mounter;

	rh_close(link->fd);
	free(link);
	rh_mounter_on_handle_closed(mounter);
}

static void drop_link(struct rh_mount_channel *channel)
{
	struct rh_mount_link *link = channel->link;

	channel->link = NULL;
	if (link)
		uv_close((uv_handle_t *)&link->poll, on_link_closed);
}

/* The helper is dead, or talks nonsense: what it had is lost, what waits is not. */
static void lose_helper(struct rh_mount_channel *channel, const char *why)
{
	drop_link(channel);
	if (channel->mounter->closing)
		return;
	rh_log_warning(channel->mounter->log,
		"a mount helper was lost; the next request gets a new one",
		RH_STR("helper", helper_name(channel)), RH_STR("why", why));
	if (channel->busy)
		fail(channel, -EPIPE, "the mount helper died; try again");
}

static void on_reply(struct rh_mount_channel *channel, const struct rh_mount_reply *reply)
{
	if (!channel->busy || reply->seq != channel->head->seq) {
		lose_helper(channel, "it answered what was not asked");
		return;
	}
	channel->head->deadline_ms = rh_now_ms() + channel->mounter->deadline_ms;
	if (reply->kind == RH_MOUNT_DONE)
		finish(channel, reply);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct rh_mount_link *link = poll->data;
	struct rh_mount_channel *channel = link->channel;
	uint8_t buf[sizeof(struct rh_mount_reply) + 1];
	struct rh_mount_reply reply;
	ssize_t n = -1;

	do
		n = recv(link->fd, buf, sizeof(buf), MSG_DONTWAIT);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0 && errno == EAGAIN && status == 0)
		return;
	if (n <= 0)
		lose_helper(channel, "its socket ended");
	else if (rh_mount_reply_decode(buf, (size_t)n, &reply) < 0)
		lose_helper(channel, "it sent a malformed packet");
	else
		on_reply(channel, &reply);
	pump(channel);
}

/* Consumes @fd. */
static int make_link(struct rh_mount_channel *channel, int fd)
{
	struct rh_mounter *mounter = channel->mounter;
	struct rh_mount_link *link = calloc(1, sizeof(*link));
	int r = link ? uv_poll_init(mounter->loop, &link->poll, fd) : -ENOMEM;

	if (r < 0) {
		free(link);
		rh_close(fd);
		return rh_trace(r);
	}
	link->poll.data = link;
	link->fd = fd;
	link->channel = channel;
	channel->link = link;
	mounter->n_handles++;
	r = uv_poll_start(&link->poll, UV_READABLE, on_readable);
	if (r < 0)
		drop_link(channel);
	return rh_trace(r);
}

static int send_to_helper(struct rh_mount_channel *channel, const struct rh_mount_pending *pending)
{
	int fd = -1;
	int r = 0;

	if (!channel->link) {
		r = rh_zygote_spawn(&channel->mounter->zygote, channel->kind, &fd);
		if (r == 0)
			r = make_link(channel, fd);
		if (r < 0)
			return rh_trace(r);
	}

	const struct rh_mount_link *link = channel->link;

	if (!link)
		return rh_origin(-EPIPE);

	ssize_t n = send(link->fd, pending->packet, pending->size, MSG_NOSIGNAL | MSG_DONTWAIT);

	return n < 0 ? rh_origin(-errno) : 0;
}

static void arm(struct rh_mount_channel *channel)
{
	const struct rh_mount_pending *head = channel->head;
	int64_t delay_ms = 0;

	if (!head) {
		(void)uv_timer_stop(&channel->timer);
		return;
	}
	if (!head->failed)
		delay_ms = head->deadline_ms - rh_now_ms();

	(void)uv_timer_start(&channel->timer, on_timer, delay_ms > 0 ? (uint64_t)delay_ms : 0, 0);
}

/*
 * The zygote is dead and nobody has noticed yet: the next one will be given the request. A socket
 * whose peer left something unread says so by ECONNRESET, once, before it says EPIPE.
 */
static bool is_awaited(const struct rh_mount_channel *channel, int r)
{
	return (r == -EPIPE || r == -ECONNRESET) && !channel->mounter->zygote_dead &&
		channel->mounter->program;
}

/* Gives the helper its next request. */
static void pump(struct rh_mount_channel *channel)
{
	struct rh_mount_pending *head = channel->head;

	if (channel->mounter->closing)
		return;
	if (head && head->op == RH_MOUNT_SWEEP && channel->mounter->sweeps_ended)
		head->failed = -ECANCELED;
	if (head && !channel->busy && !head->failed && !channel->mounter->zygote_awaited) {
		int r = send_to_helper(channel, head);

		if (r < 0 && channel->link) { /* it died while idle */
			drop_link(channel);
			r = send_to_helper(channel, head);
		}
		channel->busy = r == 0;
		head->failed = is_awaited(channel, r) ? 0 : r;
		if (head->deadline_ms == 0)
			head->deadline_ms = rh_now_ms() + channel->mounter->deadline_ms;
	}
	arm(channel);
}

void rh_mount_channel_renew(struct rh_mount_channel *channel)
{
	if (!channel->busy)
		drop_link(channel);
	pump(channel);
}

/* The deadline of the first request, or it could not be sent. */
static void on_timer(uv_timer_t *timer)
{
	struct rh_mount_channel *channel = timer->data;
	struct rh_mount_pending *head = channel->head;

	if (!head || channel->mounter->closing)
		return;
	if (head->failed) {
		/* A helper that is left at its sweep ends with its next word, or by the zygote. */
		drop_link(channel);
		fail(channel, head->failed, "no mount helper can be started; restart runnerhubd");
	} else if (head->deadline_ms <= rh_now_ms()) {
		rh_log_warning(channel->mounter->log,
			"a mount helper did not answer in time; it is replaced",
			RH_STR("helper", helper_name(channel)));
		/* The zygote kills it when it forks the next one, which pump() asks for. */
		if (channel->busy)
			drop_link(channel);
		fail(channel, -ETIMEDOUT, "the mount helper did not answer in time");
	}
	pump(channel);
}

int rh_mount_channel_start(struct rh_mount_channel *channel, struct rh_mounter *mounter,
	enum rh_mount_helper_kind kind, int fd)
{
	int r = uv_timer_init(mounter->loop, &channel->timer);

	if (r < 0) {
		rh_close(fd);
		return rh_trace(r);
	}
	channel->mounter = mounter;
	channel->kind = kind;
	channel->timer.data = channel;
	channel->tail = &channel->head;
	mounter->n_handles++;
	return fd >= 0 ? rh_trace(make_link(channel, fd)) : 0;
}

void rh_mount_channel_submit(struct rh_mount_channel *channel, struct rh_mount_pending *pending)
{
	/* What jobs wait for must end in time, the deleting of trash must only get on. */
	if (channel->kind == RH_MOUNT_HELPER_FAST)
		pending->deadline_ms = rh_now_ms() + channel->mounter->deadline_ms;
	pending->next = NULL;
	*channel->tail = pending;
	channel->tail = &pending->next;
	channel->n_pending++;
	pump(channel);
}

void rh_mount_channel_end_sweeps(struct rh_mount_channel *channel)
{
	if (channel->mounter)
		pump(channel);
}

void rh_mount_channel_cancel(struct rh_mount_channel *channel, int r)
{
	while (channel->head)
		fail(channel, r, "the broker is stopping");
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct rh_mount_channel *channel = handle->data;

	rh_mounter_on_handle_closed(channel->mounter);
}

void rh_mount_channel_close(struct rh_mount_channel *channel)
{
	drop_link(channel);
	if (channel->mounter && !uv_is_closing((uv_handle_t *)&channel->timer))
		uv_close((uv_handle_t *)&channel->timer, on_timer_closed);
}
