/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What becomes of one exec of the runner's Worker (policy.c): a function of the exec and of what
 * was found out when the Worker started. And what is said about a process by its executable and
 * its LD_PRELOAD (facts.c). All of it is pure.
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
	const char *started_hook;
	const char *completed_hook;
	const char *tar; /* as the Worker finds it by its own PATH */
	const char *docker; /* likewise */
};

struct rh_exec {
	const char *path;
	char *const *argv; /* NULL-terminated, or NULL */
	const char *cwd; /* "" if unknown */
	bool marker; /* rh_policy_marker() of its environment */
};

/**
 * rh_policy_marker() - whether an environment is that of a step or hook
 *
 * The Worker puts its runtime context into those after a job's own variables, so that no job can
 * leave it out; its own helpers (tar, docker, hashFiles) lack it.
 * Context: vfork child. Source: actions/runner 2.336.0, Handlers/ScriptHandler.cs.
 */
bool rh_policy_marker(char *const *envp);

/**
 * rh_policy_decide() - find the row that fits
 *
 * Context: vfork child; stack and constants only.
 */
enum rh_verdict rh_policy_decide(const struct rh_policy *policy, const struct rh_exec *exec);

/* The names of the marker, ended by NULL: the constructor takes them out of the Worker's own. */
extern const char *const rh_policy_marker_names[] __attribute__((visibility("hidden")));

#define RH_PRELOAD_NAME "librunnerhub-preload.so"

/**
 * rh_facts_root() - length of <root> if @exe is <root>/bin/Runner.Worker or <root>/bin.…/…
 *
 * An update of the runner turns bin into a link to bin.<version>. Return: 0 if it is not.
 */
size_t rh_facts_root(const char *exe);

/**
 * rh_facts_word() - the first word of LD_PRELOAD that names this library by an absolute path
 * @ret_size: of the word
 *
 * Words are parted by blanks and colons (ld.so(8)). Return: where it starts, or NULL.
 */
const char *rh_facts_word(const char *preload, size_t *ret_size);

/**
 * rh_facts_without() - copy LD_PRELOAD without the words that name this library
 * @size: of @ret_rest, which needs at most strlen(preload) + 1 bytes
 *
 * Other words keep their order, parted by colons. Return: whether it fitted.
 */
bool rh_facts_without(const char *preload, char *ret_rest, size_t size);
