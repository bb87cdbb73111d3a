/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runner directory for a test, see stage.h.
 */

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/files.h"
#include "stage.h"

static const char node_script[] =
	"#!/bin/sh\n"
	"case $1 in\n"
	"*/hashFiles) echo \"__OUTPUT__hash-of-${patterns}__OUTPUT__\" >&2 ;;\n"
	"*) echo \"node runs ${1##*/} with ${INPUT_WHO:-nothing} and ${STATE_s:-no state}\"\n"
	"   [ -z \"$INPUT_WHO\" ] || echo s=kept >> \"$GITHUB_STATE\" ;;\n"
	"esac\n";

/* Runs run-workflow with the words; its output goes into "log". */
static int run_tool(const struct rh_stage_dir *stage, char *const *argv)
{
	_cleanup_(rh_freep) char *log = rh_fmt("%s/log", stage->dir);
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666);

		(void)dup2(fd, 1);
		(void)dup2(fd, 2);
		(void)setenv(
			"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
		(void)setenv("RUNNERHUB_STANDIN_START_MS", "0", 0);
		(void)execv(RH_TEST_RUN_WORKFLOW, argv);
		_exit(127);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void rh_stage_file(const struct rh_stage_dir *stage, const char *name, const char *text)
{
	_cleanup_(rh_freep) char *path = rh_fmt("%s/%s", stage->dir, name);
	_cleanup_(rh_freep) char *dir = rh_dup(path);

	*strrchr(dir, '/') = '\0';
	ck_assert_int_eq(rh_dir_make(dir), 0);
	ck_assert_int_eq(rh_file_write_str(path, text), 0);
	ck_assert_int_eq(chmod(path, 0755), 0);
}

void rh_stage_init(struct rh_stage_dir *stage)
{
	*stage = (struct rh_stage_dir){.dir = "/tmp/rh-stage.XXXXXX"};
	ck_assert_ptr_nonnull(mkdtemp(stage->dir));
	stage->root = rh_fmt("%s/runner", stage->dir);
	rh_stage_file(stage, "bin/node", node_script);

	_cleanup_(rh_freep) char *node = rh_fmt("%s/bin/node", stage->dir);
	char *argv[] = {(char[]){"run-workflow"}, (char[]){"make-runner"}, stage->root,
		(char[]){"--node"}, node, NULL};

	ck_assert_int_eq(run_tool(stage, argv), 0);
}

void rh_stage_deinit(struct rh_stage_dir *stage)
{
	rh_dir_remove(stage->dir);
	free(stage->root);
}

char *rh_stage_read(const struct rh_stage_dir *stage, const char *name)
{
	_cleanup_(rh_freep) char *path = rh_fmt("%s/%s", stage->dir, name);
	struct rh_text text = {0};

	(void)rh_file_read(path, &text);
	return rh_text_take(&text);
}

int rh_stage_run(const struct rh_stage_dir *stage, const char *const *options,
	struct json_object **ret_report)
{
	_cleanup_(rh_freep) char *workflow = rh_fmt("%s/workflow.yml", stage->dir);
	_cleanup_(rh_freep) char *report = rh_fmt("%s/report.json", stage->dir);
	char *argv[32] = {(char[]){"run-workflow"}, workflow, (char[]){"--runner"}, stage->root,
		(char[]){"--json"}, report};
	size_t n = 6;

	(void)unlink(report);
	for (; options && *options && n < 31; options++)
		argv[n++] = (char *)(uintptr_t)*options;

	int status = run_tool(stage, argv);
	_cleanup_(rh_freep) char *text = rh_stage_read(stage, "report.json");

	*ret_report = rh_json_parse(text);
	return status;
}

struct json_object *rh_stage_step(struct json_object *report, const char *name)
{
	struct json_object *job = json_object_array_get_idx(rh_json_get(report, "jobs"), 0);
	struct json_object *steps = rh_json_get(job, "steps");

	for (size_t i = 0; i < rh_json_len(steps); i++) {
		struct json_object *step = json_object_array_get_idx(steps, i);

		if (strcmp(rh_json_str(step, "name", ""), name) == 0)
			return step;
	}
	ck_abort_msg("no step %s", name);
	return NULL;
}
