/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Strangers at broker.sock in the log: one is named, then the others are counted for a while, so
 * that whoever knocks without end fills no disk. Context: loop thread.
 */

#include <stdint.h>
#include <sys/socket.h>

#include "broker/daemon/log/log.h"

#define RH_STRANGERS_EVERY_MS 10000

struct rh_strangers {
	uint64_t n; /* since the last one that was named */
	int64_t told_ms; /* rh_now_ms() of the last line; 0: there was none */
};

/* One was refused. */
void rh_strangers_add(
	struct rh_strangers *strangers, struct rh_log *log, const struct ucred *cred, int64_t now);
/* Says how many there were besides, if the time has come. */
void rh_strangers_tell(struct rh_strangers *strangers, struct rh_log *log, int64_t now);
