/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Containers on stand-ins, one profile "p", and what their owner was told.
 */

#include <uv.h>

#include "broker/daemon/container/container.h"
#include "fakes.h"

struct fixture {
	uv_loop_t loop;
	char dir[64];
	char parent_dir[96];
	struct rh_profile profile;
	struct rh_config config;
	struct rh_log *log;
	struct rh_containers *all;

	unsigned n_acquired;
	int acquire_r;
	struct rh_container *container; /* the last that was acquired */
	bool cold;
	struct rh_err err;
	unsigned n_leased;
	int lease_r;
	struct rh_err lease_err;
	struct rh_mount_result result;
	unsigned n_lost;
	char lost_reason[256];
	unsigned n_reports;
	struct rh_wire_step_report report;
	bool gone;
	bool closed;
	bool adopted;
	int adopt_r;
	bool want; /* what adoption is told of a job */
	unsigned n_wanted;
};

extern struct fixture f;

/* Checked fixtures. */
void fixture_setup(void);
void fixture_teardown(void);

void fixture_open(void);
/* The engine is up. */
void fixture_up(void);
void fixture_close(bool remove_warm);
void fixture_acquire(void);
void fixture_lease(void);
/* fixture_acquire, wait, fixture_lease, wait. */
void fixture_lease_one(void);
struct fake_container *fixture_fake(void);
struct rh_pool_view fixture_view(void);
void fixture_event(
	enum rh_engine_event_kind kind, const struct fake_container *container, int exit_code);
void fixture_on_gone(void *arg);

/* Asserts that an expression becomes true. */
#define UNTIL(expression)                                            \
	do {                                                         \
		int64_t limit_ = rh_now_ms() + 20000;                \
                                                                     \
		while (!(expression) && rh_now_ms() < limit_)        \
			fixture_turn();                              \
		ck_assert_msg(expression, "never: %s", #expression); \
	} while (0)
/* One turn of the loop, at most a few milliseconds. */
void fixture_turn(void);
