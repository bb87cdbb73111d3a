/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What jobs stand on, as stand-ins that remember what was asked: containers, mounter, store, and
 * the look at what is in force. They replace the real ones by having their names. The mounter
 * answers when the test says so.
 */

#include <stdbool.h>

#include "broker/daemon/container/container.h"
#include "broker/daemon/mount/mount.h"
#include "broker/daemon/store/store.h"

struct rh_container {
	struct rh_id instance;
	struct rh_id job;
	const struct rh_profile *profile;
	struct rh_config *config;
	void *owner;
	unsigned n_discarded;
};

struct fakes {
	rh_mount_done_fn released;
	void *released_arg;
	rh_mount_swept_fn swept;
	void *swept_arg;
	struct rh_mounter *sweeper; /* that the last sweep was asked of */
	char event[512]; /* the last one: "kind: message" */
	struct rh_id event_job;
	rh_container_acquired_fn acquired;
	void *acquired_arg;
	unsigned n_cancelled;
	unsigned n_saved;
	const struct rh_profile *judged_by; /* of the last comparison with what is in force */
};

extern struct fakes fakes;

struct rh_containers *fakes_containers(void);
struct rh_mounter *fakes_mounter(void);
struct rh_store *fakes_store(void);
/* The answers that are owed. */
void fakes_release(int r);
void fakes_sweep(int r, uint64_t bytes, uint64_t n_files);
