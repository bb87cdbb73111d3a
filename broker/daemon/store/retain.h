/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Deleting old records, a little at a time.
 */

#include "broker/daemon/store/db.h"

struct rh_retain {
	bool active;
	uint64_t keep_ms;
	uint32_t keep_jobs;
};

struct rh_retainer;

/* Return: 0; negative errno. @db is borrowed. */
int rh_retainer_new(struct rh_db *db, struct rh_retainer **ret_retainer);
void rh_retainer_free(struct rh_retainer *retainer);
RH_DEFINE_CLEANUP(struct rh_retainer *, rh_retainer_free);

/**
 * rh_retainer_run() - delete some of what is beyond age or count, inside the caller's transaction
 * @ret_more: something was deleted, and more may be
 *
 * Return: 0; negative errno.
 */
int rh_retainer_run(struct rh_retainer *retainer, const struct rh_retain *what, bool *ret_more);
