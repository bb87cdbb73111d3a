/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The pools: one for each profile, and the jobs that were announced to them.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/container/container_private.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"

#define ANNOUNCEMENTS_MAX 4096u /* one a runner: more than a host can have */

struct announcement {
	struct rh_list node;
	char *runner;
	int64_t until_ms;
};

static void drop_announcement(struct rh_container_pool *pool, struct announcement *announcement)
{
	rh_list_remove(&announcement->node);
	pool->n_announced--;
	free(announcement->runner);
	free(announcement);
}

void rh_container_pool_forget_runner(struct rh_container_pool *pool, const char *runner)
{
	rh_list_for_each (it, &pool->announcements) {
		struct announcement *announcement = rh_list_entry(it, struct announcement, node);

		if (strcmp(announcement->runner, runner) == 0)
			drop_announcement(pool, announcement);
	}
}

void rh_containers_tick_announcements(struct rh_containers *all, int64_t now_ms)
{
	rh_list_for_each (at, &all->pools) {
		struct rh_container_pool *pool = rh_list_entry(at, struct rh_container_pool, node);

		/* The oldest are first, and all are kept equally long. */
		while (!rh_list_is_empty(&pool->announcements)) {
			struct announcement *first =
				rh_list_first(&pool->announcements, struct announcement, node);

			if (first->until_ms > now_ms)
				break;
			drop_announcement(pool, first);
		}
	}
}

void rh_containers_announce(
	struct rh_containers *all, const struct rh_profile *profile, const char *runner)
{
	struct rh_container_pool *pool = rh_containers_pool_get(all, profile->name);
	struct announcement *announcement = NULL;

	if (!pool || !pool->profile || all->draining || all->closing)
		return;
	rh_list_for_each (at, &all->pools)
		rh_container_pool_forget_runner(
			rh_list_entry(at, struct rh_container_pool, node), runner);
	if (pool->n_announced == ANNOUNCEMENTS_MAX)
		return;
	announcement = calloc(1, sizeof(*announcement));
	if (!announcement)
		return;
	announcement->runner = strdup(runner);
	if (!announcement->runner) {
		free(announcement);
		return;
	}
	announcement->until_ms = rh_now_ms() + (int64_t)all->config->announce_keep_ms;
	rh_list_append(&pool->announcements, &announcement->node);
	pool->n_announced++;
	rh_pool_backoff_hurry(&pool->backoff, rh_now_ms());
	rh_containers_fill(all);
}

struct rh_container_pool *rh_containers_pool_get(struct rh_containers *all, const char *profile)
{
	struct rh_container_pool *pool = NULL;

	rh_list_for_each (at, &all->pools) {
		pool = rh_list_entry(at, struct rh_container_pool, node);
		if (strcmp(pool->name, profile) == 0)
			return pool;
	}
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	pool->name = strdup(profile);
	if (!pool->name) {
		free(pool);
		return NULL;
	}
	rh_list_init(&pool->idle);
	rh_list_init(&pool->waiting);
	rh_list_init(&pool->announcements);
	rh_list_append(&all->pools, &pool->node);
	all->n_pools++;
	return pool;
}

bool rh_container_is_stale(const struct rh_container *container)
{
	const struct rh_container_pool *pool = container->pool;

	return !pool->profile || strcmp(container->revision, pool->revision) != 0;
}

static void end_if_stale(struct rh_container *container)
{
	if (rh_container_is_stale(container))
		rh_container_end(container, "its profile was changed", false);
}

static void end_stale_idle(struct rh_container_pool *pool)
{
	rh_list_for_each (at, &pool->idle)
		end_if_stale(rh_list_entry(at, struct rh_container, idle_node));
}

/* Containers that no job has yet are of no use if they are not as their profile says now; those
 * that are being made are looked at when they are offered. */
static void end_stale(struct rh_containers *all)
{
	rh_list_for_each (at, &all->due) {
		struct rh_container_request *request =
			rh_list_entry(at, struct rh_container_request, node);

		if (request->container)
			end_if_stale(request->container); /* and it waits again */
	}
	rh_list_for_each (at, &all->pools)
		end_stale_idle(rh_list_entry(at, struct rh_container_pool, node));
	rh_list_for_each (at, &all->pools)
		rh_containers_fail_orphans(all, rh_list_entry(at, struct rh_container_pool, node));
}

int rh_containers_load_pools(struct rh_containers *all)
{
	const struct rh_config *config = all->config;

	rh_list_for_each (at, &all->pools) {
		struct rh_container_pool *pool = rh_list_entry(at, struct rh_container_pool, node);

		pool->profile = NULL;
		pool->revision[0] = '\0';
	}
	for (size_t i = 0; i < config->n_profiles; i++) {
		struct rh_container_pool *pool =
			rh_containers_pool_get(all, config->profiles[i].name);

		if (!pool)
			return rh_origin(-ENOMEM);
		pool->profile = &config->profiles[i];
		rh_container_revision(pool->profile, pool->revision);
		rh_pool_backoff_succeeded(&pool->backoff);
		pool->problem[0] = '\0';
		pool->pulled = false;
	}
	end_stale(all);
	return 0;
}

void rh_containers_free_pools(struct rh_containers *all)
{
	while (!rh_list_is_empty(&all->pools)) {
		struct rh_container_pool *pool =
			rh_list_first(&all->pools, struct rh_container_pool, node);

		for (struct rh_list *at = pool->announcements.next, *next = NULL;
			at != &pool->announcements; at = next) {
			next = at->next;
			drop_announcement(pool, rh_list_entry(at, struct announcement, node));
		}
		rh_list_remove(&pool->node);
		free(pool->name);
		free(pool);
	}
}

void rh_containers_pools(struct rh_containers *all,
	void (*fn)(void *arg, const struct rh_pool_view *view), void *arg)
{
	rh_list_for_each (at, &all->pools) {
		struct rh_container_pool *pool = rh_list_entry(at, struct rh_container_pool, node);
		const uint32_t *n = pool->n_by_state;
		struct rh_pool_view view = {
			.profile = pool->name,
			.want_warm = pool->profile ? pool->profile->warm : 0,
			.max = pool->profile ? pool->profile->max : 0,
			.n_creating = n[RH_CONTAINER_CREATING] + pool->n_coming,
			.n_warm = n[RH_CONTAINER_WARM] - pool->n_coming,
			.n_leased = n[RH_CONTAINER_LEASED],
			.n_stopping = n[RH_CONTAINER_STOPPING] + n[RH_CONTAINER_FAILED],
			.problem = pool->problem[0] ? pool->problem : NULL,
		};
		uint32_t n_all = view.n_creating + view.n_warm + view.n_leased + view.n_stopping;

		if (!rh_engine_is_up(all->options.engine))
			view.problem = rh_engine_problem(all->options.engine);
		if (pool->profile || n_all > 0)
			fn(arg, &view);
	}
}
