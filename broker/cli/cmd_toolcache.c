/* SPDX-License-Identifier: Apache-2.0 */

/*
 * runnerhub toolcache.
 */

#include <stdio.h>
#include <string.h>

#include "broker/cli/cli.h"

int rh_cmd_toolcache(struct rh_cli *cli, int argc, char **argv)
{
	_cleanup_(json_object_putp) struct json_object *data = NULL;
	const char *runner = NULL, *repository = NULL;
	const char *words[1] = {NULL};
	const struct rh_option options[] = {
		{.name = "runner",
			.value = "NAME",
			.help = "with `warm`: the runner that the job will run on",
			.ret_text = &runner},
		{.name = "repository",
			.value = "OWNER/NAME",
			.help = "with `warm`: the repository whose next job there is trusted",
			.ret_text = &repository},
		{0},
	};
	int status = rh_parse_options(cli, argc, argv, options, words, 1);

	if (status >= 0)
		return status;
	if (!words[0] || strcmp(words[0], "warm") != 0 || !runner || !repository) {
		(void)fprintf(stderr,
			"runnerhub toolcache: say `toolcache warm --runner NAME --repository "
			"OWNER/NAME`\n");
		return RH_EXIT_USAGE;
	}

	struct json_object *args = json_object_new_object();

	(void)json_object_object_add(args, "runner", json_object_new_string(runner));
	(void)json_object_object_add(args, "repository", json_object_new_string(repository));
	status = rh_cli_request(cli, "warm-tools", args, &data);
	if (status != RH_EXIT_OK)
		return status;
	if (cli->json)
		rh_cli_print_json(data);
	else
		(void)printf("the next job of %s on %s, within the hour, fills the host's tool "
			     "cache; start a workflow there that you trust\n",
			repository, runner);
	return RH_EXIT_OK;
}
