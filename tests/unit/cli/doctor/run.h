/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Running one check of a table.
 */

#include <string.h>

#include "broker/cli/doctor/doctor.h"
#include "rh-test.h"

/* The check @id must find @health, with @message in what it says. */
static inline void expect(const struct rh_check *checks, const char *id, enum rh_health health,
	const char *message, const struct rh_doctor *doctor, const struct rh_doctor_runner *runner)
{
	struct rh_finding f = {.health = RH_HEALTH_OK};

	while (checks->id && strcmp(checks->id, id) != 0)
		checks++;
	ck_assert_msg(checks->id != NULL, "no check %s", id);
	checks->run(doctor, runner, &f);
	if (f.health != health || !strstr(f.message, message))
		ck_abort_msg("%s: %d, %s", id, (int)f.health, f.message);
	/* Whoever finds a fault says what to do. */
	if (health == RH_HEALTH_FAILURE || health == RH_HEALTH_WARNING)
		ck_assert_msg(*f.advice != '\0', "%s: no advice", id);
}
