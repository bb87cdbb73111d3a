/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Steps: from the broker's message to the report of how they ended.
 *
 *   free ──STEP──▶ ready ──GO──▶ running ──wait──▶ free
 *                    │                              ▲
 *                    └── client gone, or no fork ───┘
 *
 * A step waits for its client in ready (no time-out: the client's end of the channel is its life)
 * and for its main process in running.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/agent/cgroup.h"
#include "broker/agent/child.h"
#include "broker/agent/filecmd.h"
#include "broker/agent/lease.h"
#include "broker/agent/loop.h"
#include "broker/agent/spawn.h"
#include "runnerhub/block.h"
#include "runnerhub/wire.h"

#define RH_STEPS_MAX 256

enum rh_step_state {
	RH_STEP_FREE,
	RH_STEP_READY,
	RH_STEP_RUNNING,
};

struct rh_steps;

struct rh_step {
	enum rh_step_state state;
	struct rh_steps *all;
	struct rh_source source;
	uint64_t id;
	int channel_fd; /* -1 once the client is gone */
	int stdio[3]; /* until it runs */
	struct rh_block *block; /* until it runs */
	char **env; /* until it runs */
	struct rh_filecmds files;
	pid_t pid; /* of the main process, which leads session and group; while it runs */
	char *failure; /* why its program was not executed, or NULL */
	uint32_t flags; /* RH_WIRE_STEP_… */
	bool terminated; /* SIGTERM was relayed: nothing of the group may outlive it */
	int64_t go_us;
	uint64_t oom_kills; /* the counter when it started */
};

struct rh_steps {
	struct rh_loop *loop;
	const struct rh_lease *lease;
	const struct rh_cgroup *cgroup;
	const struct rh_image *image;
	void (*on_ended)(void *arg, const struct rh_wire_step_report *report);
	void *arg;
	uint64_t last_id; /* largest seen: none at or below it starts again */
	uint32_t n;
	struct rh_spawner spawner;
	struct rh_step slots[RH_STEPS_MAX];
};

/* The fields up to @arg are the caller's to set. Return: 0; negative errno. */
int rh_steps_init(struct rh_steps *steps);
/* Closes what steps hold; their processes are left alone. */
void rh_steps_deinit(struct rh_steps *steps);

/**
 * rh_steps_accept() - a STEP message
 * @msg: its descriptors are taken or closed
 *
 * A step that cannot be taken is refused on its channel with one line, so that its client need not
 * wait. One that was seen before is dropped without a word: its channel is still in use.
 * Return: 0; -EPROTO if the message itself is malformed.
 */
int rh_steps_accept(struct rh_steps *steps, struct rh_wire_msg *msg);

/**
 * rh_steps_kill() - end a running step
 * @why: a line for the step's log, valid UTF-8; copied
 *
 * A step that is not running is left alone.
 */
void rh_steps_kill(struct rh_steps *steps, uint64_t id, const char *why);

/* The step whose main process is @pid, or NULL. */
struct rh_step *rh_steps_find(struct rh_steps *steps, pid_t pid);

/**
 * rh_step_leave() - before the main process is reaped, while its ids cannot be anybody else's
 *
 * After a relayed SIGTERM kills what is left of its process group.
 */
void rh_step_leave(struct rh_step *step);

struct rusage;
/**
 * rh_step_ended() - the main process was reaped
 * @status, @usage: of wait4(2)
 *
 * Tells the client, then the broker; the slot is free afterwards.
 */
void rh_step_ended(struct rh_step *step, int status, const struct rusage *usage);
