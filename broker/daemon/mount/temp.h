/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * _temp, which the Worker empties at its start and end, and which it cannot empty of everything: a
 * job's files may belong to ids of the range.
 */

#include <stdint.h>

#include "broker/daemon/mount/ledger.h"

/* Clocks of disk and processes differ by a tick, those of a network file system by more. */
#define RH_TEMP_SLACK_MS 2000

/* How long a helper works on one _temp before it leaves the rest for the next time. */
#define RH_TEMP_BUDGET_MS 1500

/**
 * rh_temp_clear_old() - move to the trash what was there before the Worker
 * @temp_fd:   of _temp, may be O_PATH
 * @before_ms: wall clock; entries that changed earlier are leftovers, and so is what belongs to ids
 *             of the range
 *
 * Looks at _temp's own entries only.
 * Context: a helper process. Return: 0; -ETIMEDOUT: there is more; negative errno.
 */
int rh_temp_clear_old(const struct rh_ledger *ledger, int temp_fd, int64_t before_ms,
	uint32_t id_map_base, uint32_t *ret_n);

/**
 * rh_temp_clear_range() - move to the trash what belongs to ids of the range, at any depth
 *
 * Return: 0; -ETIMEDOUT: there is more; negative errno.
 */
int rh_temp_clear_range(const struct rh_ledger *ledger, int temp_fd, uint32_t id_map_base);
