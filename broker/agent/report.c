/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reports of ended steps. A plain array: acknowledgements come in order or nearly so, and it is
 * rarely longer than a few.
 */

#include "broker/agent/report.h"

#include <string.h>

static void drop(struct rh_reports *reports, size_t i)
{
	memmove(&reports->items[i], &reports->items[i + 1],
		(reports->n - i - 1) * sizeof(reports->items[0]));
	reports->n--;
	if (i < reports->n_sent)
		reports->n_sent--;
}

void rh_reports_push(struct rh_reports *reports, const struct rh_wire_step_report *report)
{
	if (reports->n == RH_REPORTS_MAX)
		drop(reports, 0);
	reports->items[reports->n++] = *report;
}

void rh_reports_ack(struct rh_reports *reports, const struct rh_wire_step_ref *ref)
{
	for (size_t i = 0; i < reports->n; i++) {
		if (reports->items[i].step == ref->step &&
			rh_id_equal(&reports->items[i].job, &ref->job)) {
			drop(reports, i);
			return;
		}
	}
}

const struct rh_wire_step_report *rh_reports_next(const struct rh_reports *reports)
{
	return reports->n_sent < reports->n ? &reports->items[reports->n_sent] : NULL;
}

void rh_reports_sent(struct rh_reports *reports)
{
	reports->n_sent++;
}

void rh_reports_rewind(struct rh_reports *reports)
{
	reports->n_sent = 0;
}
