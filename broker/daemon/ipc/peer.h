/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * broker.sock: one peer a connection, from processes of registered runners.
 *
 * A peer is cut when it sends nothing within its deadline, sends malformed packets, or does not
 * read what it is sent. Whoever gets a peer's first message becomes its owner by setting the
 * callbacks. Context: loop thread.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "broker/daemon/config/config.h"
#include "runnerhub/wire.h"

#define RH_PEERS_MAX        4096 /* at once, all uids */
#define RH_PEERS_OF_UID_MAX 1024
#define RH_PEER_FIRST_MS    5000 /* first message after the connection */

struct rh_peer;
struct rh_peer_server;

/* @msg's descriptors that are not taken (set to -1) are closed afterwards. */
typedef void (*rh_peer_message_fn)(void *arg, struct rh_peer *peer, struct rh_wire_msg *msg);
/* The peer is gone; it must not be used after this returns. */
typedef void (*rh_peer_gone_fn)(void *arg, struct rh_peer *peer);

struct rh_peer_server_options {
	uv_loop_t *loop;
	struct rh_log *log;
	const char *path;
	/* Whether this uid belongs to a registered runner. */
	bool (*allowed)(void *arg, uid_t uid);
	rh_peer_message_fn on_first; /* the first message of each peer */
	void *arg;
};

int rh_peer_server_start(const struct rh_peer_server_options *options,
	struct rh_peer_server **ret_server, struct rh_err *err);
void rh_peer_server_close(struct rh_peer_server *server, void (*cb)(void *arg), void *arg);
/* Is its socket still there? See rh_door_check(). */
int rh_peer_server_check(struct rh_peer_server *server, struct rh_err *err);
/* The descriptors that are open: for status and limits. */
uint32_t rh_peer_server_count(const struct rh_peer_server *server);

/* Later messages and the end go to @on_message (may be NULL: another message cuts it) and @on_gone.
 */
void rh_peer_own(
	struct rh_peer *peer, rh_peer_message_fn on_message, rh_peer_gone_fn on_gone, void *arg);
/* Replaces the callback of later messages; the argument stays. */
void rh_peer_set_handler(struct rh_peer *peer, rh_peer_message_fn on_message);
int rh_peer_fd(const struct rh_peer *peer);
/* Cuts the peer on failure, asynchronously. Return: 0; negative errno. */
int rh_peer_send(struct rh_peer *peer, enum rh_wire_type type, const void *body, size_t size);
int rh_peer_send_fd(struct rh_peer *peer, enum rh_wire_type type, int fd);
/* Sends one line, cut at the body's limit, and closes. @on_gone is not called. */
void rh_peer_refuse(struct rh_peer *peer, const char *line);
/* @on_gone is not called. What was sent before still arrives. */
void rh_peer_close(struct rh_peer *peer);
