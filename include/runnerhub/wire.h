/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The wire between preload library, hook programs, broker and agents.
 *
 * Sockets are AF_UNIX SOCK_SEQPACKET: one message is one packet. A packet is a header and a small
 * body, in host byte order, since both ends share a kernel; descriptors travel as SCM_RIGHTS. What
 * is larger than a page travels in a sealed memfd (block.h). Every receiver treats its peer as
 * hostile.
 *
 * Versions: the header says the sender's, the major one in its upper byte. A receiver accepts every
 * version of its own major one from RH_WIRE_VERSION_OLDEST on; new fields are added at the end of a
 * body, and a body that is longer than the receiver knows is accepted if the version is newer. A
 * shorter one is refused. The header and REFUSED are the same in every version: whoever speaks
 * another one is told so in words that it can read.
 *
 * Hook and broker (arrows: who sends):
 *
 *   ──▶ ANNOUNCE             from the preload library, as a datagram, without an answer
 *   ──▶ JOB_STARTED          fd: block
 *   ──▶ JOB_COMPLETED        fd: block
 *         ◀── TEXT*, at most one HOST_HOOK, answered by HOST_HOOK_DONE, TEXT*, then DONE or REFUSED
 *   ──▶ STEP                 fds: block, 0, 1, 2, channel
 *         ◀── REFUSED, or nothing: the agent answers on the channel
 *         ◀── STEP_LOST      the container died under the step
 *
 * Broker and agent:
 *
 *   ──▶ HELLO
 *         ◀── STATE, then STEP_ENDED of every report that is not acknowledged
 *   ──▶ LEASE
 *         ◀── LEASED or REFUSED
 *   ──▶ STEP                 body: its id; fds as above
 *         ◀── STEP_ENDED
 *   ──▶ STEP_ACK
 *   ──▶ STEP_KILL            the step's process group ends; EXIT has the reason as its text
 *
 * Client and agent, on the step's channel:
 *
 *   ──▶ GO                   may lie in the channel before the agent gets it
 *         ◀── READY          always before the program is started, which takes both
 *   ──▶ SIGNAL
 *         ◀── EXIT
 *
 * EXIT may come at any time, instead of READY too: the step cannot be run, its text says why. It is
 * also how a program that cannot be executed is told ("X: command not found"). End of file on the
 * channel without READY: the step was not run and may be sent again. A client that gives up closes
 * its side for reading: if READY is not there by then, it cannot be sent any more, and the agent
 * does not start the program. After READY a lost channel is a failed step, for the client; the
 * agent then kills the step's process group.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runnerhub/id.h"
#include "runnerhub/limits.h"

#define RH_WIRE_MAGIC          0x31424852u /* "RHB1" */
#define RH_WIRE_VERSION        1u
#define RH_WIRE_VERSION_OLDEST 1u
#define RH_WIRE_MAJOR(version) ((version) >> 8)

enum rh_wire_type {
	/* to the broker, from processes of a runner */
	RH_WIRE_ANNOUNCE = 1,
	RH_WIRE_JOB_STARTED = 2,
	RH_WIRE_JOB_COMPLETED = 3,
	RH_WIRE_STEP = 4,
	RH_WIRE_HOST_HOOK_DONE = 5, /* struct rh_wire_done */

	/* from the broker, to processes of a runner */
	RH_WIRE_TEXT = 16, /* UTF-8 for stdout, as it is */
	RH_WIRE_HOST_HOOK =
		17, /* fd: block; run its path, argv, envp on the host, report the status */
	RH_WIRE_DONE = 18, /* struct rh_wire_done: exit with it */
	RH_WIRE_REFUSED = 19, /* one UTF-8 line without newline: why; the client exits 1 */
	RH_WIRE_STEP_LOST = 21, /* one UTF-8 line: why a running step's channel went away */

	/* broker and agent */
	RH_WIRE_HELLO = 32, /* empty */
	RH_WIRE_STATE = 33, /* struct rh_wire_state */
	RH_WIRE_LEASE = 34, /* struct rh_wire_lease */
	RH_WIRE_LEASED = 35, /* struct rh_wire_state */
	RH_WIRE_STEP_ENDED = 36, /* struct rh_wire_step_report */
	RH_WIRE_STEP_ACK = 37, /* struct rh_wire_step_ref: the report is stored, forget it */
	RH_WIRE_STEP_KILL = 38, /* struct rh_wire_step_ref, then one UTF-8 line: why */

	/* step channel */
	RH_WIRE_READY = 64, /* empty */
	RH_WIRE_GO = 65, /* empty */
	RH_WIRE_SIGNAL = 66, /* struct rh_wire_signal */
	RH_WIRE_EXIT = 67, /* struct rh_wire_exit, then UTF-8 lines for stderr (may be none) */
};

struct rh_wire_header {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
	uint32_t flags; /* none defined: sent as 0, ignored */
	uint32_t body_size;
};

struct rh_wire_done {
	int32_t exit_code; /* 0..255 */
};

/* Body of STEP from broker to agent too; from a client STEP has no body. */
struct rh_wire_step_ref {
	struct rh_id job;
	uint64_t step; /* counts from 1 in its job */
};

struct rh_wire_lease {
	struct rh_id job;
	uint32_t uid; /* of the steps */
	uint32_t gid;
};

#define RH_WIRE_STATE_LEASED 0x1u

struct rh_wire_state {
	uint32_t flags;
	uint32_t n_steps; /* running now */
	struct rh_id job; /* of the lease, null without one */
	uint64_t last_step; /* largest step id seen, 0 without one */
};

/* How a step ended. */
#define RH_WIRE_STEP_NOT_RUN     0x1u /* the client went away before GO */
#define RH_WIRE_STEP_OOM         0x2u /* the kernel's OOM killer struck while it ran, and it failed */
#define RH_WIRE_STEP_CLIENT_LOST 0x4u /* the client died: its process group was killed */
#define RH_WIRE_STEP_CANCELLED   0x8u /* SIGINT or SIGTERM was relayed to it */

struct rh_wire_step_report {
	struct rh_id job;
	uint64_t step;
	uint32_t flags;
	int32_t exit_code; /* what the client exits with: status, or 128 + signal */
	int32_t signal; /* that ended it, or 0 */
	uint32_t reserved;
	uint64_t wall_us; /* GO to exit */
	uint64_t user_us; /* wait4(2): the step's process and the children it waited for */
	uint64_t sys_us;
	uint64_t peak_rss_kib;
	int64_t ended_wall_ms; /* CLOCK_REALTIME */
};

struct rh_wire_signal {
	int32_t signal; /* SIGINT, SIGTERM, SIGHUP or SIGQUIT; anything else is ignored */
};

struct rh_wire_exit {
	int32_t exit_code; /* 0..255 */
	uint32_t flags; /* RH_WIRE_STEP_… */
};

/* One packet as received. Descriptors belong to the holder. */
struct rh_wire_msg {
	uint16_t type;
	uint16_t version;
	uint32_t body_size;
	int n_fds;
	int fds[RH_WIRE_FDS_MAX];
	/* Aligned for every body struct; always NUL-terminated behind body_size. */
	_Alignas(8) uint8_t body[RH_WIRE_BODY_MAX + 1];
};

#define RH_WIRE_E_EOF   1 /* the peer has closed */
#define RH_WIRE_E_AGAIN 2 /* nothing there (non-blocking socket) */

/**
 * rh_wire_parse() - check a packet's bytes
 * @data, @size: the packet
 * @ret_msg:     type, version and body are written; fds are not touched
 *
 * Pure. Return: 0; -EPROTONOSUPPORT if the version is wrong, which @ret_msg then has; -EPROTO if
 * magic or lengths are.
 */
int rh_wire_parse(const void *data, size_t size, struct rh_wire_msg *ret_msg);

/**
 * rh_wire_send() - send one packet
 * @body: NULL if @body_size is 0
 * @fds:  borrowed, at most RH_WIRE_FDS_MAX
 *
 * Never raises SIGPIPE, retries EINTR. Context: any thread; blocks only if the socket does.
 * Return: 0; -EAGAIN; -EPIPE and other negative errno.
 */
int rh_wire_send(int fd, enum rh_wire_type type, const void *body, size_t body_size, const int *fds,
	int n_fds);

/**
 * rh_wire_recv() - receive one packet
 * @ret_msg: written whole on success; its descriptors (close-on-exec) are the caller's
 *
 * A packet that is malformed, cut, or carries too many descriptors is refused and its descriptors
 * are closed. Return: 0; RH_WIRE_E_EOF; RH_WIRE_E_AGAIN; -EPROTO; -EPROTONOSUPPORT; negative errno.
 * Source: unix(7), recvmsg(2).
 */
int rh_wire_recv(int fd, struct rh_wire_msg *ret_msg);

#define RH_WIRE_OTHER_RELEASE                                                                   \
	"hook and broker are of releases that do not understand each other; install both from " \
	"one release, then restart runnerhubd and the runner"

/* REFUSED, in the version of a peer that speaks another one. Return: as rh_wire_send(). */
int rh_wire_refuse(int fd, uint16_t version, const char *line);

/* Closes what is left of a message's descriptors. */
void rh_wire_msg_close_fds(struct rh_wire_msg *msg);

/**
 * rh_wire_body() - a fixed body of at least @size bytes, or NULL
 *
 * A longer body is accepted from a newer version only.
 */
const void *rh_wire_body(const struct rh_wire_msg *msg, size_t size);

/**
 * rh_wire_text_valid() - whether a body is text that may be shown
 *
 * UTF-8 (RFC 3629), without NUL and control characters other than tab and newline (and ESC if
 * @allow_escape).
 */
bool rh_wire_text_valid(const char *text, size_t size, bool allow_escape);

/*
 * Copies text from elsewhere for one line that people read: cut at a character, and what is no
 * character or a control (tab and newline too) becomes '?'. The copy is valid.
 */
void rh_wire_text_copy(const char *text, char *buf, size_t size);
