/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A step: one run of a run: or uses: step in one stage, or of a job hook. Everything here is called
 * with the job's lock held.
 */

#include "runner/job.h"

struct rh_step {
	struct rh_job *job;
	struct rh_scope *scope;
	struct rh_step *outer; /* the composite step this is part of */
	enum rh_stage stage;
	struct json_object *def; /* the step as the workflow has it */
	struct json_object *condition;
	const char *hook; /* path of a job hook; def is NULL then */
	char *context_name;
	char *display;
	struct json_object *github; /* the github context with this step's own members */
	struct json_object *env; /* evaluated: all that this step sees */
	struct json_object *own_env; /* the step's own part of it */
	struct json_object *outputs;
	struct json_object *state; /* shared by pre, main and post of an action */
	struct rh_record *record;
	struct rh_cancel cancel;
	int64_t deadline_ms; /* monotonic; 0: none */
	double timeout_minutes;
	enum rh_result outcome, conclusion;
	bool command_failed; /* a workflow or file command makes the step fail */
	char *stop_token; /* ::stop-commands:: */
	char *file_guid; /* of its file commands */
	bool has_exit_code;
	struct rh_proc_end end;
	struct rh_step *next; /* in the job's list of running steps */
};

/* step.c */
struct rh_step *rh_step_new(struct rh_job *job, struct rh_scope *scope, struct json_object *def,
	enum rh_stage stage, const char *context_name);
void rh_step_free(struct rh_step *step);
/* Evaluates the display name. One whose expressions cannot be evaluated yet stays as it is. */
void rh_step_name(struct rh_step *step);
/* Condition, environment, body, continue-on-error, the "steps" context. */
void rh_step_execute(struct rh_step *step);
/* Everything an expression of this step can see. @ret_contexts: new reference. */
struct rh_expr_env rh_step_expr(struct rh_step *step, struct json_object **ret_contexts);
/* One line into the step's log, as ##[error]. The step's outcome is the caller's. */
_printf_(2, 3) void rh_step_error(struct rh_step *step, const char *fmt, ...);
/* Whether the condition still holds; used again when the job is cancelled. */
int rh_step_condition(struct rh_step *step, bool *ret_holds, struct rh_err *err);
void rh_step_cancel(struct rh_step *step, enum rh_cancel_reason reason);

/* process.c: runs a process of a step; its lines go through the workflow commands into the log.
 * Releases the lock meanwhile. */
int rh_step_process(struct rh_step *step, const struct rh_command_line *line, struct rh_err *err);
/* The environment of a step's process: its own, PATH, and the runtime context. New reference. */
struct json_object *rh_step_environment(struct rh_step *step);

/* script.c, action.c: bodies of steps. Return 0 or an error. */
int rh_script_run(struct rh_step *step, struct rh_err *err);
int rh_hook_run(struct rh_step *step, struct rh_err *err);
int rh_action_run(struct rh_step *step, struct rh_err *err);
/* The "env:" part of a step's header in the log. */
void rh_step_print_env(struct rh_step *step);

/* command.c: true if the line was a command and is not to be shown. */
bool rh_command_run(struct rh_step *step, const char *line);

/* filecmd.c */
void rh_filecmd_init(struct rh_step *step);
void rh_filecmd_process(struct rh_step *step);

/* stage.c: the steps at the job's own level. */
void rh_stage_hook(struct rh_job *job, enum rh_stage stage);
/* An entry of the plan; one with background: true is only started. */
void rh_stage_step(struct rh_job *job, struct json_object *entry, enum rh_stage stage);
/* Waits for the background steps. */
void rh_stage_wait(struct rh_job *job);
/* The post steps, the newest first. */
void rh_stage_posts(struct rh_job *job);
/* Tells how a step ended. */
void rh_stage_report(const struct rh_step *step, const char *kind);
