/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * control.sock: one JSON object a line, for the CLI and the web process.
 *
 *   {"id":…,"op":"…","args":{…}}  →  {"id":…,"ok":true,"data":…}
 *                                    {"id":…,"ok":false,"error":{"code":"…","message":"…"}}
 *
 * "subscribe" answers once and then streams {"event":{…}} lines. Each operation is a row of one
 * table: name, class, arguments, function. Classes: view and operate are open to root and the
 * configured group, own is root's alone (SO_PEERCRED). Lines, connections and unsent output are
 * bounded; a subscriber that does not read is cut.
 *
 * Context: loop thread.
 */

#include <stdbool.h>
#include <uv.h>

#include "broker/daemon/config/config.h"
#include "broker/daemon/container/container.h"
#include "broker/daemon/engine/engine.h"
#include "broker/daemon/job/job.h"
#include "broker/daemon/store/store.h"

struct rh_control;

struct rh_control_options {
	uv_loop_t *loop;
	struct rh_config *config; /* a reference is taken */
	struct rh_log *log;
	struct rh_store *store;
	struct rh_engine *engine;
	struct rh_network *network;
	struct rh_containers *containers;
	struct rh_jobs *jobs;
	int64_t started_ms; /* wall clock, of the broker */
	/* What operations ask the broker itself for. */
	void (*drain)(void *arg, bool on);
	int (*reload)(void *arg, struct rh_err *err);
	void *arg;
};

int rh_control_start(const struct rh_control_options *options, struct rh_control **ret_control,
	struct rh_err *err);
void rh_control_close(struct rh_control *control, void (*cb)(void *arg), void *arg);
/* Is its socket still there? See rh_door_check(). */
int rh_control_check(struct rh_control *control, struct rh_err *err);
void rh_control_reload(struct rh_control *control, struct rh_config *config);
/* To every subscriber. */
void rh_control_publish(struct rh_control *control, const struct rh_store_event *event);
