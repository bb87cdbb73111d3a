/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What becomes of one exec of the runner's Worker: a function of the exec and of what was found out
 * when the Worker started. And what is said about a process by its executable and its LD_PRELOAD.
 * All of it is pure: stack and constants only, fit for a vfork child.
 */

#include <stdbool.h>
#include <stddef.h>

enum rh_verdict {
	RH_VERDICT_RELAY, /* runs in the job's container; also whatever is unknown */
	RH_VERDICT_JOB_STARTED, /* our verb in place of the hook */
	RH_VERDICT_JOB_COMPLETED,
	RH_VERDICT_UNTAR, /* our verb in place of tar on an action archive */
	RH_VERDICT_REFUSE, /* one line and exit 1 */
	RH_VERDICTS,
};

/* Facts of the Worker's start. Each may be NULL: then nothing is recognised by it. */
struct rh_policy {
	const char *started_hook, *completed_hook;
	const char *tar, *docker; /* as the Worker finds them by its own PATH */
};

struct rh_exec {
	const char *path;
	char *const *argv; /* NULL-terminated, or NULL */
	const char *cwd; /* "" if unknown */
	bool marker; /* rh_policy_marker() of its environment */
};

/*
 * Whether an environment is that of a step or hook: the Worker puts its runtime context into those
 * after a job's own variables, so that no job can leave it out; its own helpers (tar, docker,
 * hashFiles) lack it. Source: actions/runner 2.336.0, Handlers/ScriptHandler.cs.
 */
bool rh_policy_marker(char *const *envp);

/* Finds the row that fits. */
enum rh_verdict rh_policy_decide(const struct rh_policy *policy, const struct rh_exec *exec);

/* The names of the marker, ended by NULL: the constructor takes them out of the Worker's own. */
extern const char *const rh_policy_marker_names[] __attribute__((visibility("hidden")));

#define RH_PRELOAD_NAME "librunnerhub-preload.so"

/* The length of <root> if @exe is <root>/bin/Runner.Worker or <root>/bin.…/… (to which an update
 * of the runner makes bin a link); else 0. */
size_t rh_facts_root(const char *exe);

/* The first word of LD_PRELOAD (parted by blanks and colons, ld.so(8)) that names this library by
 * an absolute path, and its size; or NULL. */
const char *rh_facts_word(const char *preload, size_t *ret_size);

/* Copies LD_PRELOAD without the words that name this library, in their order, parted by colons.
 * @ret_rest needs at most strlen(preload) + 1 bytes. Return: whether it fitted. */
bool rh_facts_without(const char *preload, char *ret_rest, size_t size);
