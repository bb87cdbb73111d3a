/* SPDX-License-Identifier: Apache-2.0 */

/*
 * runnerhub jobs: the list, and one job whole.
 */

#include <stdio.h>
#include <string.h>

#include "broker/cli/cli.h"
#include "runnerhub/clock.h"
#include "runnerhub/wire.h"

static const struct rh_column list_columns[] = {{"JOB"}, {"CREATED"}, {"RUNNER", 24},
	{"REPOSITORY", 40}, {"JOB KEY", 24}, {"STATE"}, {"READY IN"}, {"DURATION"},
	{"REASON", .optional = true}};
static const struct rh_column step_columns[] = {{"STEP"}, {"LABEL", 32}, {"PROGRAM", 24}, {"EXIT"},
	{"WALL"}, {"CPU"}, {"PEAK MEMORY"}, {"NOTE", .optional = true}};

#define N_LIST_COLUMNS (sizeof(list_columns) / sizeof(list_columns[0]))
#define N_STEP_COLUMNS (sizeof(step_columns) / sizeof(step_columns[0]))

/* What a job is, in one word: its result once it has one. */
static const char *outcome(struct json_object *job, enum rh_colour *ret_colour)
{
	const char *result = rh_json_text(job, "result");
	const char *state = rh_json_text(job, "state");

	*ret_colour = RH_YELLOW;
	if (strcmp(state, "ended") != 0)
		return state;
	*ret_colour = strcmp(result, "completed") == 0 ? RH_GREEN : RH_RED;
	return result;
}

/* Up to now, if it has not ended. */
static int64_t lasted_us(struct json_object *job)
{
	int64_t ended_ms = rh_json_number(job, "endedMs");

	return ((ended_ms > 0 ? ended_ms : rh_wall_ms()) - rh_json_number(job, "createdMs")) * 1000;
}

static void add_row(struct rh_table *table, struct json_object *job)
{
	char id[13], created[32], start[24], duration[32];
	int64_t start_us = rh_json_number(job, "startUs");
	enum rh_colour colour = RH_PLAIN;
	const char *state = outcome(job, &colour);
	const char *cells[] = {rh_short_id(rh_json_text(job, "id"), id),
		rh_time(rh_json_number(job, "createdMs"), created, sizeof(created)),
		rh_json_text(job, "runner"), rh_json_text(job, "repository"),
		rh_json_text(job, "jobKey"), state,
		start_us > 0 ? rh_duration(start_us, start, sizeof(start)) : "-",
		rh_duration(lasted_us(job), duration, sizeof(duration)),
		rh_json_text(job, "reason")};

	for (size_t i = 0; i < N_LIST_COLUMNS; i++)
		rh_table_add(table, i == 5 ? colour : RH_PLAIN, cells[i]);
}

static void add_text(struct json_object *args, const char *key, const char *text)
{
	if (text)
		(void)json_object_object_add(args, key, json_object_new_string(text));
}

static const char *step_note(
	struct json_object *job, struct json_object *step, char *buf, size_t size)
{
	int64_t flags = rh_json_number(step, "flags");
	int64_t signal = rh_json_number(step, "signal");

	if (flags & RH_WIRE_STEP_OOM)
		return "killed: out of memory; raise `memory` of the profile";
	if (flags & RH_WIRE_STEP_NOT_RUN)
		return "not run: the runner gave it up";
	if (flags & RH_WIRE_STEP_CLIENT_LOST)
		return "killed: the runner killed its client";
	if (flags & RH_WIRE_STEP_CANCELLED)
		return "cancelled";
	if (signal > 0) {
		(void)snprintf(buf, size, "ended by signal %lld", (long long)signal);
		return buf;
	}
	if (rh_json_number(step, "endedMs") != 0)
		return "";
	return strcmp(rh_json_text(job, "state"), "ended") == 0 ? "its end was not seen"
								: "running";
}

static void add_step(struct rh_table *table, struct json_object *job, struct json_object *step)
{
	char number[24], exit_code[24], wall[24], cpu[24], peak[24], note[64];
	bool ended = rh_json_number(step, "endedMs") != 0;
	int64_t code = rh_json_number(step, "exitCode");

	(void)snprintf(number, sizeof(number), "%lld", (long long)rh_json_number(step, "step"));
	(void)snprintf(exit_code, sizeof(exit_code), "%lld", (long long)code);

	const char *cells[] = {number, rh_json_text(step, "label"), rh_json_text(step, "program"),
		ended ? exit_code : "-",
		ended ? rh_duration(rh_json_number(step, "wallUs"), wall, sizeof(wall)) : "-",
		ended ? rh_duration(rh_json_number(step, "userUs") + rh_json_number(step, "sysUs"),
				cpu, sizeof(cpu))
		      : "-",
		ended ? rh_bytes(rh_json_number(step, "peakRssKib") * 1024, peak, sizeof(peak))
		      : "-",
		step_note(job, step, note, sizeof(note))};

	for (size_t i = 0; i < N_STEP_COLUMNS; i++)
		rh_table_add(table, i == 3 && ended && code != 0 ? RH_RED : RH_PLAIN, cells[i]);
}

static void print_facts(const struct rh_cli *cli, struct json_object *job)
{
	static const struct {
		const char *title, *key;
	} rows[] = {{"repository", "repository"}, {"workflow", "workflow"}, {"job key", "jobKey"},
		{"run", "runId"}, {"attempt", "runAttempt"}, {"event", "eventName"}, {"ref", "ref"},
		{"commit", "sha"}, {"actor", "actor"}, {"runner", "runner"}, {"profile", "profile"},
		{"container", "container"}};
	enum rh_colour colour = RH_PLAIN;
	const char *state = outcome(job, &colour);
	char text[32];

	(void)printf("%sjob%s %s  %s%s%s\n", rh_colour(cli, RH_BOLD), rh_colour(cli, RH_PLAIN),
		rh_json_text(job, "id"), rh_colour(cli, colour), state, rh_colour(cli, RH_PLAIN));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!*rh_json_text(job, rows[i].key))
			continue;
		(void)printf("  %-12s", rows[i].title);
		rh_print_text(rh_json_text(job, rows[i].key), 0);
		(void)putchar('\n');
	}
	(void)printf("  %-12s%s\n", "created",
		rh_time(rh_json_number(job, "createdMs"), text, sizeof(text)));
	if (rh_json_number(job, "startUs") > 0)
		(void)printf("  %-12s%s (%s container)\n", "ready after",
			rh_duration(rh_json_number(job, "startUs"), text, sizeof(text)),
			rh_json_bool(job, "cold") ? "new" : "warm");
	if (rh_json_number(job, "endedMs") > 0)
		(void)printf("  %-12s%s\n", "ended",
			rh_time(rh_json_number(job, "endedMs"), text, sizeof(text)));
	(void)printf("  %-12s%s\n", "duration", rh_duration(lasted_us(job), text, sizeof(text)));
	if (*rh_json_text(job, "reason")) {
		(void)printf("  %-12s%s", "why", rh_colour(cli, RH_RED));
		rh_print_text(rh_json_text(job, "reason"), 0);
		(void)printf("%s\n", rh_colour(cli, RH_PLAIN));
	}
}

static void print_whole(const struct rh_cli *cli, struct json_object *job)
{
	struct json_object *steps = rh_json_member(job, "steps");
	struct json_object *events = rh_json_member(job, "events");

	print_facts(cli, job);
	if (rh_json_length(steps) > 0) {
		_cleanup_(rh_table_deinit) struct rh_table table;

		rh_table_init(&table, step_columns, N_STEP_COLUMNS);
		for (size_t i = 0; i < rh_json_length(steps); i++)
			add_step(&table, job, json_object_array_get_idx(steps, i));
		(void)putchar('\n');
		(void)rh_table_print(cli, &table); /* says what is wrong itself */
	}
	(void)putchar('\n');
	for (size_t i = 0; i < rh_json_length(events); i++) {
		struct json_object *event = json_object_array_get_idx(events, i);
		char time[32];

		(void)printf("%s%s%s  ", rh_colour(cli, RH_DIM),
			rh_time_exact(rh_json_number(event, "timeMs"), time, sizeof(time)),
			rh_colour(cli, RH_PLAIN));
		rh_print_text(rh_json_text(event, "kind"), 18);
		(void)fputs("  ", stdout);
		rh_print_text(rh_json_text(event, "message"), 0);
		(void)putchar('\n');
	}
}

static int show(struct rh_cli *cli, const char *word, bool isolation)
{
	_cleanup_(json_object_putp) struct json_object *job = NULL;
	char id[RH_JOB_ID_SIZE];
	int status = rh_cli_find_job(cli, word, id);

	if (status != RH_EXIT_OK)
		return status;
	if (isolation)
		return rh_show_isolation(cli, id);

	struct json_object *args = json_object_new_object();

	add_text(args, "id", id);
	status = rh_cli_request(cli, "job", args, &job);

	if (status != RH_EXIT_OK)
		return status;
	if (cli->json)
		rh_cli_print_json(job);
	else
		print_whole(cli, job);
	return RH_EXIT_OK;
}

int rh_cmd_jobs(struct rh_cli *cli, int argc, char **argv)
{
	const char *state = NULL, *result = NULL, *runner = NULL, *repository = NULL, *limit = "20";
	const char *words[2] = {NULL, NULL};
	bool isolation = false;
	const struct rh_option options[] = {
		{.name = "state",
			.value = "STATE",
			.help = "starting, running, ending or ended",
			.ret_text = &state},
		{.name = "result",
			.value = "RESULT",
			.help = "completed, failed or abandoned",
			.ret_text = &result},
		{.name = "runner", .value = "NAME", .help = "of this runner", .ret_text = &runner},
		{.name = "repository",
			.value = "OWNER/NAME",
			.help = "of this repository",
			.ret_text = &repository},
		{.name = "limit",
			.value = "N",
			.help = "at most so many (default 20)",
			.ret_text = &limit},
		{.name = "isolation",
			.help = "with `show`: what was really in force, as the kernel said",
			.ret_switch = &isolation},
		{0},
	};
	int64_t n = 0;
	int status = rh_parse_options(cli, argc, argv, options, words, 2);

	if (status >= 0)
		return status;
	if (words[0] && strcmp(words[0], "show") == 0 && words[1])
		return show(cli, words[1], isolation);
	if (words[0] && strcmp(words[0], "list") != 0) {
		(void)fprintf(
			stderr, "runnerhub jobs: say `jobs`, `jobs list` or `jobs show ID`\n");
		return RH_EXIT_USAGE;
	}
	if (!rh_parse_number("limit", limit, 1, 1000, &n))
		return RH_EXIT_USAGE;

	struct json_object *args = json_object_new_object();

	(void)json_object_object_add(args, "limit", json_object_new_int64(n));
	add_text(args, "state", state);
	add_text(args, "result", result);
	add_text(args, "runner", runner);
	add_text(args, "repository", repository);
	return rh_cli_list(cli, "jobs", args, list_columns, N_LIST_COLUMNS, add_row);
}
