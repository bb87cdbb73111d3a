/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log on stdout in the runner's manner, a table at the end, and the report as JSON:
 *
 *   {"workflow", "conclusion", "exit_code", "ms", "jobs": [{"key", "name", "conclusion", "ms",
 *    "worker_exit", "outputs", "steps": [{"number", "name", "id", "kind", "outcome", "conclusion",
 *    "exit_code", "ms", "stdout_bytes", "stderr_bytes", "log": […], "summary": as uploaded}]}]}
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/files.h"
#include "common/text.h"
#include "run/run.h"

/* Lines of a step that the JSON report keeps; the rest is counted. */
#define LOG_LINES_MAX 2000

void rh_report_init(struct rh_report *report, const char *workflow, bool quiet)
{
	*report = (struct rh_report){.root = rh_must(json_object_new_object()), .quiet = quiet};
	rh_json_set_str(report->root, "workflow", workflow);
	rh_json_set(report->root, "jobs", rh_must(json_object_new_array()));
}

void rh_report_deinit(struct rh_report *report)
{
	(void)json_object_put(report->root);
	(void)json_object_put(report->names);
}

static void add_job(struct rh_report *report, const char *key, const char *name)
{
	report->job = rh_must(json_object_new_object());
	rh_json_set_str(report->job, "key", key);
	rh_json_set_str(report->job, "name", name);
	rh_json_set(report->job, "steps", rh_must(json_object_new_array()));
	(void)json_object_array_add(rh_json_get(report->root, "jobs"), report->job);
	report->shown = 0;
	(void)json_object_put(report->names);
	report->names = rh_must(json_object_new_object());
}

void rh_report_job_begin(struct rh_report *report, const char *key, const char *name)
{
	add_job(report, key, name);
	if (!report->quiet)
		(void)printf("=== %s\n", name);
}

void rh_report_job_skipped(struct rh_report *report, const char *key, const char *name)
{
	add_job(report, key, name);
	rh_json_set_str(report->job, "conclusion", "skipped");
	if (!report->quiet)
		(void)printf("=== %s (skipped)\n", name);
}

/* What is known of a step while it runs: its name and its lines. */
static struct json_object *live_step(struct rh_report *report, int number)
{
	_cleanup_(rh_freep) char *key = rh_fmt("%d", number);

	if (!rh_json_has(report->names, key)) {
		struct json_object *live = rh_must(json_object_new_object());

		rh_json_set(live, "log", rh_must(json_object_new_array()));
		rh_json_set(report->names, key, live);
	}
	return rh_json_get(report->names, key);
}

static void show_header(struct rh_report *report, int number)
{
	if (report->shown == number || report->quiet)
		return;
	report->shown = number;
	(void)printf("--- %d %s\n", number, rh_json_str(live_step(report, number), "name", ""));
}

static void on_line(struct rh_report *report, int number, struct json_object *event)
{
	const char *text = rh_json_str(event, "text", "");
	struct json_object *log = rh_json_get(live_step(report, number), "log");

	if (rh_json_len(log) < LOG_LINES_MAX)
		(void)json_object_array_add(log, rh_must(json_object_new_string(text)));
	show_header(report, number);
	for (const char *at = text; !report->quiet && at;) {
		size_t n = strcspn(at, "\n");

		(void)printf("    %.*s\n", (int)n, at);
		at = at[n] ? at + n + 1 : NULL;
	}
}

static void on_step(struct rh_report *report, int number, struct json_object *event)
{
	struct json_object *step = rh_json_copy(event);

	json_object_object_del(step, "e");
	rh_json_set_ref(step, "log", rh_json_get(live_step(report, number), "log"));
	if (rh_json_has(live_step(report, number), "summary"))
		rh_json_set_ref(step, "summary", rh_json_get(live_step(report, number), "summary"));
	(void)json_object_array_add(rh_json_get(report->job, "steps"), step);
	show_header(report, number);
	(void)fflush(stdout);
}

void rh_report_event(struct rh_report *report, struct json_object *event)
{
	const char *kind = rh_json_str(event, "e", "");
	int number = json_object_get_int(rh_json_get(event, "number"));

	if (strcmp(kind, "start") == 0) {
		rh_json_set_str(live_step(report, number), "name", rh_json_str(event, "name", ""));
	} else if (strcmp(kind, "upload") == 0) {
		rh_json_set_ref(live_step(report, number), "summary", rh_json_get(event, "text"));
	} else if (strcmp(kind, "line") == 0) {
		on_line(report, number, event);
	} else if (strcmp(kind, "step") == 0) {
		on_step(report, number, event);
	} else if (strcmp(kind, "job") == 0) {
		rh_json_set_ref(report->job, "conclusion", rh_json_get(event, "conclusion"));
		rh_json_set_ref(report->job, "outputs", rh_json_get(event, "outputs"));
	}
}

/* A Worker that died or never came leaves its job a failure, as GitHub sees it. */
const char *rh_report_job_end(struct rh_report *report, int status, long long ms)
{
	static const char *const names[] = {"success", "failure", "failure", "cancelled"};
	const char *conclusion = status >= 100 && status <= 103 ? names[status - 100] : "failure";

	rh_json_set_str(report->job, "conclusion", conclusion);
	rh_json_set(report->job, "worker_exit", json_object_new_int(status));
	rh_json_set(report->job, "ms", json_object_new_int64(ms));
	return rh_json_str(report->job, "conclusion", "failure");
}

static void show_table(struct rh_report *report)
{
	struct json_object *jobs = rh_json_get(report->root, "jobs");

	(void)printf("\n");
	for (size_t i = 0; i < rh_json_len(jobs); i++) {
		struct json_object *job = json_object_array_get_idx(jobs, i);
		struct json_object *steps = rh_json_get(job, "steps");

		for (size_t k = 0; k < rh_json_len(steps); k++) {
			struct json_object *step = json_object_array_get_idx(steps, k);

			(void)printf("%-10s %3d  %s\n", rh_json_str(step, "conclusion", ""),
				json_object_get_int(rh_json_get(step, "number")),
				rh_json_str(step, "name", ""));
		}
		(void)printf("%-10s job  %s (worker exit code %d)\n",
			rh_json_str(job, "conclusion", ""), rh_json_str(job, "name", ""),
			json_object_get_int(rh_json_get(job, "worker_exit")));
	}
}

static int worst_of(struct rh_report *report, const char **ret_name)
{
	static const char *const names[] = {"success", "failure", "cancelled"};
	struct json_object *jobs = rh_json_get(report->root, "jobs");
	int worst = 0;

	for (size_t i = 0; i < rh_json_len(jobs); i++) {
		const char *conclusion =
			rh_json_str(json_object_array_get_idx(jobs, i), "conclusion", "failure");

		for (int k = 1; k <= 2; k++)
			if (k > worst && strcmp(conclusion, names[k]) == 0)
				worst = k;
	}
	*ret_name = names[worst];
	return worst;
}

int rh_report_end(struct rh_report *report, long long ms, const char *json_path)
{
	const char *conclusion = NULL;
	int code = worst_of(report, &conclusion);

	rh_json_set_str(report->root, "conclusion", conclusion);
	rh_json_set(report->root, "exit_code", json_object_new_int(code));
	rh_json_set(report->root, "ms", json_object_new_int64(ms));
	if (!report->quiet)
		show_table(report);
	if (json_path) {
		const char *text = json_object_to_json_string_ext(
			report->root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
		int r = rh_file_write_str(json_path, text);

		if (r) {
			(void)fprintf(stderr, "run-workflow: %s: %s\n", json_path, strerror(-r));
			return 1;
		}
	}
	return code;
}
