/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What surrounds every container beyond its profile's numbers: capabilities, security options,
 * paths of /proc and /sys, limits of processes.
 */

#include <stddef.h>

#include "broker/daemon/config/config.h"
#include "broker/daemon/engine/engine.h"

#define RH_HARDENING_ULIMITS_MAX 32

struct rh_hardening {
	const char *ulimits[RH_HARDENING_ULIMITS_MAX + 1];
	const char *security[6];
	char fsize[40];
	char apparmor[160];
};

/**
 * rh_hardening_apply() - fill in the part of a spec that keeps a job in its place
 * @room: what the spec points to, beside static memory and @profile
 */
void rh_hardening_apply(
	const struct rh_profile *profile, struct rh_hardening *room, struct rh_engine_spec *spec);
