/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A mounter on a loop, with real helpers, beside a runner's directory (fake.h).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "broker/daemon/mount/mounter.h"
#include "fake.h"

extern uv_loop_t fix_loop;
extern struct rh_log *fix_log;
extern struct rh_mounter *fix_mounter;
extern bool fix_closed;

struct answer {
	int n; /* callbacks so far; the rest is of the last one */
	int r;
	struct rh_mount_result result;
	uint64_t bytes;
	uint64_t n_files;
	struct rh_err err;
};

/* Checked fixture. */
void fix_setup(void);
void fix_teardown(void);

void fix_on_done(void *arg, int r, const struct rh_mount_result *result, const struct rh_err *err);
void fix_on_swept(void *arg, int r, uint64_t bytes, uint64_t n_files);
void fix_on_closed(void *arg);
/* Runs the loop until @answer was given @n times. */
void fix_run_until(const struct answer *answer, int n);
/* Something that the first helper does quickly. */
void fix_make_dir(struct answer *answer, const char *name);

/* The zygote's child of this name. */
pid_t fix_helper(const char *name);
void fix_wait_replaced(const char *name, pid_t old);
