/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A job's workspace, <work>/<repo>, and its marker in the ledger.
 *
 *   no marker ── attach ──▶ marked ── release: moved to the trash, empty one in its place ──▶ no
 * marker │ └── attach again: nobody scrubbed it, so it is swapped first
 *
 * A workspace without a marker was not left by a job of ours: it is kept as it is.
 */

#include <stdbool.h>

#include "broker/daemon/mount/ledger.h"
#include "runnerhub/err.h"

/**
 * rh_workspace_prepare() - make the workspace fit for a job, and mark it
 * @repo:  its directory below the work directory
 * @inner: the workspace proper, relative to @repo
 *
 * Context: a helper process. Return: 0; negative errno with @err.
 */
int rh_workspace_prepare(const struct rh_ledger *ledger, const char *repo, const char *inner,
	bool *ret_swapped, struct rh_err *err);

/* The job that it was prepared for never ran. */
void rh_workspace_unmark(const struct rh_ledger *ledger, const char *repo);

/**
 * rh_workspace_release() - the job has ended
 * @scrub: swap it for an empty <repo>/<repo>, which may still be some process's working directory
 * @keep:  files and folders of <repo>/<repo> that are in the new one, too, a line each; or NULL
 *
 * Does nothing if it has no marker. The marker goes last.
 */
int rh_workspace_release(const struct rh_ledger *ledger, const char *repo, bool scrub,
	const char *keep, struct rh_err *err);

#define RH_WORKSPACE_TEMP_MARKER "leased-_temp"

/**
 * rh_workspace_retire_temp() - swap a _temp that a job had for a fresh one
 *
 * Whatever a job did to the directory itself (its mode, owner, flags, access lists) goes with it.
 * Does nothing if no job had it since.
 */
int rh_workspace_retire_temp(const struct rh_ledger *ledger, struct rh_err *err);

/* Closes the work directory to all users but its owner: set-user-id files of jobs lie below it. */
int rh_workspace_close(const struct rh_ledger *ledger);
