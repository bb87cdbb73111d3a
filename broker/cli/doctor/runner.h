/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Checks of a runner: those of its surroundings, and what they share with those of its wiring.
 */

#include "broker/cli/doctor/doctor.h"

/* Says why .env cannot be looked at. Return: true if so. */
bool rh_runner_skip(const struct rh_doctor_runner *runner, struct rh_finding *f);
/* The work directory that the runner itself was configured with. Return: 0; negative errno. */
int rh_runner_work(const char *root, char ret_work[PATH_MAX]);

void rh_check_runner_settings(const struct rh_doctor *doctor, const struct rh_doctor_runner *runner,
	struct rh_finding *f);
void rh_check_runner_user(const struct rh_doctor *doctor, const struct rh_doctor_runner *runner,
	struct rh_finding *f);
void rh_check_runner_work(const struct rh_doctor *doctor, const struct rh_doctor_runner *runner,
	struct rh_finding *f);
void rh_check_runner_idmap(const struct rh_doctor *doctor, const struct rh_doctor_runner *runner,
	struct rh_finding *f);
void rh_check_runner_tar(const struct rh_doctor *doctor, const struct rh_doctor_runner *runner,
	struct rh_finding *f);
void rh_check_runner_running(const struct rh_doctor *doctor, const struct rh_doctor_runner *runner,
	struct rh_finding *f);
