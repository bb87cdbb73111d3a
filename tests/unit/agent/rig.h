/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A running agent and its fake broker and clients, for tests that drive it through its sockets.
 *
 * The agent is a child of the test (a subreaper, so that it is the last parent of what it starts)
 * whose peer check lets the test in; everything else is what ships.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "runnerhub/block.h"
#include "runnerhub/wire.h"

struct rig {
	bool go_ahead; /* GO is in the channel before the agent gets it */
	bool take_back; /* the client has given up by then */
	char dir[32];
	char socket[64];
	pid_t agent;
	int broker; /* our end of the link */
	struct rh_id job;
	uint64_t last_id;
};

/* A step as its client sees it. */
struct rig_step {
	uint64_t id;
	int channel;
	int in; /* write end, -1: /dev/null was given */
	int out;
	int err;
};

struct rig_result {
	int exit_code;
	uint32_t flags;
	char text[600]; /* of EXIT */
	char out[4096];
	char err[4096];
	struct rh_wire_step_report report;
};

/* Starts an agent, connects, says HELLO, leases with the uid and gid of the test. */
void rig_start(struct rig *rig);
/* Only makes a directory and a job, for tests that start an agent themselves. */
void rig_init(struct rig *rig);
/* Only starts it. @from_host: NULL lets everybody in. */
void rig_start_agent(struct rig *rig, bool (*from_host)(uid_t uid, pid_t pid));
/* Stops it as the host would and asserts that it ends well. */
void rig_stop(struct rig *rig);

/* Removes its files; for tests that end it in another way. */
void rig_clean(struct rig *rig);

int rig_connect(const struct rig *rig);
/* HELLO, and the STATE that answers it. */
struct rh_wire_state rig_hello(int broker);
/* LEASE; the answer's type. */
int rig_lease(int broker, const struct rh_id *job, uid_t uid, gid_t gid);

/* Waits for a packet, asserts its type. Descriptors are closed. */
void rig_expect(int fd, int type, struct rh_wire_msg *ret_msg);
/* Waits until the peer has closed; packets before are ignored. */
void rig_expect_eof(int fd);

/* A spec with sensible defaults: /bin/sh -c @script in /. */
struct rh_block_spec rig_sh(char *argv[4], const char *script);

/* Sends STEP; waits for nothing. @with_stdin: a pipe, else /dev/null. */
struct rig_step rig_send(struct rig *rig, const struct rh_block_spec *spec, bool with_stdin);
/* The same, READY and GO too. */
struct rig_step rig_go(struct rig *rig, const struct rh_block_spec *spec, bool with_stdin);
void rig_signal(const struct rig_step *step, int signal_number);
/* Closes the client's side. */
void rig_close(struct rig_step *step);
/* Waits for EXIT, end of both outputs and the report, acknowledges it, closes all. */
void rig_finish(struct rig *rig, struct rig_step *step, struct rig_result *ret_result);
/* All of it. */
void rig_run(struct rig *rig, const struct rh_block_spec *spec, struct rig_result *ret_result);
void rig_run_sh(struct rig *rig, const char *script, struct rig_result *ret_result);
