/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reports of ended steps, kept until the broker says that it has stored them, and sent again to
 * each new broker. Bounded: of more than RH_REPORTS_MAX the oldest are forgotten.
 */

#include <stddef.h>

#include "runnerhub/wire.h"

#define RH_REPORTS_MAX 256

struct rh_reports {
	size_t n;
	size_t n_sent; /* the first so many were sent on the present link */
	struct rh_wire_step_report items[RH_REPORTS_MAX]; /* oldest first */
};

void rh_reports_push(struct rh_reports *reports, const struct rh_wire_step_report *report);
/* Forgets one; an unknown one is ignored. */
void rh_reports_ack(struct rh_reports *reports, const struct rh_wire_step_ref *ref);
/* The next to send, or NULL. */
const struct rh_wire_step_report *rh_reports_next(const struct rh_reports *reports);
/* The one that rh_reports_next() gave was sent. */
void rh_reports_sent(struct rh_reports *reports);
/* A new link: all are to be sent again. */
void rh_reports_rewind(struct rh_reports *reports);
