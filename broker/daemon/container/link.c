/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The link to one container's agent: its connection's phases, and what arrives.
 *
 * The agent is treated as hostile: it runs where a job was. A socket of this kind connects at once
 * or not at all, so that an attempt costs a few microseconds. The directory of an agent that is
 * just being started is watched for its socket (inotify(7)), and tried now and then beside that,
 * since a watch may not be had. The credentials of the listening side are those of the agent when
 * it called listen(2): its pid is the container's init (unix(7), SO_PEERCRED).
 */

#include "broker/daemon/container/link.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/daemon/container/link_queue.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"
#include "runnerhub/err.h"
#include "runnerhub/fd.h"

#define WAIT_FIRST_MS   1
#define WAIT_ARRIVAL_MS 20
#define WAIT_MAX_MS     100
#define MESSAGES_A_TURN 32

static void attempt(struct rh_link *link);

static void on_connection_closed(uv_handle_t *handle)
{
	struct rh_link_connection *connection =
		rh_list_entry(handle, struct rh_link_connection, poll);
	struct rh_link *link = connection->link;

	free(connection);
	link->events->on_release(link->arg);
}

static void disconnect(struct rh_link *link)
{
	struct rh_link_connection *connection = rh_steal(&link->connection);

	if (!connection)
		return;
	(void)uv_poll_stop(&connection->poll);
	uv_close((uv_handle_t *)&connection->poll, on_connection_closed);
	rh_close(connection->fd);
	connection->fd = -1;
}

static void lose(struct rh_link *link, const char *why)
{
	rh_link_stop(link);
	link->events->on_lost(link->arg, why);
}

static void on_timer(uv_timer_t *timer)
{
	struct rh_link *link = rh_list_entry(timer, struct rh_link, timer);

	if (link->phase == RH_LINK_GREETING)
		lose(link, "its agent does not answer");
	else if (link->phase == RH_LINK_CONNECTING)
		attempt(link);
}

static void on_arrival_closed(uv_handle_t *handle)
{
	struct rh_link *link = rh_list_entry(handle, struct rh_link, arrival);

	link->events->on_release(link->arg);
}

static void stop_arrival(struct rh_link *link)
{
	if (link->awaits_arrival)
		uv_close((uv_handle_t *)&link->arrival, on_arrival_closed);
	link->awaits_arrival = false;
}

static void on_arrival(uv_fs_event_t *handle, const char *name, int events, int status)
{
	struct rh_link *link = rh_list_entry(handle, struct rh_link, arrival);

	(void)name;
	(void)events;
	if (status < 0)
		stop_arrival(link); /* the timer goes on */
	else if (link->phase == RH_LINK_CONNECTING)
		attempt(link);
}

/* Without a watch (their number is limited) the timer finds the socket, if later. */
static void await_arrival(struct rh_link *link)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(link->path, '/');

	if (!slash || slash - link->path >= (ptrdiff_t)sizeof(dir) ||
		uv_fs_event_init(link->loop, &link->arrival) < 0)
		return;
	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - link->path), link->path);
	link->awaits_arrival = true;
	link->events->on_hold(link->arg);
	if (uv_fs_event_start(&link->arrival, on_arrival, dir, 0) < 0)
		stop_arrival(link);
}

static void wait_for(struct rh_link *link, uint64_t wait_ms)
{
	/* Fails only for a timer that is closing, and then the link is stopped. */
	(void)uv_timer_start(&link->timer, on_timer, wait_ms, 0);
}

/* Back to CONNECTING after a connection is lost. */
static void reconnect(struct rh_link *link)
{
	disconnect(link);
	if (link->phase == RH_LINK_READY)
		rh_link_extend(link);
	link->phase = RH_LINK_CONNECTING;
	link->wait_ms = WAIT_FIRST_MS;
	wait_for(link, link->wait_ms);
}

static void watch(struct rh_link *link);

static void flush(struct rh_link *link)
{
	int r = rh_link_queue_flush(link);

	if (r < 0 && r != -EAGAIN)
		reconnect(link);
	else
		watch(link);
}

static void greet_done(struct rh_link *link, const struct rh_wire_state *state)
{
	bool first = link->phase == RH_LINK_GREETING;

	if (!first)
		return; /* a state that was not asked for says nothing new */
	link->phase = RH_LINK_READY;
	link->once = false;
	link->wait_max_ms = WAIT_MAX_MS;
	(void)uv_timer_stop(&link->timer);
	link->events->on_state(link->arg, state);
	if (link->phase == RH_LINK_READY)
		flush(link);
}

static void refused(struct rh_link *link, const struct rh_wire_msg *msg)
{
	const char *why = (const char *)msg->body;

	if (!rh_wire_text_valid(why, msg->body_size, false))
		why = "(no readable reason)";
	link->events->on_refused(link->arg, why);
}

/* Return: false if the agent said what it may not say. */
static bool handle(struct rh_link *link, const struct rh_wire_msg *msg)
{
	const void *state = rh_wire_body(msg, sizeof(struct rh_wire_state));
	const void *report = rh_wire_body(msg, sizeof(struct rh_wire_step_report));

	if (msg->type == RH_WIRE_STATE && state) {
		greet_done(link, state);
		return true;
	}
	if (link->phase != RH_LINK_READY)
		return false;
	switch (msg->type) {
	case RH_WIRE_LEASED:
		if (state)
			link->events->on_leased(link->arg, state);
		return state;
	case RH_WIRE_REFUSED:
		refused(link, msg);
		return true;
	case RH_WIRE_STEP_ENDED:
		if (report)
			link->events->on_step_ended(link->arg, report);
		return report;
	default:
		return false;
	}
}

static void receive(struct rh_link *link)
{
	struct rh_link_connection *connection = link->connection;

	/* An event may stop the link or replace its connection. */
	for (int i = 0; i < MESSAGES_A_TURN && link->connection == connection; i++) {
		struct rh_wire_msg msg;
		int r = rh_wire_recv(connection->fd, &msg);

		if (r == RH_WIRE_E_AGAIN)
			return;
		if (r == -EPROTO) {
			lose(link, "its agent sent a malformed message");
			return;
		}
		if (r != 0) {
			reconnect(link);
			return;
		}
		rh_wire_msg_close_fds(&msg); /* an agent has none to give */
		if (!handle(link, &msg)) {
			lose(link, "its agent sent a message that it may not send");
			return;
		}
	}
}

void rh_link_hear(struct rh_link *link)
{
	if (link->connection)
		receive(link);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct rh_link_connection *connection =
		rh_list_entry(poll, struct rh_link_connection, poll);
	struct rh_link *link = connection->link;

	if (status < 0) {
		reconnect(link);
		return;
	}
	if ((events & UV_WRITABLE) && link->phase == RH_LINK_READY)
		flush(link);
	if ((events & UV_READABLE) && link->connection == connection)
		receive(link);
}

/* Asks for what the connection needs: always to read, to write if something waits. */
static void watch(struct rh_link *link)
{
	int events = UV_READABLE;

	if (!rh_list_is_empty(&link->queue) && link->phase == RH_LINK_READY)
		events |= UV_WRITABLE;
	if (link->connection && uv_poll_start(&link->connection->poll, events, on_poll) < 0)
		lose(link, "its socket cannot be watched");
}

static int open_connection(struct rh_link *link, int fd)
{
	struct rh_link_connection *connection = calloc(1, sizeof(*connection));
	int r = -ENOMEM;

	if (connection)
		r = uv_poll_init(link->loop, &connection->poll, fd);
	if (r < 0) {
		free(connection);
		return rh_origin(r);
	}
	connection->link = link;
	connection->fd = fd;
	link->connection = connection;
	link->events->on_hold(link->arg);
	return 0;
}

static int connect_once(struct rh_link *link)
{
	_cleanup_(rh_closep) int fd = rh_unix_connect(link->path, SOCK_SEQPACKET | SOCK_NONBLOCK);
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	int r = 0;

	if (fd < 0)
		return rh_trace(fd);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return rh_origin(-errno);
	if (peer.pid <= 0)
		return rh_origin(-ESRCH);
	r = rh_wire_send(fd, RH_WIRE_HELLO, NULL, 0, NULL, 0);
	if (r < 0)
		return rh_trace(r);
	r = open_connection(link, fd);
	if (r < 0)
		return rh_trace(r);
	(void)rh_steal_fd(&fd);
	link->pid = peer.pid;
	return 0;
}

static void attempt(struct rh_link *link)
{
	int64_t now_ms = rh_now_ms();
	int r = connect_once(link);

	if (r == 0) {
		stop_arrival(link);
		link->phase = RH_LINK_GREETING;
		wait_for(link,
			link->deadline_ms > now_ms ? (uint64_t)(link->deadline_ms - now_ms) : 1);
		watch(link);
		return;
	}
	if (link->once || now_ms >= link->deadline_ms) {
		lose(link, "its agent does not answer");
		return;
	}
	/* Bound, and about to listen. */
	if (r == -ECONNREFUSED && link->awaits_arrival)
		link->wait_ms = WAIT_FIRST_MS;
	wait_for(link, link->wait_ms);
	link->wait_ms =
		link->wait_ms * 2 < link->wait_max_ms ? link->wait_ms * 2 : link->wait_max_ms;
}

int rh_link_start(struct rh_link *link, uint64_t patience_ms, bool starting)
{
	int r = uv_timer_init(link->loop, &link->timer);

	if (r < 0)
		return rh_trace(r);
	link->events->on_hold(link->arg);
	rh_list_init(&link->queue);
	link->n_queued = 0;
	link->patience_ms = patience_ms;
	link->wait_ms = WAIT_FIRST_MS;
	link->wait_max_ms = starting ? WAIT_ARRIVAL_MS : WAIT_MAX_MS;
	link->phase = RH_LINK_CONNECTING;
	rh_link_extend(link);
	if (starting)
		await_arrival(link);
	wait_for(link, 0);
	return 0;
}

void rh_link_extend(struct rh_link *link)
{
	link->deadline_ms = rh_now_ms() + (int64_t)link->patience_ms;
	if (link->phase == RH_LINK_GREETING)
		wait_for(link, link->patience_ms);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct rh_link *link = rh_list_entry(handle, struct rh_link, timer);

	link->events->on_release(link->arg);
}

void rh_link_stop(struct rh_link *link)
{
	if (link->phase == RH_LINK_IDLE || link->phase == RH_LINK_STOPPED) {
		link->phase = RH_LINK_STOPPED;
		return;
	}
	link->phase = RH_LINK_STOPPED;
	(void)uv_timer_stop(&link->timer);
	uv_close((uv_handle_t *)&link->timer, on_timer_closed);
	stop_arrival(link);
	disconnect(link);
	rh_link_queue_drop(link);
}

int rh_link_send(struct rh_link *link, enum rh_wire_type type, const void *body, size_t body_size,
	const int *fds, int n_fds)
{
	int r = -EAGAIN;

	if (link->phase == RH_LINK_IDLE || link->phase == RH_LINK_STOPPED)
		return rh_origin(-ENOTCONN);
	if (link->phase == RH_LINK_READY && rh_list_is_empty(&link->queue))
		r = rh_wire_send(link->connection->fd, type, body, body_size, fds, n_fds);
	if (r == 0)
		return 0;
	if (r == -EPIPE || r == -ECONNRESET)
		reconnect(link);
	else if (r != -EAGAIN)
		return rh_trace(r);
	r = rh_link_queue_add(link, type, body, body_size, fds, n_fds);
	if (r == 0)
		watch(link);
	return rh_trace(r);
}
