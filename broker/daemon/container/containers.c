/* SPDX-License-Identifier: Apache-2.0 */

/*
 * All containers: start, the regular tick, reload, close, and what others may see.
 *
 * Closing: requests are dropped; what is leased is let go as it is, for the next broker; what is
 * being made, and what is warm if so wished, is removed. When nothing is left, or the time is up,
 * the rest is let go too (its record says that it is stopping), the handles are closed, and the
 * caller is told when the last one is. Calls to the engine may still be under way then: what they
 * need lives until they end.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/daemon/container/container_private.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"

#define TICK_MS         500
#define CLOSE_WITHIN_MS 10000

static void finish(struct rh_containers *all);

void rh_containers_unref(struct rh_containers *all)
{
	if (--all->n_refs > 0)
		return;
	rh_containers_free_pools(all);
	rh_config_unref(all->config);
	free(all->parent_dir);
	free(all);
}

static void on_soon(uv_idle_t *idle)
{
	struct rh_containers *all = rh_list_entry(idle, struct rh_containers, soon);

	(void)uv_idle_stop(idle);
	all->n_refs++;
	rh_containers_answer_due(all);
	rh_containers_run_errands(all);
	rh_containers_check_closed(all);
	rh_containers_unref(all);
}

void rh_containers_wake(struct rh_containers *all)
{
	if (!all->finished)
		(void)uv_idle_start(&all->soon, on_soon);
}

static void on_tick(uv_timer_t *timer)
{
	struct rh_containers *all = rh_list_entry(timer, struct rh_containers, tick);
	int64_t now_ms = rh_now_ms();

	if (all->closing) {
		rh_containers_check_closed(all);
		return;
	}
	rh_containers_tick_adoption(all, now_ms);
	rh_containers_tick_announcements(all, now_ms);
	rh_containers_tick_requests(all, now_ms);
	if (now_ms >= all->next_list_ms && rh_engine_is_up(all->options.engine))
		rh_containers_reconcile(all);
	rh_containers_fill(all);
}

bool rh_containers_map_ids(const struct rh_containers *all)
{
	return !rh_mounter_uses_slots(all->options.mounter);
}

static int make_parent_dir(struct rh_containers *all)
{
	if (asprintf(&all->parent_dir, "%s/containers", all->config->state_dir) < 0) {
		all->parent_dir = NULL;
		return rh_origin(-ENOMEM);
	}
	if (mkdir(all->parent_dir, 0700) < 0 && errno != EEXIST)
		return rh_origin(-errno);
	return 0;
}

int rh_containers_start(const struct rh_containers_options *options, struct rh_containers **ret)
{
	struct rh_containers *all = calloc(1, sizeof(*all));
	int r = 0;

	if (!all)
		return rh_origin(-ENOMEM);
	all->n_refs = 1;
	all->options = *options;
	all->log = options->log;
	all->config = rh_config_ref(options->config);
	all->options.config = NULL; /* of which reload makes another */
	rh_list_init(&all->list);
	rh_list_init(&all->kept);
	rh_list_init(&all->pools);
	rh_list_init(&all->due);
	rh_list_init(&all->errands);
	rh_list_init(&all->removals);
	r = make_parent_dir(all);
	if (r == 0)
		r = rh_containers_load_pools(all);
	if (r == 0)
		r = uv_timer_init(options->loop, &all->tick);
	if (r < 0) {
		rh_containers_unref(all);
		return rh_trace(r);
	}
	(void)uv_idle_init(options->loop, &all->soon); /* always succeeds, as its manual says */
	all->n_handles = 2;
	(void)uv_timer_start(&all->tick, on_tick, TICK_MS, TICK_MS);
	*ret = all;
	return 0;
}

void rh_containers_reload(struct rh_containers *all, struct rh_config *config)
{
	struct rh_config *old = all->config;

	all->config = rh_config_ref(config);
	if (rh_containers_load_pools(all) < 0) {
		rh_log_error(all->log, "pools not reloaded: out of memory");
		rh_config_unref(all->config);
		all->config = old;
		(void)rh_containers_load_pools(all); /* they were there before */
		return;
	}
	rh_config_unref(old);
	/* A profile may be the first that wants the isolated network. */
	if (!all->network_ok && rh_engine_is_up(all->options.engine))
		rh_containers_reconcile(all);
	rh_containers_fill(all);
}

static void on_own_closed(uv_handle_t *handle)
{
	struct rh_containers *all = handle->data;

	all->n_handles--;
	rh_containers_check_closed(all);
}

/* Nothing more is waited for. */
static void finish(struct rh_containers *all)
{
	all->finished = true;
	while (!rh_list_is_empty(&all->list))
		rh_container_detach(rh_list_entry(all->list.next, struct rh_container, node));
	/* Their owners' pointers end here. */
	while (!rh_list_is_empty(&all->kept))
		rh_container_set_custody(
			rh_list_entry(all->kept.next, struct rh_container, node), RH_CUSTODY_NONE);
	rh_containers_run_errands(all);
	all->tick.data = all;
	all->soon.data = all;
	uv_close((uv_handle_t *)&all->tick, on_own_closed);
	uv_close((uv_handle_t *)&all->soon, on_own_closed);
}

static bool has_removals(const struct rh_containers *all)
{
	rh_list_for_each (at, &all->list) {
		if (rh_list_entry(at, struct rh_container, node)->removal != RH_REMOVAL_NONE)
			return true;
	}
	return false;
}

void rh_containers_check_closed(struct rh_containers *all)
{
	bool patient = rh_now_ms() < all->close_deadline_ms && rh_engine_is_up(all->options.engine);

	if (!all->closing)
		return;
	if (!all->finished) {
		if (!patient || !has_removals(all))
			finish(all);
		return;
	}
	if (all->n_handles == 0 && all->closed) {
		void (*closed)(void *arg) = all->closed;

		all->closed = NULL;
		closed(all->closed_arg);
		rh_containers_unref(all);
	}
}

void rh_containers_close(
	struct rh_containers *all, bool remove_warm, void (*cb)(void *arg), void *arg)
{
	if (all->closing)
		return;
	all->closing = true;
	all->closed = cb;
	all->closed_arg = arg;
	all->close_deadline_ms = rh_now_ms() + CLOSE_WITHIN_MS;
	all->adoption.cb = NULL;
	rh_containers_drop_requests(all);
	for (struct rh_list *at = all->list.next, *next = NULL; at != &all->list; at = next) {
		struct rh_container *container = rh_list_entry(at, struct rh_container, node);
		bool is_warm = container->state == RH_CONTAINER_WARM;

		next = at->next;
		if (container->state == RH_CONTAINER_CREATING || (is_warm && remove_warm))
			rh_container_end(container, "the broker ends", false);
	}
	rh_containers_wake(all);
}

const struct rh_id *rh_container_instance(const struct rh_container *container)
{
	return &container->instance;
}

const struct rh_id *rh_container_job(const struct rh_container *container)
{
	return &container->job;
}

enum rh_container_state rh_container_state(const struct rh_container *container)
{
	return container->state;
}

const struct rh_profile *rh_container_profile(const struct rh_container *container)
{
	return container->profile;
}

struct rh_config *rh_container_config(const struct rh_container *container)
{
	return container->config;
}

const char *rh_container_name(const struct rh_container *container)
{
	return container->name;
}

const char *rh_container_dir(const struct rh_container *container)
{
	return container->dir;
}

pid_t rh_container_pid(const struct rh_container *container)
{
	return container->pid;
}

uint64_t rh_container_last_step(const struct rh_container *container)
{
	return container->last_step;
}

void rh_container_set_owner(struct rh_container *container, void *owner)
{
	container->owner = owner;
}

void *rh_container_owner(const struct rh_container *container)
{
	return container->owner;
}

void rh_containers_each(struct rh_containers *all,
	void (*fn)(void *arg, const struct rh_container *container), void *arg)
{
	rh_list_for_each (at, &all->list)
		fn(arg, rh_list_entry(at, struct rh_container, node));
}
