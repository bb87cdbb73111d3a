/* SPDX-License-Identifier: Apache-2.0 */

/*
 * runnerhub doctor.
 */

#include <stdio.h>
#include <unistd.h>

#include "broker/cli/doctor/attack.h"
#include "broker/cli/doctor/doctor.h"
#include "broker/cli/doctor/verify/verify.h"

int rh_cmd_doctor(struct rh_cli *cli, int argc, char **argv)
{
	struct rh_words dirs = {0};
	struct rh_doctor_wish wish = {.runner_dirs = &dirs};
	struct rh_doctor doctor = {.host = ""};
	bool verify = false;
	bool attack = false;
	const char *match = NULL;
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
		{.name = "attack",
			.help = "try to break out of this installation with jobs of two stand-in "
				"runners, and print what was tried and what happened",
			.ret_switch = &attack},
		{.name = "match",
			.value = "GLOB",
			.help = "with --attack: only attacks of such names (network/*)",
			.ret_text = &match},
		{0},
	};
	int status = rh_parse_options(cli, argc, argv, options, NULL, 0);

	if (status >= 0)
		return status;
	if ((verify_wish.fix && !verify) || (match && !attack) || (verify && attack)) {
		(void)fprintf(stderr,
			"runnerhub: --fix goes with --verify, --match with --attack, and these two "
			"not together\n");
		return RH_EXIT_USAGE;
	}
	if ((verify || attack) && geteuid() != 0) {
		(void)fprintf(stderr, "runnerhub: only root can do this: --%s\n",
			verify ? "verify" : "attack");
		return RH_EXIT_NO_PERMISSION;
	}
	if (rh_doctor_gather(&doctor, cli, &wish) < 0) {
		(void)fprintf(stderr, "runnerhub: out of memory\n");
		status = RH_EXIT_FAILURE;
	} else {
		status = verify  ? rh_verify_run(&doctor, cli, &verify_wish)
			: attack ? rh_attack_run(&doctor, cli, match)
				 : rh_doctor_report(&doctor, cli);
	}
	rh_doctor_deinit(&doctor);
	return status;
}
