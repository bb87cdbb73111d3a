/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Broker and agent in one, for tests of the hook program: runs a step where it is, as the agent
 * would in a container. A process a connection. What it saw is written to the host's log.
 */

#include "host.h"

enum fake_mode {
	FAKE_SERVE,
	FAKE_REFUSE, /* with a reason */
	FAKE_REFUSE_CHANNEL_FIRST, /* the channel is closed some time before */
	FAKE_DROP_FIRST, /* the first connection of all is closed without an answer */
	FAKE_NO_ROOM, /* the agent says EXIT 1 instead of READY */
	FAKE_NO_ROOM_SUCCESS, /* the same with status 0, which cannot be */
	FAKE_LEAVE, /* the broker's connection is closed after the step was accepted */
	FAKE_SILENT, /* neither answers nor closes */
	FAKE_READY_AND_SIGNAL, /* both at once: the client is stopped meanwhile */
	FAKE_LOST, /* channel closed after GO, then a reason */
	FAKE_GONE, /* all closed after GO */
	FAKE_BAD_STATUS, /* EXIT says 300 */
	FAKE_SHORT_EXIT, /* EXIT without a body */
	FAKE_GARBAGE, /* bytes that are no packet on the channel after GO */
	FAKE_GARBAGE_BEFORE_GO, /* on both, once; served then */
	FAKE_HOST_HOOK, /* job hooks: a hook of the host, which exits 5 */
	FAKE_HOST_HOOK_TWICE, /* the same, and connection lost once in between */
};

struct fake_broker {
	pid_t pid;
};

void fake_broker_start(struct fake_broker *broker, const struct host *host, enum fake_mode mode);
void fake_broker_stop(struct fake_broker *broker);
