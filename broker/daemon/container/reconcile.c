/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the engine has against what the table has: when the engine comes (back), and now and then.
 *
 * What it lists and we do not know is taken over, which mostly means removed; what we know and it
 * does not list was removed by someone else. The isolated network is looked after at the same time.
 */

#include <errno.h>
#include <string.h>

#include "broker/daemon/container/container_private.h"
#include "runnerhub/clock.h"

#define LIST_EVERY_MS 60000
#define LIST_AGAIN_MS 500 /* the first, which removals wait for */

static void compare_listed(struct rh_containers *all, const struct rh_engine_container *listed)
{
	struct rh_container *container = rh_containers_find(all, listed->instance);

	if (!container) {
		if (!all->closing)
			rh_containers_adopt_listed(all, listed);
		return;
	}
	container->seen_in_list = all->n_lists;
	if (container->engine_id[0] == '\0') {
		memcpy(container->engine_id, listed->id, sizeof(container->engine_id));
		if (container->recorded)
			(void)snprintf(
				container->name, sizeof(container->name), "%s", listed->name);
	}
	if (container->removal != RH_REMOVAL_NONE || container->adopting || all->closing)
		return;
	if (strcmp(listed->state, "exited") == 0 || strcmp(listed->state, "dead") == 0) {
		container->died = true;
		rh_container_init_ended(container);
	} else if (strcmp(listed->state, "paused") == 0 && container->state == RH_CONTAINER_WARM) {
		rh_container_lost(container, "its container was paused");
	}
}

/* The engine had it before it was asked for this list, and does not have it any more. */
static bool is_missing(const struct rh_container *container)
{
	return container->removal == RH_REMOVAL_NONE && !container->dying && !container->adopting &&
		(container->engine_id[0] != '\0' || container->recorded) &&
		container->created_at_list < container->all->n_lists &&
		container->seen_in_list < container->all->n_lists;
}

static void find_missing(struct rh_containers *all)
{
	bool found = true;

	/* An owner that is told may end other containers: begin again after each. */
	while (found) {
		found = false;
		rh_list_for_each (at, &all->list) {
			struct rh_container *container =
				rh_list_entry(at, struct rh_container, node);

			if (!is_missing(container))
				continue;
			rh_container_lost(container, "its container was removed by someone else");
			found = true;
			break;
		}
	}
}

static void on_listed(void *arg, int r, const struct rh_engine_container *list, size_t n,
	const struct rh_err *err)
{
	struct rh_containers *all = arg;

	all->list_in_flight = false;
	if (r < 0 && r != -ECANCELED) {
		rh_log_warning(all->log, "containers not listed, trying again later",
			RH_STR("reason", err->text));
		if (!all->listed)
			all->next_list_ms = rh_now_ms() + LIST_AGAIN_MS;
	}
	if (r == 0 && !all->finished) {
		for (size_t i = 0; i < n; i++)
			compare_listed(all, &list[i]);
		all->listed = true;
		rh_containers_retry_removals(all);
	}
	if (r == 0 && !all->closing) {
		find_missing(all);
		rh_containers_adopt_settled(all, 0);
		rh_containers_fill(all);
	}
	rh_containers_unref(all);
}

void rh_containers_reconcile(struct rh_containers *all)
{
	struct rh_engine *engine = all->options.engine;

	all->next_list_ms = rh_now_ms() + LIST_EVERY_MS;
	rh_containers_adopt_waiting(all);
	rh_containers_ask_info(all);
	rh_containers_check_network(all);
	if (all->list_in_flight)
		return;
	all->list_in_flight = true;
	all->n_lists++;
	all->n_refs++;
	if (rh_engine_list(engine, on_listed, all) < 0) {
		all->list_in_flight = false;
		rh_containers_unref(all);
	}
}
