/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An action as it lies on the disk, shared by the files that run one.
 */

#include "runner/step.h"

struct rh_action {
	char *dir; /* where its action.yml is */
	struct json_object *def; /* the action.yml */
	const char *using; /* node20, composite, …; borrowed from def */
	char *repository; /* owner/repo, or "" of a local one */
	char *ref;
	bool local;
};

void rh_action_deinit(struct rh_action *action);
/* Return: 0; -ENOENT with @err if there is no action.yml. */
int rh_action_load(
	struct rh_job *job, const char *uses, struct rh_action *ret_action, struct rh_err *err);
bool rh_action_is_remote(const char *uses);
bool rh_action_is_node(const struct rh_action *action);
bool rh_action_is_composite(const struct rh_action *action);
/* Downloads what a composite action uses in turn, and what that uses. */
int rh_action_fetch_nested(struct rh_job *job, struct rh_action *action, struct rh_record *record,
	int depth, struct rh_err *err);
/* Makes a step wait for the end of the job. Once for each step. */
void rh_action_register_post(struct rh_step *step, struct json_object *condition);

/* node.c */
int rh_node_run(struct rh_step *step, const struct rh_action *action, struct json_object *inputs,
	struct rh_err *err);

/* composite.c */
int rh_composite_run(struct rh_step *step, const struct rh_action *action,
	struct json_object *inputs, struct rh_err *err);
