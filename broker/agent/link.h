/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The link to the broker: one at a time, the newest wins.
 */

#include <stdbool.h>

#include "broker/agent/lease.h"
#include "broker/agent/loop.h"
#include "broker/agent/report.h"
#include "broker/agent/step.h"

struct rh_link {
	struct rh_loop *loop;
	struct rh_lease *lease;
	struct rh_steps *steps;
	struct rh_reports *reports;
	int root_fd; /* the image's root, for its users */
	struct rh_source source;
	int fd; /* -1: no broker */
	bool greeted; /* it said HELLO: reports may go */
	bool is_full; /* reports wait for room in the socket */
};

/* Takes over a checked connection; an older one is closed. */
void rh_link_take(struct rh_link *link, int fd);
void rh_link_close(struct rh_link *link);
/* Sends what reports there are, as far as the socket takes them; the rest follows by itself. */
void rh_link_flush(struct rh_link *link);
