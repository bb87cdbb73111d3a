/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One job in the stand-in Worker: its directories, contexts, steps and result.
 *
 * One lock guards all of it. It is held by whoever computes and released while a process runs, so
 * that background steps, cancels and the output of several processes may come at once.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/expr.h"
#include "runner/log.h"
#include "runner/proc.h"

/* The Worker exits with 100 and one of these. */
enum rh_result {
	RH_RESULT_SUCCESS = 0,
	RH_RESULT_FAILURE = 2,
	RH_RESULT_CANCELLED = 3,
	RH_RESULT_SKIPPED = 4,
};

enum rh_stage {
	RH_STAGE_PRE,
	RH_STAGE_MAIN,
	RH_STAGE_POST,
};

struct rh_job;
struct rh_step;

/* What the steps of a job, or those of a composite action, have in common. */
struct rh_scope {
	struct rh_scope *outer; /* NULL: the job itself */
	char *name; /* "", or the context names of the composite steps around, with dots */
	struct json_object *steps; /* the "steps" context */
	struct json_object *inputs;
	struct json_object *env; /* of the steps around, below the steps' own */
	enum rh_result result; /* of a composite action so far */
	struct rh_post *posts; /* newest first */
	struct rh_scope *next_owned; /* in the job's list */
};

/* A post step that waits for the end of the job, or of its composite action's own post. */
struct rh_post {
	struct json_object *def;
	struct json_object *condition;
	char *context_name;
	char *display;
	struct rh_post *next;
};

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
	bool background;
	bool running;
	enum rh_result outcome, conclusion;
	bool command_failed; /* a workflow or file command makes the step fail */
	char *stop_token; /* ::stop-commands:: */
	char *file_guid; /* of its file commands */
	bool has_exit_code;
	struct rh_proc_end end;
	struct rh_step *next; /* in the job's list of running steps */
};

struct rh_job {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a background step ended */
	struct json_object *message;
	struct json_object *start_env; /* the Worker's own environment */
	struct json_object *github, *runner, *secrets, *job_context;
	struct json_object *env; /* of the workflow, the job and GITHUB_ENV */
	struct json_object *states; /* of actions, by scope and context name */
	struct json_object *archives; /* "owner/repo@ref" → tar.gz */
	char *prepend_path; /* GITHUB_PATH, newest first, colon-separated */
	char *root, *bin, *work, *temp, *actions, *tools, *workspace, *commands_dir;
	char *tracking_id;
	int64_t started_ms; /* of the Worker */
	struct rh_log log;
	struct rh_scope *scope; /* of the job */
	struct rh_scope *scopes; /* all, for the end */
	struct rh_step *running;
	int n_background;
	enum rh_result result;
	bool cancelled, shut_down;
};

/* job.c */
struct rh_job *rh_job_new(struct json_object *message, int event_fd, int64_t started_ms);
void rh_job_free(struct rh_job *job);
/* The whole job. Context: takes the lock. */
enum rh_result rh_job_run(struct rh_job *job);
/* Cancel and shutdown. Context: any thread; take the lock. */
void rh_job_cancel(struct rh_job *job);
void rh_job_shut_down(struct rh_job *job);
/* The worse of two results. */
enum rh_result rh_result_merge(enum rh_result a, enum rh_result b);
const char *rh_result_name(enum rh_result result);
/* The scope of a composite step; its stages share one. */
struct rh_scope *rh_scope_new(struct rh_job *job, struct rh_scope *outer, const char *name);

/* setup.c: what comes before the started hook, and after everything. */
int rh_job_set_up(struct rh_job *job, struct rh_record *record, struct rh_err *err);
void rh_job_tear_down(struct rh_job *job, struct rh_record *record);
void rh_job_write_event(struct rh_job *job);

/* stage.c: the steps at the job's own level. The caller holds the lock. */
void rh_stage_hook(struct rh_job *job, enum rh_stage stage);
/* An entry of the plan; one with background: true is only started. */
void rh_stage_step(struct rh_job *job, struct json_object *entry, enum rh_stage stage);
/* Waits for the background steps. */
void rh_stage_wait(struct rh_job *job);
/* The post steps, the newest first. */
void rh_stage_posts(struct rh_job *job);
/* Tells how a step ended. */
void rh_stage_report(const struct rh_step *step, const char *kind);

/* post.c: the newest post step of a scope that has one, and its end. */
struct rh_post *rh_post_take(struct rh_scope *scope);
void rh_post_free(struct rh_post *post);

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

/* process.c: a process of a step. */
struct rh_command_line {
	const char *path;
	char **argv;
	const char *cwd;
	struct json_object *env; /* above the Worker's own */
};
/* Runs it, its lines go through the workflow commands into the log. Releases the lock meanwhile. */
int rh_step_process(struct rh_step *step, const struct rh_command_line *line, struct rh_err *err);
/* A process of the Worker's own (tar, hashFiles): its lines go to @on_line. */
int rh_job_process(struct rh_job *job, const struct rh_command_line *line,
	void (*on_line)(void *arg, int stream, const char *text, size_t size), void *arg,
	int *ret_exit_code, struct rh_err *err);
/* The environment of a step's process: its own, PATH, and the runtime context. New reference. */
struct json_object *rh_step_environment(struct rh_step *step);
char *rh_job_which(struct rh_job *job, const char *name);

/* script.c, hook.c, action.c, node.c, composite.c: bodies of steps. Return 0 or an error. */
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

/* plan.c: the steps of the job in their order. */
/* A list of [{def, name, display}], one for each step of the message. New reference. */
struct json_object *rh_plan_steps(struct rh_job *job);
/* What the log calls a step without a name. Allocated. */
char *rh_plan_display(struct json_object *def);
/* What comes before the steps: downloads, and the pre: stages that they ask for. */
int rh_action_prepare(
	struct rh_job *job, struct json_object *plan, struct rh_record *record, struct rh_err *err);
/* Whether an entry of the plan has a pre: stage to run. */
bool rh_action_has_pre(struct rh_job *job, struct json_object *def);

/* archive.c: downloads an action into _actions. */
int rh_archive_fetch(
	struct rh_job *job, struct rh_record *record, const char *uses, struct rh_err *err);

/* hashfiles.c: @arg is the job. */
int rh_hash_files(void *arg, struct json_object *patterns, char **ret_hash, struct rh_err *err);

/* orphan.c */
struct json_object *rh_orphan_snapshot(void);
void rh_orphan_sweep(struct rh_job *job, struct json_object *before, struct rh_record *record);
