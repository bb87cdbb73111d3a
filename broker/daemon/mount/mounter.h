/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The broker's side, for mount.c, channel.c and their tests only.
 *
 * A channel is the broker's end of one helper: a queue of requests, of which the first is with the
 * helper, one deadline timer, and a link (socket and watcher) that is made anew when a helper died.
 *
 *   idle ── request ──▶ busy ── DONE ──▶ idle, or the next one
 *                        │
 *                        └─ socket ends, nonsense, deadline: the request fails, the link is
 *                           dropped, the next request gets a new helper
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "broker/daemon/mount/mount.h"
#include "broker/daemon/mount/protocol.h"
#include "broker/daemon/mount/zygote.h"

#define RH_MOUNT_DEADLINE_MS 30000
#define RH_MOUNT_QUEUE_MAX   1024
#define RH_MOUNT_END_MS      2000 /* what a zygote may take to end */

struct rh_mount_channel;

struct rh_mount_link {
	uv_poll_t poll;
	int fd;
	struct rh_mount_channel *channel;
};

struct rh_mount_pending {
	struct rh_mount_pending *next;
	enum rh_mount_op op;
	uint64_t seq;
	int64_t deadline_ms; /* 0: begins when it is sent */
	int failed; /* it could not be sent: negative errno */
	rh_mount_done_fn done;
	rh_mount_swept_fn swept;
	void *arg;
	size_t size;
	uint8_t packet[];
};

struct rh_mount_channel {
	struct rh_mounter *mounter;
	enum rh_mount_helper_kind kind;
	struct rh_mount_link *link; /* NULL: no helper */
	uv_timer_t timer;
	struct rh_mount_pending *head;
	struct rh_mount_pending **tail;
	size_t n_pending;
	bool busy; /* @head is with the helper */
};

struct rh_mounter {
	uv_loop_t *loop; /* NULL: not started */
	struct rh_log *log;
	struct rh_zygote zygote;
	uv_poll_t zygote_poll;
	bool zygote_dead; /* there is none, and none can be had */
	bool zygote_awaited; /* it died, the next one comes when its watcher is closed */
	int64_t zygote_born_ms;
	unsigned n_short_lives;
	const char *program; /* that the next zygote is; NULL: there is only the first */
	uv_timer_t kill_timer; /* while closing */
	struct rh_mount_channel channels[RH_MOUNT_HELPERS];
	int first_fds[RH_MOUNT_HELPERS]; /* sockets of the helpers forked at start-up */
	int64_t deadline_ms;
	bool slots; /* this kernel has no detached mounts */
	uint64_t seq;
	unsigned n_handles;
	bool sweeps_ended; /* a helper that is at one is left */
	bool closing;
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

/* Owns libuv handles. @fd: of a helper that exists already, consumed; -1: none. */
int rh_mount_channel_start(struct rh_mount_channel *channel, struct rh_mounter *mounter,
	enum rh_mount_helper_kind kind, int fd);
/* Handles are closed and counted down in @mounter->n_handles by rh_mounter_on_handle_closed(). */
void rh_mount_channel_close(struct rh_mount_channel *channel);
/* Consumes @pending. Its callback comes later in any case. */
void rh_mount_channel_submit(struct rh_mount_channel *channel, struct rh_mount_pending *pending);
/* Answers its sweeps with -ECANCELED, the one at hand first. May not be started. */
void rh_mount_channel_end_sweeps(struct rh_mount_channel *channel);
/* Answers whatever waits. */
void rh_mount_channel_cancel(struct rh_mount_channel *channel, int r);

/*
 * Wakes a channel that waited for a zygote. An idle helper was the dead one's child and is about to
 * end as well, so nothing more is sent to it; what a busy one answered may still arrive.
 */
void rh_mount_channel_renew(struct rh_mount_channel *channel);

/* -- revive.c -- */

/* Watches the zygote; when it dies another one takes its place. Return: 0; negative errno. */
int rh_mounter_watch_zygote(struct rh_mounter *mounter);
/* Its watcher and the timer close when it is dead, or at once if it is not watched. */
void rh_mounter_end_zygote(struct rh_mounter *mounter);

/* One handle of the mounter less; the last one ends it. */
void rh_mounter_on_handle_closed(struct rh_mounter *mounter);
