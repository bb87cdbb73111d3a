/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Taking over what a previous broker left.
 *
 * What the store knows is asked at once, each by its agent's socket, while the engine still makes
 * its list; what only the list knows follows. The agent's word decides: leased by a job that lives
 * → kept; fresh, and known to be warm, and never stopped → to the pool; anything else is
 * removed. An agent that has ended refuses at once; one that is there and says nothing is given as
 * long as the engine is, since a loaded host may be slow and its job is to go on.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/container/container_private.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"

#define ENGINE_WAIT_MS 5000
#define AGENT_WAIT_MS  ENGINE_WAIT_MS

static void check_settled(struct rh_containers *all)
{
	void (*cb)(void *arg, int r) = all->adoption.cb;

	if (!cb || all->closing || all->adoption.n_unsettled > 0 || !all->adoption.listed)
		return;
	all->adoption.cb = NULL;
	rh_log_info(all->log, "containers adopted", RH_NUM("containers", all->n_containers));
	cb(all->adoption.arg, all->adoption.r);
	rh_containers_sweep_dirs(all);
	rh_containers_fill(all);
}

void rh_container_settle(struct rh_container *container)
{
	if (!container->adopting)
		return;
	container->adopting = false;
	container->all->adoption.n_unsettled--;
	check_settled(container->all);
}

void rh_containers_adopt_settled(struct rh_containers *all, int r)
{
	if (!all->adoption.cb || all->adoption.listed)
		return;
	all->adoption.listed = true;
	all->adoption.r = r;
	check_settled(all);
}

void rh_containers_tick_adoption(struct rh_containers *all, int64_t now_ms)
{
	if (!all->adoption.cb || all->adoption.listed || now_ms < all->adoption.deadline_ms)
		return;
	/* What the agents said holds; the engine's list is compared when it is back. */
	rh_log_warning(all->log, "engine does not list containers, going on without");
	rh_containers_adopt_waiting(all);
	rh_containers_adopt_settled(all, -ENOTCONN);
}

/* One that the network's rules do not know reaches nothing, but its job goes on. */
static void on_leased_admitted(struct rh_container *container, int r, const struct rh_err *err)
{
	if (r < 0)
		rh_log_error(container->all->log, "an adopted container is without network",
			RH_STR("container", container->instance_text), RH_STR("reason", err->text));
}

/* Its owner takes it or does not; then it is kept or goes. */
static void adopt_leased(struct rh_container *container, const struct rh_wire_state *state)
{
	struct rh_containers *all = container->all;
	bool was_stored = container->state == RH_CONTAINER_LEASED &&
		rh_id_equal(&container->job, &state->job);

	container->job = state->job;
	container->last_step = state->last_step;
	rh_container_set_state(container, RH_CONTAINER_LEASED);
	rh_container_set_custody(container, RH_CUSTODY_OWNER);
	if (!was_stored)
		rh_container_save(container, NULL);
	if (all->adoption.wanted &&
		all->adoption.wanted(all->adoption.arg, &container->job, container)) {
		rh_container_admit(container, on_leased_admitted);
		rh_container_settle(container);
		return;
	}
	rh_container_set_custody(container, RH_CUSTODY_NONE);
	rh_container_end(container, "its job is over", false);
}

static void on_fresh_admitted(struct rh_container *container, int r, const struct rh_err *err)
{
	if (r < 0)
		rh_container_end(container, err->text, false);
	else
		rh_container_offer(container);
	rh_container_settle(container);
}

static void on_fresh_inspected(void *arg, int r, const struct rh_engine_container *list, size_t n,
	const struct rh_err *err)
{
	struct rh_container *container = arg;
	const char *why = NULL;

	if (r < 0 || n == 0 || strcmp(list->instance, container->instance_text) != 0)
		why = "the container engine does not know it";
	else if (strcmp(list->state, "running") != 0)
		why = "it does not run";
	else if (list->restart_count > 0 || list->finished_ms > 0)
		why = "it was restarted";
	else if (!container->pool->profile ||
		strcmp(list->revision, container->pool->revision) != 0)
		why = "its profile was changed";
	if (!container->detached && container->removal == RH_REMOVAL_NONE && !container->dying) {
		if (r == 0 && n > 0)
			memcpy(container->engine_id, list->id, sizeof(container->engine_id));
		if (why)
			rh_container_end(container, why, false);
		else
			rh_container_admit(container, on_fresh_admitted);
	}
	rh_container_unref(container);
}

static void inspect_fresh(struct rh_container *container)
{
	const char *id = container->engine_id[0] ? container->engine_id : container->name;

	if (rh_engine_inspect(container->all->options.engine, id, on_fresh_inspected,
		    rh_container_ref(container)) < 0) {
		rh_container_unref(container);
		rh_container_end(container, "the container engine cannot be asked", false);
	}
}

/* Agents answer before the engine does: until then, what is fresh waits. */
static void adopt_fresh(struct rh_container *container)
{
	/* Leased by the record and fresh by its agent: the lease was cut short. */
	if (container->state != RH_CONTAINER_WARM)
		rh_container_end(container, "it was left unfinished", false);
	else if (rh_engine_is_up(container->all->options.engine))
		inspect_fresh(container);
	else
		container->fresh = true;
}

static struct rh_container *next_fresh(struct rh_containers *all)
{
	rh_list_for_each (at, &all->list) {
		struct rh_container *container = rh_list_entry(at, struct rh_container, node);

		if (container->fresh)
			return container;
	}
	return NULL;
}

void rh_containers_adopt_waiting(struct rh_containers *all)
{
	struct rh_container *container = NULL;

	/* One that ends may take others with it: begin again after each. */
	while ((container = next_fresh(all))) {
		container->fresh = false;
		if (container->adopting && container->removal == RH_REMOVAL_NONE &&
			!container->dying)
			inspect_fresh(container);
	}
}

void rh_container_adopt_state(struct rh_container *container, const struct rh_wire_state *state)
{
	if (rh_container_watch_init(container, container->link.pid) < 0)
		rh_container_end(container, "it ended", false);
	else if (state->flags & RH_WIRE_STATE_LEASED)
		adopt_leased(container, state);
	else
		adopt_fresh(container);
	container->link.patience_ms = container->all->config->agent_timeout_ms;
}

static void ask_agent(struct rh_container *container)
{
	container->adopting = true;
	container->all->adoption.n_unsettled++;
	container->link.once = true;
	if (rh_link_start(&container->link, AGENT_WAIT_MS, false) < 0)
		rh_container_end(container, "its agent cannot be asked", false);
}

void rh_containers_adopt_listed(struct rh_containers *all, const struct rh_engine_container *listed)
{
	struct rh_container_pool *pool =
		rh_containers_pool_get(all, listed->profile[0] ? listed->profile : "unknown");
	struct rh_container *container = NULL;
	struct rh_id instance = {0};

	/* Without an instance it has our label and nothing else of ours. */
	if (rh_id_parse(listed->instance, &instance) < 0) {
		(void)rh_engine_remove(all->options.engine, listed->id, NULL, NULL);
		return;
	}
	if (!pool || rh_container_new(all, pool, &instance, &container) < 0)
		return; /* the next list shows it again */
	memcpy(container->engine_id, listed->id, sizeof(container->engine_id));
	(void)snprintf(container->name, sizeof(container->name), "%s", listed->name);
	container->created_ms = listed->created_ms;
	container->asked = true;
	container->seen_in_list = all->n_lists;
	/* Once the jobs are known, a container that is not is nobody's. */
	if (all->adoption.cb && strcmp(listed->state, "running") == 0)
		ask_agent(container);
	else
		rh_container_end(container, "no broker knows it", false);
}

static enum rh_container_state parse_state(const char *name)
{
	for (int state = 0; state < RH_CONTAINER_N_STATES; state++) {
		if (name && strcmp(name, rh_container_state_name(state)) == 0)
			return state;
	}
	return RH_CONTAINER_CREATING;
}

static void adopt_record(struct rh_containers *all, const struct rh_store_container *record)
{
	struct rh_container_pool *pool = rh_containers_pool_get(
		all, record->profile && record->profile[0] ? record->profile : "unknown");
	struct rh_container *container = NULL;
	char text[RH_ID_TEXT_SIZE];
	enum rh_container_state state = parse_state(record->state);

	rh_id_format(&record->instance, text);
	if (state == RH_CONTAINER_REMOVED || rh_containers_find(all, text) || !pool ||
		rh_container_new(all, pool, &record->instance, &container) < 0)
		return;
	container->asked = true;
	container->recorded = true;
	container->job = record->job;
	container->created_ms = record->created_ms;
	rh_container_set_state(container, state);
	if (state == RH_CONTAINER_STOPPING || state == RH_CONTAINER_FAILED)
		rh_container_end(container, record->reason ? record->reason : "", false);
	else
		ask_agent(container);
}

int rh_containers_adopt(struct rh_containers *all, const struct rh_store_open *open,
	bool (*wanted)(void *arg, const struct rh_id *job, struct rh_container *container),
	void (*cb)(void *arg, int r), void *arg)
{
	if (all->adoption.cb || all->closing)
		return rh_origin(-EBUSY);
	all->adoption = (struct rh_containers_adoption){
		.wanted = wanted,
		.cb = cb,
		.arg = arg,
		.n_unsettled = 1, /* this call: nothing is told before it returns */
		.deadline_ms = rh_now_ms() + ENGINE_WAIT_MS,
	};
	for (size_t i = 0; open && i < open->n_containers; i++)
		adopt_record(all, &open->containers[i]);
	all->adoption.n_unsettled--;
	if (rh_engine_is_up(all->options.engine))
		rh_containers_reconcile(all);
	return 0;
}
