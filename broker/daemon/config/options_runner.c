/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The option table of a registered runner's own file.
 */

#include "broker/daemon/config/check.h"
#include "broker/daemon/config/config.h"
#include "broker/daemon/config/option.h"

#define RUNNER(field) offsetof(struct rh_runner, field)

static const struct rh_option runner_rows[] = {
	{.name = "root",
		.type = RH_OPTION_PATH,
		.offset = RUNNER(root),
		.required = true,
		.help = "the runner's directory, the one with bin/Runner.Worker"},
	{.name = "work",
		.type = RH_OPTION_PATH,
		.offset = RUNNER(work),
		.required = true,
		.help = "its work directory"},
	{.name = "uid",
		.type = RH_OPTION_COUNT32,
		.offset = RUNNER(uid),
		.required = true,
		.max = UINT32_MAX - 2,
		.help = "user that it runs as"},
	{.name = "gid",
		.type = RH_OPTION_COUNT32,
		.offset = RUNNER(gid),
		.required = true,
		.max = UINT32_MAX - 2,
		.help = "group that it runs as"},
	{.name = "profile",
		.type = RH_OPTION_TEXT,
		.offset = RUNNER(profile),
		.check = rh_check_profile_name,
		.unit = "PROFILE",
		.help = "profile of its jobs, instead of default_profile"},
	{.name = "started_hook",
		.type = RH_OPTION_PATH,
		.offset = RUNNER(started_hook),
		.help = "the administrator's own hook before each job, run in /"},
	{.name = "completed_hook",
		.type = RH_OPTION_PATH,
		.offset = RUNNER(completed_hook),
		.help = "the administrator's own hook after each job, run in the workspace if it "
			"was scrubbed whole, else in /"},
};

const struct rh_option_table rh_options_runner = {
	.rows = runner_rows, .n = sizeof(runner_rows) / sizeof(runner_rows[0])};
