/* SPDX-License-Identifier: Apache-2.0 */

/*
 * runnerhub jobs show ID --isolation: what was really in force.
 */

#include <stdio.h>
#include <string.h>

#include "broker/cli/cli.h"

static void print_row(const struct rh_cli *cli, const char *title, const char *text)
{
	(void)printf("  %s%-22s%s", rh_colour(cli, RH_DIM), title, rh_colour(cli, RH_PLAIN));
	rh_print_text(text, 0);
	(void)putchar('\n');
}

static void print_list(const struct rh_cli *cli, const char *title, struct json_object *list)
{
	(void)printf("  %s%-22s%s", rh_colour(cli, RH_DIM), title, rh_colour(cli, RH_PLAIN));
	for (size_t i = 0; i < rh_json_length(list); i++) {
		(void)fputs(i > 0 ? " " : "", stdout);
		rh_print_text(json_object_get_string(json_object_array_get_idx(list, i)), 0);
	}
	(void)puts(rh_json_length(list) > 0 ? "" : "none");
}

/* A limit that is null is none; one that is not there is not known. */
static void print_limit(const struct rh_cli *cli, struct json_object *limits, const char *title,
	const char *key, bool is_bytes)
{
	struct json_object *value = NULL;
	char text[32];

	if (!json_object_object_get_ex(limits, key, &value)) {
		print_row(cli, title, "not known");
		return;
	}
	if (!value)
		print_row(cli, title, "none");
	else if (is_bytes)
		print_row(cli, title, rh_bytes(json_object_get_int64(value), text, sizeof(text)));
	else
		print_row(cli, title, json_object_to_json_string(value));
}

static void print_privileges(const struct rh_cli *cli, struct json_object *data)
{
	struct json_object *p = rh_json_member(data, "privileges");
	char filter[64];

	(void)snprintf(filter, sizeof(filter), "%s, %lld of them", rh_json_text(p, "seccomp"),
		(long long)rh_json_number(p, "seccompFilters"));
	print_list(cli, "capabilities", rh_json_member(p, "capabilitiesBounding"));
	print_row(cli, "system call filter", filter);
	print_row(cli, "no new privileges", rh_json_bool(p, "noNewPrivileges") ? "yes" : "no");
	print_row(cli, "AppArmor",
		*rh_json_text(p, "apparmor") ? rh_json_text(p, "apparmor") : "none");
	print_row(cli, "uid map", rh_json_text(p, "uidMap"));
}

static void print_files(const struct rh_cli *cli, struct json_object *data)
{
	struct json_object *files = rh_json_member(data, "files");

	if (!files)
		return;
	print_row(cli, "directories",
		strcmp(rh_json_text(files, "lateMounts"), "slot") == 0
			? "through a slot, since this kernel (before 5.12) has no detached mounts"
			: "as detached mounts");
	print_row(cli, "id map",
		rh_json_bool(files, "idMapped") ? "yes" : "none: the runner's own ids");
	print_row(cli, "links in _temp",
		rh_json_bool(files, "tempFollowsNoLinks")
			? "not followed by the runner"
			: "held off by the preload library alone");
}

static void print_namespaces(const struct rh_cli *cli, struct json_object *data)
{
	struct json_object *namespaces = rh_json_member(data, "namespaces");

	(void)printf("  %s%-22s%s", rh_colour(cli, RH_DIM), "namespaces", rh_colour(cli, RH_PLAIN));
	json_object_object_foreach (namespaces, name, kind) {
		rh_print_text(name, 0);
		(void)printf(" %s  ", json_object_get_string(kind));
	}
	(void)putchar('\n');
}

static void print_mounts(const struct rh_cli *cli, struct json_object *data)
{
	static const struct rh_column columns[] = {{"MOUNT", 64}, {"TYPE", 12}, {"OPTIONS", 64}};
	struct json_object *mounts = rh_json_member(data, "mounts");
	_cleanup_(rh_table_deinit) struct rh_table table;

	rh_table_init(&table, columns, 3);
	for (size_t i = 0; i < rh_json_length(mounts); i++) {
		struct json_object *mount = json_object_array_get_idx(mounts, i);

		rh_table_add(&table, RH_PLAIN, rh_json_text(mount, "target"));
		rh_table_add(&table, RH_PLAIN, rh_json_text(mount, "type"));
		rh_table_add(&table, RH_PLAIN, rh_json_text(mount, "options"));
	}
	(void)putchar('\n');
	(void)rh_table_print(cli, &table); /* says what is wrong itself */
}

static void print_whole(const struct rh_cli *cli, struct json_object *isolation)
{
	struct json_object *data = rh_json_member(isolation, "data");
	struct json_object *limits = rh_json_member(data, "limits");
	struct json_object *network = rh_json_member(data, "network");
	const char *verdict = rh_json_text(isolation, "verdict");
	char taken[32];

	(void)printf("read back from the kernel at %s\n",
		rh_time_exact(rh_json_number(isolation, "takenMs"), taken, sizeof(taken)));
	(void)printf("%s", rh_colour(cli, *verdict ? RH_RED : RH_GREEN));
	rh_print_text(*verdict ? verdict : "all that the profile asks for was in force", 0);
	(void)printf("%s\n\n", rh_colour(cli, RH_PLAIN));
	print_privileges(cli, data);
	print_namespaces(cli, data);
	print_files(cli, data);
	print_limit(cli, limits, "cpus", "cpus", false);
	print_limit(cli, limits, "memory", "memoryBytes", true);
	print_limit(cli, limits, "memory and swap", "memoryAndSwapBytes", true);
	print_limit(cli, limits, "processes", "pids", false);
	print_limit(cli, limits, "open files", "nofile", false);
	print_limit(cli, limits, "core dumps", "coreBytes", true);
	print_limit(cli, limits, "size of a file", "fileBytes", true);
	print_limit(cli, limits, "root file system", "rootBytes", true);
	print_list(cli, "network interfaces", rh_json_member(network, "interfaces"));
	print_list(cli, "addresses", rh_json_member(network, "addresses"));
	if (*rh_json_text(network, "firewall"))
		print_row(cli, "firewall", rh_json_text(network, "firewall"));
	print_mounts(cli, data);
}

int rh_show_isolation(struct rh_cli *cli, const char *id)
{
	_cleanup_(json_object_putp) struct json_object *isolation = NULL;
	struct json_object *args = json_object_new_object();

	(void)json_object_object_add(args, "id", json_object_new_string(id));

	int status = rh_cli_request(cli, "isolation", args, &isolation);

	if (status != RH_EXIT_OK)
		return status;
	if (cli->json) {
		rh_cli_print_json(isolation);
		return RH_EXIT_OK;
	}
	if (!rh_json_member(isolation, "data")) {
		(void)puts(
			"nothing was read back: the job had no container, or is older than this");
		return RH_EXIT_OK;
	}
	print_whole(cli, isolation);
	return RH_EXIT_OK;
}
