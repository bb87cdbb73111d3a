/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Comparing until nothing differs any more, or what differs stays.
 */

#include "broker/cli/doctor/verify/verify.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A removal may take the engine a while. */
#define LOOKS_MAX   24
#define LOOK_GAP_MS 250

static const struct rh_verify_area areas[] = {
	{"broker", rh_verify_broker},
	{"store", rh_verify_store},
	{"containers", rh_verify_containers},
	{"networks", rh_verify_networks},
	{"firewall", rh_verify_firewall},
	{"control groups", rh_verify_cgroups},
	{"processes", rh_verify_processes},
	{"mounts", rh_verify_mounts},
	{"files", rh_verify_files},
};

#define N_AREAS (sizeof(areas) / sizeof(areas[0]))

static void put_text(struct json_object *object, const char *key, const char *text)
{
	(void)json_object_object_add(object, key, json_object_new_string(text));
}

void rh_verify_differs(struct rh_verify *verify, const char *fix, const char *fmt, ...)
{
	struct json_object *row = json_object_new_object();
	char message[1024];
	va_list ap;

	va_start(ap, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the line above, lost over files */
	(void)vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	put_text(row, "area", verify->area);
	put_text(row, "message", message);
	put_text(row, "fix", fix);
	(void)json_object_array_add(verify->found, row);
}

static void look(struct rh_verify *verify)
{
	rh_verify_forget(verify);
	rh_verify_gather(verify);
	verify->found = json_object_new_array();
	verify->n_compared = 0;
	for (size_t i = 0; i < N_AREAS; i++) {
		verify->area = areas[i].id;
		areas[i].run(verify);
	}
}

/* What is in both; @before is given up. */
static struct json_object *both(struct json_object *before, struct json_object *now)
{
	struct json_object *kept = json_object_new_array();

	for (size_t i = 0; i < rh_json_length(now); i++) {
		struct json_object *row = json_object_array_get_idx(now, i);

		if (rh_verify_find(before, "message", rh_json_text(row, "message")))
			(void)json_object_array_add(kept, json_object_get(row));
	}
	(void)json_object_put(before);
	return kept;
}

static void print_fixes(struct json_object *rows)
{
	for (size_t i = 0; i < rh_json_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);
		const char *fix = rh_json_text(row, "fix");

		(void)printf("# ");
		rh_print_text(rh_json_text(row, "message"), 0);
		(void)putchar('\n');
		if (*fix) {
			rh_print_text(fix, 0);
			(void)putchar('\n');
		}
	}
}

static void print_rows(const struct rh_verify *verify, struct json_object *rows)
{
	const struct rh_cli *cli = verify->cli;
	size_t n = rh_json_length(rows);

	for (size_t i = 0; i < n; i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		(void)printf("  %s", rh_colour(cli, RH_RED));
		rh_print_text(rh_json_text(row, "area"), 14);
		(void)printf("%s  ", rh_colour(cli, RH_PLAIN));
		rh_print_wrapped(rh_json_text(row, "message"), 18,
			cli->columns > 60 ? cli->columns - 18 : 80);
		(void)putchar('\n');
	}
	if (n > 0)
		(void)printf("\n%zu difference%s; runnerhub doctor --verify --fix prints the "
			     "commands that end %s\n",
			n, n > 1 ? "s" : "", n > 1 ? "them" : "it");
	else
		(void)printf("nothing differs (%zu things compared)\n", verify->n_compared);
}

static void print_json(const struct rh_verify *verify, struct json_object *rows)
{
	_cleanup_(json_object_putp) struct json_object *data = json_object_new_object();

	(void)json_object_object_add(
		data, "ok", json_object_new_boolean(rh_json_length(rows) == 0));
	(void)json_object_object_add(
		data, "compared", json_object_new_int64((int64_t)verify->n_compared));
	(void)json_object_object_add(data, "differences", json_object_get(rows));
	rh_cli_print_json(data);
}

int rh_verify_run(
	const struct rh_doctor *doctor, struct rh_cli *cli, const struct rh_verify_wish *wish)
{
	struct rh_verify verify = {.doctor = doctor, .cli = cli};
	unsigned n_looks = wish->n_looks ? wish->n_looks : LOOKS_MAX;
	struct json_object *rows = NULL;

	look(&verify);
	rows = json_object_get(verify.found);
	for (unsigned i = 1; i < n_looks && rh_json_length(rows) > 0; i++) {
		(void)poll(NULL, 0, LOOK_GAP_MS);
		look(&verify);
		rows = both(rows, verify.found);
	}
	if (cli->json)
		print_json(&verify, rows);
	else if (wish->fix)
		print_fixes(rows);
	else
		print_rows(&verify, rows);

	int status = rh_json_length(rows) > 0 ? RH_EXIT_FAILURE : RH_EXIT_OK;

	(void)json_object_put(rows);
	rh_verify_forget(&verify);
	return status;
}
