/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A container's creation: record and directory at once, create, start, and the agent's first word.
 *
 * Nothing is done one after the other that need not be: while the engine still starts it, the
 * agent's socket is already tried each millisecond. The agent's word makes it warm; whether the
 * engine has answered by then does not matter.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/container/container_private.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"

static void failed(struct rh_container *container, int r, const struct rh_err *err)
{
	struct rh_containers *all = container->all;
	bool passing = false;

	if (container->state != RH_CONTAINER_CREATING || container->dying)
		return;
	if (r == -ENOENT && container->create_refused &&
		rh_containers_image_missing(all, container->pool)) {
		rh_container_end(container, err->text, true);
		return;
	}
	/*
	 * The engine has noted what the host refuses: the next one is made without it. A network
	 * that somebody removed is made anew. Those that were begun before fail likewise, and there
	 * are not more of them than slots.
	 */
	passing = r == -ERANGE ||
		(r == -ENOENT && rh_containers_network_missing(all, container->pool, err->text));
	if (!passing || ++container->pool->n_refused > all->config->engine_parallel)
		rh_containers_pool_failed(all, container->pool, r, err);
	rh_container_end(container, err->text, true);
	rh_containers_fill(all);
}

static void failed_errno(struct rh_container *container, const char *what, int r)
{
	struct rh_err err = {0};

	(void)rh_err_set(&err, r, "%s: %s", what, strerror(-r));
	failed(container, r, &err);
}

static void on_started(void *arg, int r, const struct rh_err *err)
{
	struct rh_container *container = arg;

	if (!container->detached && container->state == RH_CONTAINER_CREATING) {
		if (r < 0)
			failed(container, r, err);
		else
			rh_link_extend(&container->link);
	}
	rh_container_unref(container);
}

static void start(struct rh_container *container)
{
	struct rh_containers *all = container->all;
	int r = rh_link_start(&container->link, all->config->agent_timeout_ms, true);

	if (r < 0) {
		failed_errno(container, "the link to its agent", r);
		return;
	}
	/* A start may take as long as the engine may: the agent's time begins behind it. */
	container->link.deadline_ms += (int64_t)all->config->engine_timeout_ms;
	r = rh_engine_start_container(
		all->options.engine, container->engine_id, on_started, rh_container_ref(container));
	if (r < 0) {
		rh_container_unref(container);
		failed_errno(container, "start", r);
	}
}

static void on_created(void *arg, int r, const char *id, const struct rh_err *err)
{
	struct rh_container *container = arg;

	container->create_in_flight = false;
	container->create_refused = r < 0;
	if (r == 0)
		memcpy(container->engine_id, id, sizeof(container->engine_id));
	if (container->detached) {
		rh_container_unref(container);
		return;
	}
	container->created_at_list = container->all->n_lists;
	if (container->state != RH_CONTAINER_CREATING)
		rh_container_removal_go_on(container);
	else if (r < 0)
		failed(container, r, err);
	else
		start(container);
	rh_container_unref(container);
}

static void prepared(struct rh_container *container)
{
	int r = 0;

	if (--container->n_to_create > 0 || container->detached)
		return;
	if (container->state != RH_CONTAINER_CREATING) {
		rh_container_removal_go_on(container);
		return;
	}
	container->create_in_flight = true;
	container->asked = true;
	r = rh_container_spec_create(container, on_created, rh_container_ref(container));
	if (r < 0) {
		container->create_in_flight = false;
		container->asked = false;
		rh_container_unref(container);
		failed_errno(container, "create", r);
	}
}

static void on_dir_made(
	void *arg, int r, const struct rh_mount_result *result, const struct rh_err *err)
{
	struct rh_container *container = arg;

	if (r < 0 && !container->detached)
		failed(container, r, err);
	prepared(container);
	rh_container_unref(container);
}

int rh_container_begin(struct rh_containers *all, struct rh_container_pool *pool)
{
	struct rh_container *container = NULL;
	int r = rh_container_new(all, pool, NULL, &container);

	if (r < 0)
		return rh_trace(r);
	container->n_to_create = 2;
	rh_container_save(container, prepared);
	r = rh_mounter_make_dir(all->options.mounter, all->parent_dir, container->instance_text,
		on_dir_made, rh_container_ref(container));
	if (r < 0) {
		container->n_to_create--;
		rh_container_unref(container);
		rh_container_end(container, "its directory could not be made", true);
	}
	return rh_trace(r);
}

static void on_warm_stored(struct rh_container *container)
{
	rh_container_offer(container);
	/* Its job asks for a refill once it has its lease. */
	if (container->custody != RH_CUSTODY_REQUEST)
		rh_containers_fill(container->all);
}

/* Its network rules are in force, or it goes. */
static void on_admitted(struct rh_container *container, int r, const struct rh_err *err)
{
	struct rh_container_pool *pool = container->pool;

	if (container->state != RH_CONTAINER_CREATING)
		return;
	if (r < 0) {
		failed(container, r, err);
		return;
	}
	rh_pool_backoff_succeeded(&pool->backoff);
	pool->problem[0] = '\0';
	pool->n_refused = 0;
	container->coming = true;
	pool->n_coming++;
	rh_container_move(container, RH_CONTAINER_WARM, on_warm_stored);
}

static void agent_ready(struct rh_container *container, const struct rh_wire_state *state)
{
	int r = 0;

	if (state->flags & RH_WIRE_STATE_LEASED) {
		rh_container_lost(container, "its agent says that it was leased before");
		return;
	}
	r = rh_container_watch_init(container, container->link.pid);
	if (r == -ESRCH) {
		rh_container_init_ended(container);
		return;
	}
	if (r < 0) {
		rh_container_lost(container, "its first process cannot be watched");
		return;
	}
	rh_container_admit(container, on_admitted);
}

static void on_state(void *arg, const struct rh_wire_state *state)
{
	struct rh_container *container = arg;

	if (container->adopting)
		rh_container_adopt_state(container, state);
	else if (container->state == RH_CONTAINER_CREATING)
		agent_ready(container, state);
	else
		rh_container_lease_state(container, state);
}

static void on_link_lost(void *arg, const char *why)
{
	rh_container_agent_lost(arg, why);
}

static void on_hold(void *arg)
{
	rh_container_hold(arg);
}

static void on_release(void *arg)
{
	rh_container_release(arg);
}

const struct rh_link_events rh_container_link_events = {
	.on_state = on_state,
	.on_leased = rh_container_on_leased,
	.on_refused = rh_container_on_refused,
	.on_step_ended = rh_container_on_step_ended,
	.on_lost = on_link_lost,
	.on_hold = on_hold,
	.on_release = on_release,
};
