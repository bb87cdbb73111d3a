/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The store's file at start: made, checked, set aside if it is damaged, migrated, read.
 */

#include "broker/daemon/store/db.h"
#include "broker/daemon/store/store.h"

/* How long one statement waits for a lock that another process holds. */
#define RH_STORE_BUSY_MS 500
/* How long the start may spend on the integrity check; the rest of it goes on afterwards. */
#define RH_STORE_CHECK_MS 100

struct rh_store_file {
	struct rh_db *writer;
	struct rh_db *reader;
	struct rh_store_open *open;
	bool set_aside; /* a damaged file was renamed */
	char aside[4200]; /* to what */
	bool unchecked; /* the integrity check ran out of time */
};

/**
 * rh_store_file_open() - do all of it
 *
 * Context: start-up, blocks on disk. Return: 0; negative errno with @err. Nothing is left to be
 * freed on failure.
 */
int rh_store_file_open(const char *path, struct rh_store_file *ret_file, struct rh_err *err);

/* Return: 0 whole; -EBADMSG damaged; -ECANCELED past the deadline; negative errno. */
int rh_store_file_check(struct rh_db *db);

/* Leaves a mark beside the file, so that the next start sets it aside. */
int rh_store_file_condemn(const char *path);
