/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run-workflow: runs a workflow file on a stand-in runner. See usage below.
 */

#include <getopt.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.h"
#include "common/text.h"
#include "rh-config.h"
#include "run/run.h"
#include "runnerhub/clock.h"

#define EXIT_USAGE 2
#define EXIT_OTHER 3 /* 0, 1 and 2 are the workflow's conclusion */

static const char usage_text[] =
	"run-workflow FILE [OPTION]…         run a workflow on a stand-in runner\n"
	"run-workflow make-runner DIR [OPTION]…  make a runner directory\n"
	"\n"
	"FILE is a workflow in GitHub's YAML. Further top-level keys: files (path → text, written\n"
	"into the workspace), secrets, vars, inputs, github (overrides).\n"
	"\n"
	"  --runner NAME|DIR    the runner; else the first free one of with-runnerhub's, else a\n"
	"                       temporary one without RunnerHub\n"
	"  --uid N              the user that Listener, Worker and steps run as (needs root)\n"
	"  --cancel-after S     cancel the job S seconds after its start, as GitHub does\n"
	"  --stop-after S       stop the Listener S seconds after the job's start\n"
	"  --json FILE          report: per step name, outcome, exit code, ms, bytes\n"
	"  --job KEY            this job only\n"
	"  --actions DIR        where uses: owner/repo@ref comes from: "
	"DIR/owner/repo/ref[.tar.gz]\n"
	"  --workspace DIR      copied into the workspace before the job\n"
	"  --repo OWNER/NAME    the repository; default octo/demo\n"
	"  --clean              empty the workspace first\n"
	"  --keep               leave a temporary runner directory, say where\n"
	"  --quiet              no log, no table\n"
	"  --version, --help\n"
	"\n"
	"make-runner: --uid N, --name NAME, --node FILE, --node-alpine FILE, --versioned (bin and\n"
	"externals are links, as after an update)\n"
	"\n"
	"Exit status: 0 success, 1 failure, 2 cancelled (or wrong usage), 3 could not be run.\n";

enum option_key {
	OPT_RUNNER = 256,
	OPT_UID,
	OPT_CANCEL,
	OPT_STOP,
	OPT_JSON,
	OPT_JOB,
	OPT_ACTIONS,
	OPT_WORKSPACE,
	OPT_REPO,
	OPT_CLEAN,
	OPT_KEEP,
	OPT_QUIET,
	OPT_NODE,
	OPT_NODE_ALPINE,
	OPT_NAME,
	OPT_VERSIONED,
	OPT_VERSION,
	OPT_HELP,
};

static const struct option long_options[] = {
	{"runner", required_argument, NULL, OPT_RUNNER},
	{"uid", required_argument, NULL, OPT_UID},
	{"cancel-after", required_argument, NULL, OPT_CANCEL},
	{"stop-after", required_argument, NULL, OPT_STOP},
	{"json", required_argument, NULL, OPT_JSON},
	{"job", required_argument, NULL, OPT_JOB},
	{"actions", required_argument, NULL, OPT_ACTIONS},
	{"workspace", required_argument, NULL, OPT_WORKSPACE},
	{"repo", required_argument, NULL, OPT_REPO},
	{"clean", no_argument, NULL, OPT_CLEAN},
	{"keep", no_argument, NULL, OPT_KEEP},
	{"quiet", no_argument, NULL, OPT_QUIET},
	{"node", required_argument, NULL, OPT_NODE},
	{"node-alpine", required_argument, NULL, OPT_NODE_ALPINE},
	{"name", required_argument, NULL, OPT_NAME},
	{"versioned", no_argument, NULL, OPT_VERSIONED},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, OPT_HELP},
	{0},
};

struct command_line {
	struct rh_run_options run;
	struct rh_run_make make;
	bool make_runner;
};

static int fail(const char *text)
{
	(void)fprintf(stderr, "run-workflow: %s\n", text);
	return EXIT_OTHER;
}

static void set_uid(struct command_line *c, const char *text)
{
	c->run.uid = c->make.uid = (uid_t)strtoul(text, NULL, 10);
	c->run.has_uid = c->make.has_uid = true;
}

/* Options with a value. */
static void take_value(struct command_line *c, int key, const char *value)
{
	const struct {
		int key;
		const char **place;
	} rows[] = {
		{OPT_RUNNER, &c->run.runner},
		{OPT_JSON, &c->run.json},
		{OPT_JOB, &c->run.job},
		{OPT_ACTIONS, &c->run.actions},
		{OPT_WORKSPACE, &c->run.workspace},
		{OPT_REPO, &c->run.repository},
		{OPT_NODE, &c->make.node},
		{OPT_NODE_ALPINE, &c->make.node_alpine},
		{OPT_NAME, &c->make.name},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].key == key)
			*rows[i].place = value;
	if (key == OPT_UID)
		set_uid(c, value);
	if (key == OPT_CANCEL)
		c->run.cancel_after_s = strtod(value, NULL);
	if (key == OPT_STOP)
		c->run.stop_after_s = strtod(value, NULL);
}

/* Return: -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct command_line *c)
{
	int key = 0;

	while ((key = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		c->run.clean |= key == OPT_CLEAN;
		c->run.keep |= key == OPT_KEEP;
		c->run.quiet |= key == OPT_QUIET;
		c->make.versioned |= key == OPT_VERSIONED;
		if (key == OPT_HELP)
			return fputs(usage_text, stdout) < 0;
		if (key == OPT_VERSION)
			return puts("run-workflow " RH_VERSION) < 0;
		if (key == '?')
			return EXIT_USAGE;
		take_value(c, key, optarg);
	}
	c->run.node = c->make.node;
	c->make_runner = optind < argc && strcmp(argv[optind], "make-runner") == 0;
	optind += c->make_runner;
	if (optind + 1 != argc) {
		(void)fputs(usage_text, stderr);
		return EXIT_USAGE;
	}
	c->run.file = c->make.root = argv[optind];
	return -1;
}

struct context {
	const struct rh_run_options *options;
	struct rh_run_runner *runner;
	struct json_object *workflow;
	struct json_object *archives;
	struct json_object *done; /* results of jobs */
	struct rh_launch *launch;
	struct rh_report *report;
};

static int64_t after(double seconds)
{
	return seconds > 0 ? rh_now_ms() + (int64_t)(seconds * 1000) : 0;
}

static void note_done(struct context *c, const char *key, const char *result)
{
	struct json_object *entry = rh_must(json_object_new_object());

	rh_json_set_str(entry, "result", result);
	rh_json_set_ref(entry, "outputs", rh_json_get(c->report->job, "outputs"));
	rh_json_set(c->done, key, entry);
}

static int run_one(struct context *c, const char *key, struct rh_err *err)
{
	struct json_object *job = rh_json_get(rh_json_get(c->workflow, "jobs"), key);
	const char *name = rh_json_str(job, "name", key);
	_cleanup_(rh_json_putp) struct json_object *message = NULL;
	int r = rh_workflow_message(c->options, c->workflow, key, c->done, &message, err);

	if (r)
		return r;
	if (!message || rh_launch_interrupted(c->launch)) {
		rh_report_job_skipped(c->report, key, name);
		note_done(c, key, "skipped");
		return 0;
	}
	rh_json_set_ref(message, "archives", c->archives);
	r = rh_workspace_fill(c->options, c->runner, rh_json_get(c->workflow, "files"), err);
	if (r)
		return r;
	rh_report_job_begin(c->report, key, name);

	int64_t started_ms = rh_now_ms();
	int status = rh_launch_job(c->launch, message, c->report, after(c->options->cancel_after_s),
		after(c->options->stop_after_s));

	note_done(c, key, rh_report_job_end(c->report, status, rh_now_ms() - started_ms));
	return 0;
}

static int run_jobs(struct context *c, struct rh_err *err)
{
	_cleanup_(rh_json_putp) struct json_object *order = NULL;
	int r = rh_workflow_order(c->workflow, c->options->job, &order, err);

	if (!r)
		r = rh_launch_start(c->runner, &c->launch, err);
	for (size_t i = 0; !r && i < rh_json_len(order); i++)
		r = run_one(c, json_object_get_string(json_object_array_get_idx(order, i)), err);
	if (c->launch)
		rh_launch_stop(c->launch);
	return r;
}

/* Everything that the runner's user must be able to read lies in a directory of ours. */
static int run(const struct rh_run_options *options, struct rh_run_runner *runner,
	struct json_object *workflow, struct rh_err *err)
{
	char scratch[] = "/tmp/run-workflow.XXXXXX";
	struct rh_report report = {0};
	struct context c = {.options = options,
		.runner = runner,
		.workflow = workflow,
		.done = rh_must(json_object_new_object()),
		.report = &report};
	int64_t started_ms = rh_now_ms();

	if (!mkdtemp(scratch) || chmod(scratch, 0755) < 0)
		return fail("no temporary directory");
	rh_report_init(&report, rh_json_str(workflow, "name", options->file), options->quiet);

	int r = rh_archives_pack(options, scratch, &c.archives, err);

	if (!r)
		r = run_jobs(&c, err);

	int code = r ? fail(err->text)
		     : rh_report_end(&report, rh_now_ms() - started_ms, options->json);

	rh_report_deinit(&report);
	rh_dir_remove(scratch);
	(void)json_object_put(c.done);
	(void)json_object_put(c.archives);
	return code;
}

int main(int argc, char **argv)
{
	struct command_line c = {.run.repository = "octo/demo"};
	struct rh_err err = {0};
	int code = parse(argc, argv, &c);

	/* What we were started with is no business of the Listener and its jobs. */
	(void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	if (code >= 0)
		return code;
	if (c.make_runner) {
		_cleanup_(rh_freep) char *absolute = NULL;
		int r = rh_dir_make(c.make.root);

		absolute = r ? NULL : realpath(c.make.root, NULL);
		c.make.root = absolute;
		return absolute && rh_runner_make(&c.make, &err) == 0 ? 0 : fail(err.text);
	}

	_cleanup_(rh_json_putp) struct json_object *workflow = NULL;
	struct rh_run_runner runner = {.lock_fd = -1};

	if (rh_workflow_load(c.run.file, &workflow, &err) || rh_runner_open(&c.run, &runner, &err))
		return fail(err.text);
	code = run(&c.run, &runner, workflow, &err);
	if (c.run.keep && runner.temporary) {
		(void)fprintf(stderr, "run-workflow: kept %s\n", runner.root);
		runner.temporary = false;
	}
	rh_runner_close(&runner);
	return code;
}
