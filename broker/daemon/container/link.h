/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The link to one container's agent: connect, greet, send, receive, connect again.
 *
 *   IDLE ──▶ CONNECTING ──▶ GREETING ──▶ READY
 *                ▲              │          │
 *                └──────────────┴──────────┘   connection lost
 *   any ──▶ STOPPED
 *
 * CONNECTING waits for its timer, GREETING for the agent's STATE; both end with on_lost at the
 * deadline, which begins when the agent is no longer READY.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "runnerhub/list.h"
#include "runnerhub/wire.h"

enum rh_link_phase {
	RH_LINK_IDLE,
	RH_LINK_CONNECTING,
	RH_LINK_GREETING,
	RH_LINK_READY,
	RH_LINK_STOPPED,
};

/* All from the loop. on_lost and on_state may stop the link. */
struct rh_link_events {
	/* After each connection. The process that listens is known: rh_link.pid. */
	void (*on_state)(void *arg, const struct rh_wire_state *state);
	void (*on_leased)(void *arg, const struct rh_wire_state *state);
	void (*on_refused)(void *arg, const char *why); /* UTF-8, one line */
	void (*on_step_ended)(void *arg, const struct rh_wire_step_report *report);
	/* The deadline passed, or the agent talks nonsense. The link is stopped. */
	void (*on_lost)(void *arg, const char *why);
	/* A libuv handle of the link was opened; one was closed, and its memory is needed no more.
	 */
	void (*on_hold)(void *arg);
	void (*on_release)(void *arg);
};

struct rh_link_connection;

/* Embedded in its owner, which must live until every hold is released. */
struct rh_link {
	uv_loop_t *loop;
	const struct rh_link_events *events;
	void *arg;
	const char *path; /* of the agent's socket, borrowed */
	enum rh_link_phase phase;
	uv_timer_t timer;
	uv_fs_event_t arrival; /* of the agent's socket */
	bool awaits_arrival; /* that handle is open */
	struct rh_link_connection *connection; /* NULL: none */
	struct rh_list queue; /* what could not be sent yet; owns duplicates of descriptors */
	unsigned n_queued;
	bool once; /* nobody listens: lost at once, do not try again */
	uint64_t patience_ms;
	uint64_t wait_ms; /* until the next attempt */
	uint64_t wait_max_ms;
	int64_t deadline_ms;
	pid_t pid; /* of the agent, in our pid namespace */
};

/**
 * rh_link_start() - begin to connect
 * @patience_ms: how long the agent may be silent before on_lost
 * @starting:    the agent is just being started: its socket's directory, which must be there, is
 *               watched, so that it is met at once
 *
 * Fields loop, events, arg and path are the owner's to set.
 * Context: loop thread. Return: 0; negative errno.
 */
int rh_link_start(struct rh_link *link, uint64_t patience_ms, bool starting);
/* The clock of the deadline begins now. */
void rh_link_extend(struct rh_link *link);
/* May be called in any phase and again. Queued messages are dropped, no event follows. */
void rh_link_stop(struct rh_link *link);

/* Takes in what the agent has said already, without waiting for the loop's turn. */
void rh_link_hear(struct rh_link *link);

/**
 * rh_link_send() - send a message, or queue it until it can be sent
 * @body: copied
 * @fds:  borrowed; duplicated if they must wait
 *
 * Return: 0; -ENOBUFS if too much waits; -ENOTCONN if stopped; negative errno.
 */
int rh_link_send(struct rh_link *link, enum rh_wire_type type, const void *body, size_t body_size,
	const int *fds, int n_fds);
