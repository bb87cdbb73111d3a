/* SPDX-License-Identifier: Apache-2.0 */

/*
 * runnerhub status: everything on one screen; runnerhub pools.
 */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "broker/cli/cli.h"
#include "runnerhub/clock.h"

#define RUNNERS_SHOWN 8

static const struct rh_column pool_columns[] = {
	{"PROFILE", 32}, {"WARM"}, {"CREATING"}, {"LEASED"}, {"MAX"}};

#define N_POOL_COLUMNS (sizeof(pool_columns) / sizeof(pool_columns[0]))

static const struct rh_column job_columns[] = {{"JOB"}, {"RUNNER", 24}, {"REPOSITORY", 40},
	{"JOB KEY", 24}, {"PHASE"}, {"STEPS"}, {"READY IN"}, {"AGE"}, {"REASON", .optional = true}};

#define N_JOB_COLUMNS (sizeof(job_columns) / sizeof(job_columns[0]))

/* Below the table, whole: it is what somebody looks for. */
static void print_problem(const struct rh_cli *cli, struct json_object *pool)
{
	const char *problem = rh_json_text(pool, "problem");

	if (!*problem)
		return;
	(void)printf("%s", rh_colour(cli, RH_RED));
	rh_print_text(rh_json_text(pool, "profile"), 0);
	(void)printf("%s: ", rh_colour(cli, RH_PLAIN));
	rh_print_wrapped(problem, 2, 96);
	(void)putchar('\n');
}

static void print_runners(const struct rh_cli *cli, struct json_object *runners)
{
	size_t n = rh_json_length(runners);

	(void)printf("%srunners%s  %zu registered", rh_colour(cli, RH_BOLD),
		rh_colour(cli, RH_PLAIN), n);
	for (size_t i = 0; i < n && i < RUNNERS_SHOWN; i++) {
		(void)fputs(i ? ", " : ": ", stdout);
		rh_print_text(rh_json_text(json_object_array_get_idx(runners, i), "name"), 0);
	}
	(void)puts(n > RUNNERS_SHOWN ? ", …" : "");
}

static void add_pool(struct rh_table *table, struct json_object *pool)
{
	static const char *const keys[] = {"creating", "leased", "max"};
	int64_t warm = rh_json_number(pool, "warm"), want = rh_json_number(pool, "want");
	char text[64];

	rh_table_add(table, RH_PLAIN, rh_json_text(pool, "profile"));
	(void)snprintf(text, sizeof(text), "%lld of %lld", (long long)warm, (long long)want);
	rh_table_add(table, warm >= want ? RH_GREEN : RH_YELLOW, text);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		(void)snprintf(
			text, sizeof(text), "%lld", (long long)rh_json_number(pool, keys[i]));
		rh_table_add(table, RH_PLAIN, text);
	}
}

static void print_pools(const struct rh_cli *cli, struct json_object *pools)
{
	_cleanup_(rh_table_deinit) struct rh_table table;

	rh_table_init(&table, pool_columns, N_POOL_COLUMNS);
	for (size_t i = 0; i < rh_json_length(pools); i++)
		add_pool(&table, json_object_array_get_idx(pools, i));
	(void)rh_table_print(cli, &table); /* says what is wrong itself */
	for (size_t i = 0; i < rh_json_length(pools); i++)
		print_problem(cli, json_object_array_get_idx(pools, i));
}

static void add_job(struct rh_table *table, struct json_object *job, int64_t now_ms)
{
	char id[13], steps[24], start[24], age[24];
	int64_t start_us = rh_json_number(job, "startUs");
	const char *reason = rh_json_text(job, "reason");

	(void)snprintf(steps, sizeof(steps), "%lld", (long long)rh_json_number(job, "steps"));

	const char *cells[N_JOB_COLUMNS] = {rh_short_id(rh_json_text(job, "id"), id),
		rh_json_text(job, "runner"), rh_json_text(job, "repository"),
		rh_json_text(job, "jobKey"), rh_json_text(job, "phase"), steps,
		start_us > 0 ? rh_duration(start_us, start, sizeof(start)) : "-",
		rh_duration((now_ms - rh_json_number(job, "createdMs")) * 1000, age, sizeof(age)),
		reason};

	for (size_t i = 0; i < N_JOB_COLUMNS; i++)
		rh_table_add(table, i == 4 && *reason ? RH_RED : RH_PLAIN, cells[i]);
}

static void print_jobs(const struct rh_cli *cli, struct json_object *jobs, int64_t now_ms)
{
	_cleanup_(rh_table_deinit) struct rh_table table;

	rh_table_init(&table, job_columns, N_JOB_COLUMNS);
	for (size_t i = 0; i < rh_json_length(jobs); i++)
		add_job(&table, json_object_array_get_idx(jobs, i), now_ms);
	(void)rh_table_print(cli, &table); /* says what is wrong itself */
}

static void print_engine(const struct rh_cli *cli, struct json_object *engine)
{
	(void)printf("%sengine%s   ", rh_colour(cli, RH_BOLD), rh_colour(cli, RH_PLAIN));
	if (!rh_json_bool(engine, "up")) {
		(void)printf("%sdown%s  ", rh_colour(cli, RH_RED), rh_colour(cli, RH_PLAIN));
		rh_print_text(rh_json_text(engine, "problem"), 0);
		(void)printf(" (%s)\n", rh_json_text(engine, "socket"));
		return;
	}
	(void)printf("%sup%s  Docker %s (API %s), %s, cgroup v%lld\n", rh_colour(cli, RH_GREEN),
		rh_colour(cli, RH_PLAIN), rh_json_text(engine, "version"),
		rh_json_text(engine, "apiVersion"), rh_json_text(engine, "storageDriver"),
		(long long)rh_json_number(engine, "cgroupVersion"));
}

/* Nothing where no profile's network is isolated. */
static void print_network(const struct rh_cli *cli, struct json_object *network)
{
	bool in_force = rh_json_bool(network, "inForce");
	const char *firewall = rh_json_text(network, "firewall");

	if (!*firewall)
		return;
	(void)printf("%snetwork%s  %s%s%s  ", rh_colour(cli, RH_BOLD), rh_colour(cli, RH_PLAIN),
		rh_colour(cli, in_force ? RH_GREEN : RH_RED),
		in_force ? "isolated" : "not isolated", rh_colour(cli, RH_PLAIN));
	rh_print_text(rh_json_text(network, "name"), 0);
	(void)printf(", rules by ");
	rh_print_text(firewall, 0);
	if (!in_force) {
		(void)printf(": ");
		rh_print_text(rh_json_text(network, "problem"), 0);
	}
	(void)putchar('\n');
}

/* Only where something is lost. */
static void print_mounts(const struct rh_cli *cli, struct json_object *mounts)
{
	if (strcmp(rh_json_text(mounts, "kind"), "slot") == 0)
		(void)printf("%smounts%s   %sthrough slots%s  no detached mounts here (Linux "
			     "5.12): jobs run "
			     "as their runner's user, whatever the profile says\n",
			rh_colour(cli, RH_BOLD), rh_colour(cli, RH_PLAIN),
			rh_colour(cli, RH_YELLOW), rh_colour(cli, RH_PLAIN));
}

static void print_broker(
	const struct rh_cli *cli, struct json_object *broker, struct json_object *store)
{
	bool draining = rh_json_bool(broker, "draining");
	const char *error = rh_json_text(store, "lastError");
	char age[32];

	(void)printf("%sbroker%s   %s%s%s  version %s, pid %lld, up %s\n", rh_colour(cli, RH_BOLD),
		rh_colour(cli, RH_PLAIN), rh_colour(cli, draining ? RH_YELLOW : RH_GREEN),
		draining ? "draining" : "serving", rh_colour(cli, RH_PLAIN),
		rh_json_text(broker, "version"), (long long)rh_json_number(broker, "pid"),
		rh_duration(
			(rh_json_number(broker, "nowMs") - rh_json_number(broker, "startedMs")) *
				1000,
			age, sizeof(age)));
	if (*error || rh_json_bool(store, "damagedSetAside"))
		(void)printf("%sstore%s    %s%s%s\n", rh_colour(cli, RH_BOLD),
			rh_colour(cli, RH_PLAIN), rh_colour(cli, RH_RED),
			*error ? error
			       : "the old file was damaged and has been set aside; see the log",
			rh_colour(cli, RH_PLAIN));
}

static void print_status(const struct rh_cli *cli, struct json_object *data)
{
	struct json_object *jobs = rh_json_member(data, "jobs");
	struct json_object *broker = rh_json_member(data, "broker");
	struct json_object *runners = rh_json_member(data, "runners");

	print_broker(cli, broker, rh_json_member(data, "store"));
	print_engine(cli, rh_json_member(data, "engine"));
	print_network(cli, rh_json_member(data, "network"));
	print_mounts(cli, rh_json_member(data, "mounts"));
	print_runners(cli, runners);
	(void)putchar('\n');
	print_pools(cli, rh_json_member(data, "pools"));
	(void)putchar('\n');
	if (rh_json_length(jobs) == 0)
		(void)puts("no job is running");
	else
		print_jobs(cli, jobs, rh_json_number(broker, "nowMs"));
}

static int show_once(struct rh_cli *cli)
{
	_cleanup_(json_object_putp) struct json_object *data = NULL;
	int status = rh_cli_request(cli, "status", NULL, &data);

	if (status != RH_EXIT_OK)
		return status;
	if (cli->json)
		rh_cli_print_json(data);
	else
		print_status(cli, data);
	return RH_EXIT_OK;
}

int rh_cmd_status(struct rh_cli *cli, int argc, char **argv)
{
	bool watch = false;
	const struct rh_option options[] = {
		{.name = "watch",
			.help = "again every second, until interrupted",
			.ret_switch = &watch},
		{0},
	};
	int status = rh_parse_options(cli, argc, argv, options, NULL, 0);

	if (status >= 0)
		return status;
	for (bool again = false;; again = true) {
		/* Home and clear to the end of the screen: less flicker than a clear. */
		if (watch && cli->colour)
			(void)fputs("\033[H\033[J", stdout);
		status = show_once(cli);
		(void)fflush(stdout);
		/* Whoever watches wants to see a broker come back, too. */
		if (!watch || (status != RH_EXIT_OK && !again))
			return status;
		if (status != RH_EXIT_OK)
			rh_cli_hang_up(cli);
		(void)nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
	}
}

int rh_cmd_pools(struct rh_cli *cli, int argc, char **argv)
{
	_cleanup_(json_object_putp) struct json_object *data = NULL;
	int status = rh_parse_options(cli, argc, argv, NULL, NULL, 0);

	if (status >= 0)
		return status;
	status = rh_cli_request(cli, "pools", NULL, &data);
	if (status != RH_EXIT_OK)
		return status;
	if (cli->json)
		rh_cli_print_json(data);
	else
		print_pools(cli, data);
	return RH_EXIT_OK;
}
