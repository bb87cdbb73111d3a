/* SPDX-License-Identifier: Apache-2.0 */

/*
 * runnerhub containers.
 */

#include <stdio.h>
#include <string.h>

#include "broker/cli/cli.h"

static const struct rh_column columns[] = {{"INSTANCE"}, {"PROFILE", 24}, {"IMAGE", 40}, {"STATE"},
	{"JOB"}, {"CREATED"}, {"REASON", .optional = true}};

#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static void add_row(struct rh_table *table, struct json_object *row)
{
	const char *state = rh_json_text(row, "state");
	char instance[13], job[13], created[32];
	const char *cells[N_COLUMNS] = {rh_short_id(rh_json_text(row, "instance"), instance),
		rh_json_text(row, "profile"), rh_json_text(row, "image"), state,
		rh_short_id(rh_json_text(row, "job"), job),
		rh_time(rh_json_number(row, "createdMs"), created, sizeof(created)),
		rh_json_text(row, "reason")};

	for (size_t i = 0; i < N_COLUMNS; i++)
		rh_table_add(table, i == 3 && strcmp(state, "failed") == 0 ? RH_RED : RH_PLAIN,
			cells[i]);
}

int rh_cmd_containers(struct rh_cli *cli, int argc, char **argv)
{
	const char *state = NULL;
	bool all = false;
	const struct rh_option options[] = {
		{.name = "state",
			.value = "STATE",
			.help = "creating, warm, leased, stopping, removed or failed",
			.ret_text = &state},
		{.name = "all", .help = "with the ones that are gone", .ret_switch = &all},
		{0},
	};
	int status = rh_parse_options(cli, argc, argv, options, NULL, 0);

	if (status >= 0)
		return status;

	struct json_object *args = json_object_new_object();

	(void)json_object_object_add(args, "all", json_object_new_boolean(all));
	if (state)
		(void)json_object_object_add(args, "state", json_object_new_string(state));
	return rh_cli_list(cli, "containers", args, columns, N_COLUMNS, add_row);
}
