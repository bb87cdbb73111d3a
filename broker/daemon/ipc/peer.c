/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker.sock: one peer a connection, from processes of registered runners.
 *
 *   accepted ──first message──▶ owned ──▶ closing ──close callback──▶ freed
 *       └──── deadline, malformed, closed ────┘
 */

#include "broker/daemon/ipc/peer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/daemon/ipc/door.h"
#include "broker/daemon/ipc/strangers.h"
#include "runnerhub/clock.h"
#include "runnerhub/fd.h"
#include "runnerhub/weaken.h"

struct rh_peer {
	struct rh_peer_server *server;
	struct rh_peer *next, *prev;
	uv_poll_t poll;
	int fd;
	uid_t uid;
	int64_t accepted_ms;
	bool has_spoken;
	bool closing;
	rh_peer_message_fn on_message;
	rh_peer_gone_fn on_gone;
	void *arg;
};

struct rh_peer_server {
	struct rh_peer_server_options options;
	struct rh_door *door;
	uv_timer_t timer; /* cuts peers that stay silent */
	uint32_t n_peers;
	struct rh_strangers strangers;
	struct rh_peer *peers;
	int n_handles;
	bool closing;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void server_maybe_closed(struct rh_peer_server *server)
{
	if (!server->closing || server->n_handles > 0 || server->peers)
		return;

	void (*cb)(void *) = server->on_closed;
	void *arg = server->closed_arg;

	free(server);
	if (cb)
		cb(arg);
}

static void on_peer_closed(uv_handle_t *handle)
{
	struct rh_peer *peer = handle->data;
	struct rh_peer_server *server = peer->server;

	rh_close(peer->fd);
	if (peer->prev)
		peer->prev->next = peer->next;
	else
		server->peers = peer->next;
	if (peer->next)
		peer->next->prev = peer->prev;
	server->n_peers--;
	free(peer);
	server_maybe_closed(server);
}

void rh_peer_close(struct rh_peer *peer)
{
	if (peer->closing)
		return;
	peer->closing = true;
	peer->on_message = NULL;
	peer->on_gone = NULL;
	/* The other end must see the end of file now, not when the close callback runs. */
	(void)shutdown(peer->fd, SHUT_RDWR);
	uv_close((uv_handle_t *)&peer->poll, on_peer_closed);
}

/* Ends a peer and tells its owner. */
static void peer_gone(struct rh_peer *peer)
{
	rh_peer_gone_fn on_gone = peer->on_gone;
	void *arg = peer->arg;

	if (peer->closing)
		return;
	rh_peer_close(peer);
	if (on_gone)
		on_gone(arg, peer);
}

static void peer_dispatch(struct rh_peer *peer, struct rh_wire_msg *msg)
{
	if (!peer->has_spoken) {
		peer->has_spoken = true;
		peer->server->options.on_first(peer->server->options.arg, peer, msg);
	} else if (peer->on_message) {
		peer->on_message(peer->arg, peer, msg);
	} else {
		rh_log_warning(peer->server->options.log, "peer sent an unexpected message",
			RH_NUM("type", msg->type), RH_NUM("uid", peer->uid));
		peer_gone(peer);
	}
}

/* In its own version, so that it can read why. */
static void refuse_version(struct rh_peer *peer, uint16_t version)
{
	rh_log_warning(peer->server->options.log, "peer cut: it speaks another protocol version",
		RH_NUM("uid", peer->uid), RH_NUM("version", version));
	(void)rh_wire_refuse(peer->fd, version, RH_WIRE_OTHER_RELEASE);
	peer_gone(peer);
}

static void peer_read(struct rh_peer *peer)
{
	struct rh_wire_msg msg;

	/* Bounded, so that one peer cannot hold the loop. */
	for (int i = 0; i < 16 && !peer->closing; i++) {
		int r = rh_wire_recv(peer->fd, &msg);

		if (r == RH_WIRE_E_AGAIN)
			return;
		if (r == -EPROTONOSUPPORT) {
			refuse_version(peer, msg.version);
			return;
		}
		if (r != 0) {
			if (r < 0)
				rh_log_warning(peer->server->options.log,
					"peer cut: malformed message", RH_NUM("uid", peer->uid),
					RH_ERRNO(r));
			peer_gone(peer);
			return;
		}
		peer_dispatch(peer, &msg);
		rh_wire_msg_close_fds(&msg);
	}
}

static void on_peer_poll(uv_poll_t *handle, int status, int events)
{
	struct rh_peer *peer = handle->data;

	if (status < 0)
		peer_gone(peer);
	else
		peer_read(peer);
}

static uint32_t count_of_uid(const struct rh_peer_server *server, uid_t uid)
{
	uint32_t n = 0;

	for (const struct rh_peer *p = server->peers; p; p = p->next)
		n += p->uid == uid;
	return n;
}

/* Refuses a connection that never becomes a peer; takes @fd. */
static void turn_away(int fd, const char *line)
{
	(void)rh_wire_send(fd, RH_WIRE_REFUSED, line, strlen(line), NULL, 0);
	rh_close(fd);
}

/* Of the door: takes @fd. */
static void admit(void *arg, int fd)
{
	struct rh_peer_server *server = arg;
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0) {
		rh_close(fd);
		return;
	}
	if (!server->options.allowed(server->options.arg, cred.uid) && !rh_weakened("door")) {
		rh_strangers_add(&server->strangers, server->options.log, &cred, rh_now_ms());
		turn_away(fd, "this user is not that of a registered runner");
		return;
	}
	if (server->n_peers >= RH_PEERS_MAX ||
		(server->n_peers >= RH_PEERS_OF_UID_MAX &&
			count_of_uid(server, cred.uid) >= RH_PEERS_OF_UID_MAX)) {
		turn_away(fd, "too many connections to the broker at once; try again later");
		return;
	}

	struct rh_peer *peer = calloc(1, sizeof(*peer));

	if (!peer) {
		rh_close(fd);
		return;
	}
	peer->server = server;
	peer->fd = fd;
	peer->uid = cred.uid;
	peer->accepted_ms = rh_now_ms();
	if (uv_poll_init(server->options.loop, &peer->poll, fd) < 0) {
		free(peer);
		rh_close(fd);
		return;
	}
	peer->poll.data = peer;
	peer->next = server->peers;
	if (peer->next)
		peer->next->prev = peer;
	server->peers = peer;
	server->n_peers++;
	if (uv_poll_start(&peer->poll, UV_READABLE | UV_DISCONNECT, on_peer_poll) < 0) {
		rh_peer_close(peer);
		return;
	}
	/* The message is usually there already. */
	peer_read(peer);
}

static void on_full(void *arg, int fd)
{
	static const char line[] = "the broker has no descriptor left; try again later";

	(void)rh_wire_send(fd, RH_WIRE_REFUSED, line, sizeof(line) - 1, NULL, 0);
}

static void on_timer(uv_timer_t *handle)
{
	struct rh_peer_server *server = handle->data;
	int64_t now = rh_now_ms();

	rh_strangers_tell(&server->strangers, server->options.log, now);
	for (struct rh_peer *p = server->peers, *next = NULL; p; p = next) {
		next = p->next;
		if (!p->has_spoken && now - p->accepted_ms > RH_PEER_FIRST_MS)
			rh_peer_refuse(p, "nothing was asked in time");
	}
}

int rh_peer_server_start(const struct rh_peer_server_options *options,
	struct rh_peer_server **ret_server, struct rh_err *err)
{
	struct rh_peer_server *server = calloc(1, sizeof(*server));

	if (!server)
		return rh_err_set(err, -ENOMEM, "out of memory");
	server->options = *options;
	server->options.path = NULL;

	/* Whoever may connect is decided by uid in admit(). */
	const struct rh_door_options door = {
		.loop = options->loop,
		.log = options->log,
		.path = options->path,
		.type = SOCK_SEQPACKET,
		.mode = 0666,
		.gid = RH_DOOR_NO_GID,
		.backlog = 1024,
		.on_connection = admit,
		.on_full = on_full,
		.arg = server,
	};
	int r = rh_door_open(&door, &server->door, err);

	if (r < 0) {
		free(server);
		return rh_trace(r);
	}
	(void)uv_timer_init(options->loop, &server->timer);
	server->timer.data = server;
	server->n_handles = 2;
	(void)uv_timer_start(&server->timer, on_timer, 1000, 1000);
	uv_unref((uv_handle_t *)&server->timer);
	*ret_server = server;
	return 0;
}

static void server_handle_closed(struct rh_peer_server *server)
{
	server->n_handles--;
	server_maybe_closed(server);
}

static void on_server_handle_closed(uv_handle_t *handle)
{
	server_handle_closed(handle->data);
}

static void on_door_closed(void *arg)
{
	server_handle_closed(arg);
}

void rh_peer_server_close(struct rh_peer_server *server, void (*cb)(void *arg), void *arg)
{
	if (server->closing)
		return;
	server->closing = true;
	server->on_closed = cb;
	server->closed_arg = arg;
	for (struct rh_peer *p = server->peers, *next = NULL; p; p = next) {
		next = p->next;
		peer_gone(p);
	}
	rh_door_close(server->door, on_door_closed, server);
	uv_close((uv_handle_t *)&server->timer, on_server_handle_closed);
}

int rh_peer_server_check(struct rh_peer_server *server, struct rh_err *err)
{
	return rh_door_check(server->door, err);
}

uint32_t rh_peer_server_count(const struct rh_peer_server *server)
{
	return server->n_peers;
}

void rh_peer_own(
	struct rh_peer *peer, rh_peer_message_fn on_message, rh_peer_gone_fn on_gone, void *arg)
{
	assert(!peer->closing);
	peer->on_message = on_message;
	peer->on_gone = on_gone;
	peer->arg = arg;
}

void rh_peer_set_handler(struct rh_peer *peer, rh_peer_message_fn on_message)
{
	peer->on_message = on_message;
}

int rh_peer_fd(const struct rh_peer *peer)
{
	return peer->fd;
}

static int peer_send(
	struct rh_peer *peer, enum rh_wire_type type, const void *body, size_t size, int fd)
{
	if (peer->closing)
		return rh_origin(-EPIPE);

	int r = rh_wire_send(peer->fd, type, body, size, &fd, fd >= 0 ? 1 : 0);

	if (r == -EAGAIN)
		rh_log_warning(peer->server->options.log, "peer cut: it does not read",
			RH_NUM("uid", peer->uid));
	/* The poll sees the end and tells the owner: never from inside this call. */
	if (r < 0)
		(void)shutdown(peer->fd, SHUT_RDWR);
	return rh_trace(r);
}

int rh_peer_send(struct rh_peer *peer, enum rh_wire_type type, const void *body, size_t size)
{
	return peer_send(peer, type, body, size, -1);
}

int rh_peer_send_fd(struct rh_peer *peer, enum rh_wire_type type, int fd)
{
	return peer_send(peer, type, NULL, 0, fd);
}

void rh_peer_refuse(struct rh_peer *peer, const char *line)
{
	size_t n = strlen(line);

	(void)rh_peer_send(
		peer, RH_WIRE_REFUSED, line, n < RH_WIRE_BODY_MAX ? n : RH_WIRE_BODY_MAX);
	rh_peer_close(peer);
}
