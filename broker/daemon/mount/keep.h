/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What scrubbing leaves: moved from the old workspace into the new one, before that takes its
 * place.
 */

#include "broker/daemon/mount/ledger.h"

/**
 * rh_keep_carry() - move files and folders from <work>/@repo/@inner into the ledger's new directory
 * @keep: relative paths, a line each
 *
 * By descriptor, without following links: what is a link, something special, or not there is left
 * behind, and so is what lies on another file system.
 * Context: a helper process. Return: 0; negative errno.
 */
int rh_keep_carry(
	const struct rh_ledger *ledger, const char *repo, const char *inner, const char *keep);
