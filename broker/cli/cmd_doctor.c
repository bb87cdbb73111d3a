/* SPDX-License-Identifier: Apache-2.0 */

/*
 * runnerhub doctor.
 */

#include <stdio.h>

#include "broker/cli/doctor/doctor.h"

int rh_cmd_doctor(struct rh_cli *cli, int argc, char **argv)
{
	struct rh_words dirs = {0};
	struct rh_doctor_wish wish = {.runner_dirs = &dirs};
	struct rh_doctor doctor = {.host = ""};
	const struct rh_option options[] = {
		{.name = "runner",
			.value = "DIR",
			.help = "this runner's wiring; may be repeated (default: every registered "
				"one)",
			.ret_words = &dirs},
		{.name = "config",
			.value = "FILE",
			.help = "configuration (default: the running broker's, else the usual one)",
			.ret_text = &wish.config_path},
		{0},
	};
	int status = rh_parse_options(cli, argc, argv, options, NULL, 0);

	if (status >= 0)
		return status;
	if (rh_doctor_gather(&doctor, cli, &wish) < 0) {
		(void)fprintf(stderr, "runnerhub: out of memory\n");
		status = RH_EXIT_FAILURE;
	} else {
		status = rh_doctor_report(&doctor, cli);
	}
	rh_doctor_deinit(&doctor);
	return status;
}
