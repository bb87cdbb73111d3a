/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Containers: their life, the warm pool, the link to each one's agent.
 *
 *   creating ──▶ warm ──▶ leased ──▶ stopping ──▶ removed
 *      │           │         │           ▲
 *      └───────────┴─────────┴── failed ─┘
 *
 * One function moves, checks the table, stores the change and only then acts on it. A container is
 * leased at most once in its life; the agent says so itself, whatever the store says. A container
 * that was stopped or restarted is never leased.
 *
 * Each has a 128-bit instance id, a directory <state_dir>/containers/<instance>/ with socket/ (bind
 * mounted at RH_AGENT_SOCKET_DIR) and the overlay's upper, and the engine labels runnerhub.managed,
 * runnerhub.profile, runnerhub.instance, runnerhub.hub (which broker's state directory it belongs
 * to).
 *
 * Whoever was handed a container (by acquire, or by saying "wanted" at adoption) owns it until it
 * calls rh_container_discard(): also after on_lost and after a failed lease, when it is being
 * removed already. Until then the pointer stays valid; with discard it is given back, and only the
 * callback tells more.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "broker/daemon/config/config.h"
#include "broker/daemon/engine/engine.h"
#include "broker/daemon/log/log.h"
#include "broker/daemon/mount/mount.h"
#include "broker/daemon/network/network.h"
#include "broker/daemon/store/store.h"
#include "runnerhub/id.h"
#include "runnerhub/wire.h"

enum rh_container_state {
	RH_CONTAINER_CREATING,
	RH_CONTAINER_WARM,
	RH_CONTAINER_LEASED,
	RH_CONTAINER_STOPPING,
	RH_CONTAINER_REMOVED,
	RH_CONTAINER_FAILED,
};
const char *rh_container_state_name(enum rh_container_state state);

struct rh_containers;
struct rh_container;
struct rh_container_request;

struct rh_containers_options {
	uv_loop_t *loop;
	struct rh_config *config; /* a reference is taken */
	struct rh_engine *engine;
	struct rh_mounter *mounter;
	struct rh_network *network; /* NULL: without rules, for tests */
	struct rh_store *store;
	struct rh_log *log;
	/* A leased container's events, for its job. */
	void (*on_step_ended)(void *arg, struct rh_container *container,
		const struct rh_wire_step_report *report);
	/* It died or its agent misbehaved: @reason is for people. It is being removed. */
	void (*on_lost)(void *arg, struct rh_container *container, const char *reason);
	/* What its job tried on the network, as rh_network's on_flow says it; until it is removed,
	 * so perhaps when its owner has left it. May be NULL. */
	void (*on_flow)(
		void *arg, struct rh_container *container, const char *kind, const char *text);
	void *arg;
};

/**
 * rh_containers_label_filter() - the labels of this broker's own containers, for the engine
 * Return: 0; -ENAMETOOLONG.
 */
int rh_containers_label_filter(const struct rh_config *config, char *buf, size_t size);

int rh_containers_start(const struct rh_containers_options *options, struct rh_containers **ret);
/* Leaves leased containers running (for the next broker); removes warm ones if @remove_warm. */
void rh_containers_close(
	struct rh_containers *all, bool remove_warm, void (*cb)(void *arg), void *arg);
void rh_containers_reload(struct rh_containers *all, struct rh_config *config);
/* The network's callbacks are handed here by its owner. */
void rh_containers_on_network_state(struct rh_containers *all);
void rh_containers_on_flow(
	struct rh_containers *all, const char *instance, const char *kind, const char *text);
/* The engine's events are handed here by its owner. */
void rh_containers_on_engine(struct rh_containers *all, const struct rh_engine_event *event);

/**
 * rh_containers_adopt() - take over what a previous broker left
 * @open: from the store
 * @cb:   when every container that the engine lists is adopted or being removed
 *
 * Each agent is asked; a leased one is kept if @wanted (job id) says that its job lives, a fresh
 * one goes to the pool, the rest is removed. The agent's word wins over the store's.
 */
int rh_containers_adopt(struct rh_containers *all, const struct rh_store_open *open,
	bool (*wanted)(void *arg, const struct rh_id *job, struct rh_container *container),
	void (*cb)(void *arg, int r), void *arg);

/**
 * rh_containers_acquire() - take a warm container out of the pool, or wait for a new one
 * @cb: once: container, or NULL with @r and @err (engine down, image missing, full, …); @cold if
 * none was warm. The container is reserved for the caller, who must lease or discard it.
 *
 * An announced container of the same runner (see announce) is preferred while it is still creating.
 */
typedef void (*rh_container_acquired_fn)(
	void *arg, int r, struct rh_container *container, bool cold, const struct rh_err *err);
int rh_containers_acquire(struct rh_containers *all, const struct rh_profile *profile,
	const char *runner, rh_container_acquired_fn cb, void *arg,
	struct rh_container_request **ret_request);
/* The caller no longer wants it; its callback will not be called. Not after the callback. */
void rh_container_request_cancel(struct rh_container_request *request);

/* A job is coming to this runner: make sure a container will be there. One pending per runner. */
void rh_containers_announce(
	struct rh_containers *all, const struct rh_profile *profile, const char *runner);
/* Refill now; called after a lease was answered, so that refilling does not slow it. */
void rh_containers_refill(struct rh_containers *all);
/* Can this kernel show a job its directories as another user's? If not, it has its runner's ids. */
bool rh_containers_map_ids(const struct rh_containers *all);
/* Stop filling pools (drain). */
void rh_containers_drain(struct rh_containers *all);

/**
 * rh_container_lease() - late mounts, then the agent's lease
 * @attach: container_pid and state_dir are filled in here
 * @cb:     once; on failure the container is being removed already
 */
typedef void (*rh_container_leased_fn)(
	void *arg, int r, const struct rh_mount_result *result, const struct rh_err *err);
int rh_container_lease(struct rh_container *container, const struct rh_id *job,
	const struct rh_mount_attach *attach, rh_container_leased_fn cb, void *arg);

/**
 * rh_container_step() - pass a step to the agent
 * @fds: block, stdin, stdout, stderr, channel; borrowed (duplicated if they must wait)
 *
 * Waits (bounded) while the link to the agent is being re-made.
 * Return: 0; -ENOTCONN, -ENOBUFS; negative errno.
 */
int rh_container_step(struct rh_container *container, uint64_t step, const int fds[5]);

/* Takes in what the agent has said already: before a container is given back, so that no report of
 * its steps is lost. May call on_step_ended and on_lost. */
void rh_container_hear(struct rh_container *container);
/* The step's report is stored: the agent may forget it. Reports come again until then. */
void rh_container_step_ack(struct rh_container *container, uint64_t step);

/* Ends one running step; @why is the last line of its log. */
void rh_container_step_kill(struct rh_container *container, uint64_t step, const char *why);
/* Its directory on the host, with the tool cache's changes. */
const char *rh_container_dir(const struct rh_container *container);

/* Kill and remove. Safe in any state; may be called twice in one go. @cb (may be NULL) when it is
 * gone. */
void rh_container_discard(
	struct rh_container *container, const char *reason, void (*cb)(void *arg), void *arg);

const struct rh_id *rh_container_instance(const struct rh_container *container);
const struct rh_id *rh_container_job(const struct rh_container *container);
enum rh_container_state rh_container_state(const struct rh_container *container);
/* What it was made from, and the configuration that this is part of. */
const struct rh_profile *rh_container_profile(const struct rh_container *container);
struct rh_config *rh_container_config(const struct rh_container *container);
const char *rh_container_name(const struct rh_container *container); /* as the engine shows it */
pid_t rh_container_pid(const struct rh_container *container);
/* What the rules of its network are put into force with, as network.firewall has it; "": it is on
 * no network of ours, or that is not known. */
const char *rh_container_firewall(const struct rh_container *container);
uint64_t rh_container_last_step(const struct rh_container *container); /* as the agent said */
/* The owner's pointer (its job). */
void rh_container_set_owner(struct rh_container *container, void *owner);
void *rh_container_owner(const struct rh_container *container);

struct rh_pool_view {
	const char *profile;
	uint32_t want_warm, n_creating, n_warm, n_leased, n_stopping, max;
	const char *problem; /* why it is empty, for people; NULL: none */
};
/* One per profile; @fn is called for each. */
void rh_containers_pools(struct rh_containers *all,
	void (*fn)(void *arg, const struct rh_pool_view *view), void *arg);
void rh_containers_each(struct rh_containers *all,
	void (*fn)(void *arg, const struct rh_container *container), void *arg);
