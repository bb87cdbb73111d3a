/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A child process that talks like an agent, well or badly.
 */

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fakes.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/fd.h"
#include "runnerhub/wire.h"

struct agent {
	enum fake_agent_mode mode;
	struct rh_wire_state state;
	bool broken; /* it did break once */
	struct rh_wire_step_report report; /* the last, until it is acked */
	bool has_report;
};

static void say(int fd, enum rh_wire_type type, const void *body, size_t size)
{
	(void)rh_wire_send(fd, type, body, size, NULL, 0);
}

static void hello(struct agent *agent, int fd)
{
	if (agent->mode == FAKE_AGENT_GARBAGE) {
		(void)send(fd, "nonsense", 8, MSG_NOSIGNAL);
		return;
	}
	if (agent->mode == FAKE_AGENT_LEASED) {
		agent->state.flags = RH_WIRE_STATE_LEASED;
		agent->state.job.bytes[0] = 0x77;
	}
	say(fd, RH_WIRE_STATE, &agent->state, sizeof(agent->state));
	if (agent->has_report)
		say(fd, RH_WIRE_STEP_ENDED, &agent->report, sizeof(agent->report));
}

/* Return: false to close the connection. */
static bool lease(struct agent *agent, int fd, const struct rh_wire_msg *msg)
{
	const struct rh_wire_lease *body = rh_wire_body(msg, sizeof(*body));

	if (agent->mode == FAKE_AGENT_REFUSES) {
		say(fd, RH_WIRE_REFUSED, "leased before", 13);
		return true;
	}
	if (agent->mode == FAKE_AGENT_BREAKS && !agent->broken) {
		agent->broken = true;
		return false;
	}
	agent->state.flags = RH_WIRE_STATE_LEASED;
	agent->state.job = body->job;
	say(fd, RH_WIRE_LEASED, &agent->state, sizeof(agent->state));
	return true;
}

static void step(struct agent *agent, int fd, struct rh_wire_msg *msg)
{
	const struct rh_wire_step_ref *body = rh_wire_body(msg, sizeof(*body));

	/* The exit code tells how many descriptors came. */
	agent->report = (struct rh_wire_step_report){
		.job = body->job, .step = body->step, .exit_code = msg->n_fds};
	agent->has_report = true;
	agent->state.last_step = body->step;
	if (agent->mode == FAKE_AGENT_INVENTS)
		agent->report.step++;
	for (int i = 0; i < (agent->mode == FAKE_AGENT_REPEATS ? 1000 : 1); i++)
		say(fd, RH_WIRE_STEP_ENDED, &agent->report, sizeof(agent->report));
}

static void serve(struct agent *agent, int fd)
{
	struct rh_wire_msg msg;

	while (rh_wire_recv(fd, &msg) == 0) {
		bool stay = true;

		if (msg.type == RH_WIRE_HELLO)
			hello(agent, fd);
		else if (msg.type == RH_WIRE_LEASE)
			stay = lease(agent, fd, &msg);
		else if (msg.type == RH_WIRE_STEP)
			step(agent, fd, &msg);
		else if (msg.type == RH_WIRE_STEP_ACK)
			agent->has_report = false;
		rh_wire_msg_close_fds(&msg);
		if (!stay)
			return;
	}
}

_Noreturn void fake_agent_run(const char *socket_path, enum fake_agent_mode mode)
{
	struct agent agent = {.mode = mode};
	int listen_fd = -1;

	/* What the test holds must not live on here. */
	(void)close_range(3, ~0u, 0);

	if (mode == FAKE_AGENT_DIES)
		_exit(3);
	if (mode == FAKE_AGENT_SILENT) {
		for (;;)
			(void)pause();
	}
	listen_fd = rh_unix_listen(socket_path, SOCK_SEQPACKET, 0600, 8);
	for (;;) {
		int fd = accept(listen_fd, NULL, NULL);

		if (fd < 0)
			_exit(4);
		serve(&agent, fd);
		rh_close(fd);
	}
}
