/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The broker: everything hangs off this structure.
 *
 *   starting ──▶ adopting ──▶ serving ──▶ draining ──▶ stopping ──▶ stopped
 *
 * starting: configuration, helpers, store, loop. adopting: what an earlier broker left is asked and
 * taken over; hooks that connect meanwhile are served, since a job's start needs no adoption.
 * draining (SIGTERM, SIGINT): no new jobs, until the last has ended or the deadline passed, or a
 * second signal comes. stopping: handles closed from the top down, the store last.
 */

#include <stdbool.h>
#include <uv.h>

#include "broker/daemon/config/config.h"
#include "broker/daemon/container/container.h"
#include "broker/daemon/control/control.h"
#include "broker/daemon/engine/engine.h"
#include "broker/daemon/ipc/peer.h"
#include "broker/daemon/job/job.h"
#include "broker/daemon/log/log.h"
#include "broker/daemon/mount/mount.h"
#include "broker/daemon/network/network.h"
#include "broker/daemon/store/store.h"

enum rh_broker_state {
	RH_BROKER_STARTING,
	RH_BROKER_ADOPTING, /* ends when every agent was asked or did not answer in time */
	RH_BROKER_SERVING,
	RH_BROKER_DRAINING, /* ends with the last job, timeouts.drain or a second signal */
	RH_BROKER_STOPPING, /* ends with the last close callback */
};

struct rh_broker {
	enum rh_broker_state state;
	uv_loop_t loop;
	struct rh_config *config;
	struct rh_log *log;
	struct rh_store *store;
	struct rh_store_open *open; /* until adopted */
	struct rh_engine *engine;
	struct rh_mounter *mounter;
	struct rh_network *network;
	struct rh_containers *containers;
	struct rh_jobs *jobs;
	struct rh_peer_server *peers;
	struct rh_control *control;
	uv_signal_t on_term, on_int, on_hup;
	uv_timer_t drain_timer;
	uv_timer_t retain_timer;
	uv_timer_t doors_timer;
	int lock_fd; /* one broker a state directory */
	int64_t started_ms;
	bool reloading;
	bool doors_fail; /* said already */
};

/**
 * rh_broker_run() - serve until told to stop
 * @config:  a reference is taken
 * @mounter: forked before, owned by the broker from here on
 *
 * Return: 0; negative errno with @err if it could not start.
 */
int rh_broker_run(struct rh_config *config, struct rh_mounter *mounter, struct rh_err *err);
