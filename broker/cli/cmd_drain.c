/* SPDX-License-Identifier: Apache-2.0 */

/*
 * runnerhub drain and reload.
 */

#include <stdio.h>

#include "broker/cli/cli.h"

int rh_cmd_drain(struct rh_cli *cli, int argc, char **argv)
{
	_cleanup_(json_object_putp) struct json_object *data = NULL;
	bool resume = false;
	const struct rh_option options[] = {
		{.name = "resume", .help = "take jobs again", .ret_switch = &resume},
		{0},
	};
	int status = rh_parse_options(cli, argc, argv, options, NULL, 0);

	if (status >= 0)
		return status;

	struct json_object *args = json_object_new_object();

	(void)json_object_object_add(args, "on", json_object_new_boolean(!resume));
	status = rh_cli_request(cli, "drain", args, &data);
	if (status != RH_EXIT_OK)
		return status;
	if (cli->json)
		rh_cli_print_json(data);
	else
		(void)puts(resume ? "taking jobs again"
				  : "draining: running jobs finish, new ones are refused; "
				    "`runnerhub drain --resume` ends it");
	return RH_EXIT_OK;
}

int rh_cmd_reload(struct rh_cli *cli, int argc, char **argv)
{
	_cleanup_(json_object_putp) struct json_object *data = NULL;
	int status = rh_parse_options(cli, argc, argv, NULL, NULL, 0);

	if (status >= 0)
		return status;
	status = rh_cli_request(cli, "reload", NULL, &data);
	if (status != RH_EXIT_OK)
		return status;
	if (cli->json)
		rh_cli_print_json(data);
	else
		(void)puts("reload begun; the broker's log says how it went");
	return RH_EXIT_OK;
}
