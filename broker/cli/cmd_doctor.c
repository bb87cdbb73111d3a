/* SPDX-License-Identifier: Apache-2.0 */

/*
 * runnerhub doctor.
 */

#include <stdio.h>
#include <unistd.h>

#include "broker/cli/doctor/doctor.h"
#include "broker/cli/doctor/verify/verify.h"

int rh_cmd_doctor(struct rh_cli *cli, int argc, char **argv)
{
	struct rh_words dirs = {0};
	struct rh_doctor_wish wish = {.runner_dirs = &dirs};
	struct rh_doctor doctor = {.host = ""};
	bool verify = false;
	struct rh_verify_wish verify_wish = {0};
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
		{.name = "verify",
			.help = "compare containers, mounts, control groups, processes, networks, "
				"files and records with one another, and name every difference",
			.ret_switch = &verify},
		{.name = "fix",
			.help = "with --verify: print the commands that would end the differences, "
				"run none",
			.ret_switch = &verify_wish.fix},
		{0},
	};
	int status = rh_parse_options(cli, argc, argv, options, NULL, 0);

	if (status >= 0)
		return status;
	if (verify_wish.fix && !verify) {
		(void)fprintf(stderr, "runnerhub: --fix goes with --verify\n");
		return RH_EXIT_USAGE;
	}
	if (verify && geteuid() != 0) {
		(void)fprintf(
			stderr, "runnerhub: --verify looks at all processes: only root can\n");
		return RH_EXIT_NO_PERMISSION;
	}
	if (rh_doctor_gather(&doctor, cli, &wish) < 0) {
		(void)fprintf(stderr, "runnerhub: out of memory\n");
		status = RH_EXIT_FAILURE;
	} else {
		status = verify ? rh_verify_run(&doctor, cli, &verify_wish)
				: rh_doctor_report(&doctor, cli);
	}
	rh_doctor_deinit(&doctor);
	return status;
}
