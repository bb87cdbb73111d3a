/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * runnerhub doctor --attack: the hostile suite against this installation.
 */

#include "broker/cli/doctor/doctor.h"

/**
 * rh_attack_run() - becomes the script that was installed beside the programs
 * @match: a pattern of names (area/name), or NULL for all
 *
 * Context: root. Return: exit status, if the script could not be started.
 */
int rh_attack_run(const struct rh_doctor *doctor, const struct rh_cli *cli, const char *match);
