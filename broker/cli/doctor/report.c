/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Runs the checks of all areas and shows what they find.
 */

#include <stdio.h>

#include "broker/cli/doctor/doctor.h"

static const struct {
	const char *id;
	const char *title;
	const struct rh_check *checks;
} areas[] = {
	{"kernel", "kernel", rh_checks_kernel},
	{"cgroups", "control groups", rh_checks_cgroup},
	{"network", "network", rh_checks_network},
	{"engine", "engine", rh_checks_engine},
	{"configuration", "configuration", rh_checks_config},
	{"broker", "broker and its programs", rh_checks_install},
};

#define N_AREAS (sizeof(areas) / sizeof(areas[0]))

static const char *const words[RH_N_HEALTHS] = {
	[RH_HEALTH_OK] = "ok",
	[RH_HEALTH_WARNING] = "warning",
	[RH_HEALTH_FAILURE] = "failure",
	[RH_HEALTH_SKIPPED] = "skipped",
};

static const enum rh_colour colours[RH_N_HEALTHS] = {
	[RH_HEALTH_OK] = RH_GREEN,
	[RH_HEALTH_WARNING] = RH_YELLOW,
	[RH_HEALTH_FAILURE] = RH_RED,
	[RH_HEALTH_SKIPPED] = RH_DIM,
};

struct report {
	const struct rh_doctor *doctor;
	const struct rh_cli *cli;
	struct json_object *rows;
	size_t n[RH_N_HEALTHS];
};

static void add_text(struct json_object *object, const char *key, const char *text)
{
	(void)json_object_object_add(object, key, json_object_new_string(text));
}

static void add_row(struct report *report, const char *area, const struct rh_check *check,
	const struct rh_doctor_runner *runner, const struct rh_finding *f)
{
	struct json_object *row = json_object_new_object();

	add_text(row, "id", check->id);
	add_text(row, "area", area);
	add_text(row, "title", check->title);
	if (runner) {
		add_text(row, "runner", runner->name);
		add_text(row, "root", runner->root);
	}
	add_text(row, "result", words[f->health]);
	add_text(row, "message", f->message);
	add_text(row, "advice", f->advice);
	(void)json_object_array_add(report->rows, row);
}

#define INDENT 30 /* of messages */
#define WIDTH  70 /* of their lines, where that is not a terminal's */

static void print_row(
	const struct rh_cli *cli, const struct rh_check *check, const struct rh_finding *f)
{
	int width = cli->columns > 2 * INDENT ? cli->columns - INDENT : WIDTH;

	(void)printf("  %s", rh_colour(cli, colours[f->health]));
	rh_print_text(words[f->health], 7);
	(void)printf("%s  ", rh_colour(cli, RH_PLAIN));
	rh_print_text(check->title, INDENT - 13);
	(void)fputs("  ", stdout);
	rh_print_wrapped(f->message, INDENT, width);
	(void)putchar('\n');
	if (*f->advice) {
		(void)printf("%*s-> ", INDENT, "");
		rh_print_wrapped(f->advice, INDENT + 3, width - 3);
		(void)putchar('\n');
	}
}

static void run(struct report *report, const char *area, const struct rh_check *checks,
	const struct rh_doctor_runner *runner)
{
	for (const struct rh_check *check = checks; check->id; check++) {
		struct rh_finding f = {.health = RH_HEALTH_OK};

		check->run(report->doctor, runner, &f);
		report->n[f.health]++;
		if (report->cli->json)
			add_row(report, area, check, runner, &f);
		else
			print_row(report->cli, check, &f);
	}
}

static void print_heading(const struct report *report, const char *title, const char *more)
{
	if (report->cli->json)
		return;
	(void)printf(
		"%s%s%s", rh_colour(report->cli, RH_BOLD), title, rh_colour(report->cli, RH_PLAIN));
	rh_print_text(more, 0);
	(void)putchar('\n');
}

static void print_sum(const struct report *report)
{
	static const char *const sum_words[RH_N_HEALTHS] = {"ok", "warning", "failure", "skipped"};
	size_t total = 0;

	for (size_t i = 0; i < RH_N_HEALTHS; i++)
		total += report->n[i];
	(void)printf("\n%zu checks:", total);
	for (size_t i = 0; i < RH_N_HEALTHS; i++) {
		bool noun = i == RH_HEALTH_WARNING || i == RH_HEALTH_FAILURE;

		(void)printf("%s %s%zu %s%s%s", i ? "," : "",
			report->n[i] ? rh_colour(report->cli, colours[i]) : "", report->n[i],
			sum_words[i], noun && report->n[i] != 1 ? "s" : "",
			report->n[i] ? rh_colour(report->cli, RH_PLAIN) : "");
	}
	(void)putchar('\n');
}

static void print_json(struct report *report)
{
	_cleanup_(json_object_putp) struct json_object *data = json_object_new_object();
	struct json_object *counts = json_object_new_object();

	for (size_t i = 0; i < RH_N_HEALTHS; i++)
		(void)json_object_object_add(
			counts, words[i], json_object_new_int64((int64_t)report->n[i]));
	(void)json_object_object_add(
		data, "ok", json_object_new_boolean(report->n[RH_HEALTH_FAILURE] == 0));
	(void)json_object_object_add(data, "counts", counts);
	(void)json_object_object_add(data, "checks", report->rows);
	rh_cli_print_json(data);
}

int rh_doctor_report(const struct rh_doctor *doctor, const struct rh_cli *cli)
{
	struct report report = {.doctor = doctor, .cli = cli};

	if (cli->json)
		report.rows = json_object_new_array();
	for (size_t i = 0; i < N_AREAS; i++) {
		print_heading(&report, areas[i].title, "");
		run(&report, areas[i].id, areas[i].checks, NULL);
	}
	for (size_t i = 0; i < doctor->n_runners; i++) {
		char more[PATH_MAX + 256];

		(void)snprintf(more, sizeof(more), " %s, %s", doctor->runners[i].name,
			doctor->runners[i].root);
		print_heading(&report, "runner", more);
		run(&report, "runner", rh_checks_runner, &doctor->runners[i]);
	}
	if (cli->json)
		print_json(&report);
	else
		print_sum(&report);
	return report.n[RH_HEALTH_FAILURE] ? RH_EXIT_FAILURE : RH_EXIT_OK;
}
