/* SPDX-License-Identifier: Apache-2.0 */

/*
 * runnerhub events: what happened, and what happens.
 */

#include <stdio.h>

#include "broker/cli/cli.h"

static void print_event(const struct rh_cli *cli, struct json_object *event)
{
	char time[32], job[13];

	if (cli->json) {
		rh_cli_print_json_line(event);
		return;
	}
	/* Whoever follows cannot wait for the longest one. */
	(void)printf("%s%s%s  ", rh_colour(cli, RH_DIM),
		rh_time_exact(rh_json_number(event, "timeMs"), time, sizeof(time)),
		rh_colour(cli, RH_PLAIN));
	rh_print_text(rh_short_id(rh_json_text(event, "job"), job), 12);
	(void)fputs("  ", stdout);
	rh_print_text(rh_json_text(event, "kind"), 18);
	(void)fputs("  ", stdout);
	rh_print_text(rh_json_text(event, "message"), 0);
	(void)putchar('\n');
}

static int follow(struct rh_cli *cli)
{
	_cleanup_(json_object_putp) struct json_object *none = NULL;
	int status = rh_cli_request(cli, "subscribe", NULL, &none);

	while (status == RH_EXIT_OK) {
		_cleanup_(json_object_putp) struct json_object *line = NULL;

		status = rh_cli_next(cli, &line);
		if (status == RH_EXIT_OK)
			print_event(cli, rh_json_member(line, "event"));
		if (fflush(stdout) != 0)
			return RH_EXIT_FAILURE;
	}
	return status;
}

int rh_cmd_events(struct rh_cli *cli, int argc, char **argv)
{
	_cleanup_(json_object_putp) struct json_object *data = NULL;
	const char *limit = "50", *job = NULL;
	bool following = false;
	const struct rh_option options[] = {
		{.name = "follow",
			.help = "from now on, until interrupted; one JSON object a line with "
				"--json",
			.ret_switch = &following},
		{.name = "limit",
			.value = "N",
			.help = "the last so many (default 50)",
			.ret_text = &limit},
		{.name = "job", .value = "ID", .help = "of this job", .ret_text = &job},
		{0},
	};
	char id[RH_JOB_ID_SIZE];
	int64_t n = 0;
	int status = rh_parse_options(cli, argc, argv, options, NULL, 0);

	if (status >= 0)
		return status;
	if (!rh_parse_number("limit", limit, 1, 1000, &n))
		return RH_EXIT_USAGE;
	if (following)
		return follow(cli);
	status = job ? rh_cli_find_job(cli, job, id) : RH_EXIT_OK;
	if (status != RH_EXIT_OK)
		return status;

	struct json_object *args = json_object_new_object();

	(void)json_object_object_add(args, "limit", json_object_new_int64(n));
	if (job)
		(void)json_object_object_add(args, "job", json_object_new_string(id));
	status = rh_cli_request(cli, "events", args, &data);
	if (status != RH_EXIT_OK)
		return status;
	if (cli->json) {
		rh_cli_print_json(data);
		return RH_EXIT_OK;
	}
	for (size_t i = 0; i < rh_json_length(data); i++)
		print_event(cli, json_object_array_get_idx(data, i));
	return RH_EXIT_OK;
}
