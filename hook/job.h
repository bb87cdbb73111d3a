/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the two job hooks have in common: ask the broker, show what it says, exit as it says.
 */

#include "hook.h"
#include "runnerhub/wire.h"

/**
 * rh_job_run() - one started or completed hook
 * @type: RH_WIRE_JOB_STARTED or RH_WIRE_JOB_COMPLETED
 *
 * Return: what the process exits with.
 */
int rh_job_run(const struct rh_hook *hook, enum rh_wire_type type);
