/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A runner directory of its own for a test, and run-workflow on it.
 */

#include "common/json.h"
#include "common/text.h"

struct rh_stage_dir {
	char dir[64]; /* everything below it is removed in the end */
	char *root; /* the runner's */
};

/* Makes the runner; its node is a script that answers hashFiles and else says what it was given. */
void rh_stage_init(struct rh_stage_dir *stage);
void rh_stage_deinit(struct rh_stage_dir *stage);
/* Writes a file below the stage's directory, its directories too. */
void rh_stage_file(const struct rh_stage_dir *stage, const char *name, const char *text);
/**
 * rh_stage_run() - run-workflow on workflow.yml of the stage
 * @options: more words of the command line, NULL at the end; may be NULL
 * @ret_report: the JSON report, new reference; NULL if there is none
 *
 * Return: the exit status. The log is in "log" of the stage's directory.
 */
int rh_stage_run(const struct rh_stage_dir *stage, const char *const *options,
	struct json_object **ret_report);
/* A step of the report's first job by name, borrowed; fails the test if there is none. */
struct json_object *rh_stage_step(struct json_object *report, const char *name);
/* The text of a file below the stage's directory, allocated. */
char *rh_stage_read(const struct rh_stage_dir *stage, const char *name);
