/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Strangers at broker.sock in the log.
 */

#include "broker/daemon/ipc/strangers.h"

static bool is_due(const struct rh_strangers *strangers, int64_t now)
{
	return strangers->told_ms == 0 || now - strangers->told_ms > RH_STRANGERS_EVERY_MS;
}

void rh_strangers_add(
	struct rh_strangers *strangers, struct rh_log *log, const struct ucred *cred, int64_t now)
{
	if (strangers->n > 0 || !is_due(strangers, now)) {
		strangers->n++;
		return;
	}
	rh_log_warning(log, "connection refused: not a runner's user", RH_NUM("pid", cred->pid),
		RH_NUM("uid", cred->uid));
	strangers->told_ms = now;
}

void rh_strangers_tell(struct rh_strangers *strangers, struct rh_log *log, int64_t now)
{
	if (strangers->n == 0 || !is_due(strangers, now))
		return;
	rh_log_warning(log, "more connections refused: not a runner's user",
		RH_NUM("connections", strangers->n));
	strangers->n = 0;
	strangers->told_ms = now;
}
