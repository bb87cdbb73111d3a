/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The state of a container: the table of allowed moves, the one function that moves, and the store.
 *
 *   creating ──▶ warm ──▶ leased ──▶ stopping ──▶ removed
 *      │           │         │           ▲
 *      └───────────┴─────────┴── failed ─┘
 *
 * creating waits for store, directory, engine and agent (agent_timeout); warm for a job; leased for
 * its job's end or its own death; stopping for engine and directory (tried for ever, with
 * back-off); failed goes on to stopping at once.
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/container/container_private.h"
#include "runnerhub/clock.h"

#define BIT(state) (1u << (state))

static const struct {
	const char *name;
	unsigned next;
} states[RH_CONTAINER_N_STATES] = {
	[RH_CONTAINER_CREATING] = {"creating",
		BIT(RH_CONTAINER_WARM) | BIT(RH_CONTAINER_STOPPING) | BIT(RH_CONTAINER_FAILED)},
	[RH_CONTAINER_WARM] = {"warm",
		BIT(RH_CONTAINER_LEASED) | BIT(RH_CONTAINER_STOPPING) | BIT(RH_CONTAINER_FAILED)},
	[RH_CONTAINER_LEASED] = {"leased", BIT(RH_CONTAINER_STOPPING) | BIT(RH_CONTAINER_FAILED)},
	[RH_CONTAINER_STOPPING] = {"stopping", BIT(RH_CONTAINER_REMOVED)},
	[RH_CONTAINER_REMOVED] = {"removed", 0},
	[RH_CONTAINER_FAILED] = {"failed", BIT(RH_CONTAINER_STOPPING)},
};

struct saving {
	struct rh_container *container;
	void (*then)(struct rh_container *container);
};

struct errand {
	struct rh_list node;
	struct rh_container *container;
	void (*fn)(struct rh_container *container);
	bool detached; /* run it even then */
};

const char *rh_container_state_name(enum rh_container_state state)
{
	return (unsigned)state < RH_CONTAINER_N_STATES ? states[state].name : "unknown";
}

void rh_container_set_state(struct rh_container *container, enum rh_container_state state)
{
	container->pool->n_by_state[container->state]--;
	container->pool->n_by_state[state]++;
	container->state = state;
}

void rh_container_move(struct rh_container *container, enum rh_container_state state,
	void (*then)(struct rh_container *container))
{
	assert(states[container->state].next & BIT(state));
	/* Only what is warm and handed out is ever leased. */
	assert(state != RH_CONTAINER_LEASED || container->custody == RH_CUSTODY_OWNER);

	rh_log_debug(container->all->log, "container moves",
		RH_STR("container", container->instance_text),
		RH_STR("from", rh_container_state_name(container->state)),
		RH_STR("to", rh_container_state_name(state)), RH_STR("reason", container->reason));
	rh_container_set_state(container, state);
	rh_container_save(container, then);
}

static void on_saved(void *arg, int r)
{
	struct saving *saving = arg;
	struct rh_container *container = saving->container;

	/* The agent's word and the engine's label tell the same; the broker goes on. */
	if (r < 0 && r != -ECANCELED)
		rh_log_warning(container->all->log, "container's state not stored, going on",
			RH_STR("container", container->instance_text), RH_ERRNO(r));
	if (saving->then && !container->detached)
		saving->then(container);
	free(saving);
	rh_container_unref(container);
}

void rh_container_save(struct rh_container *container, void (*then)(struct rh_container *container))
{
	struct rh_store_container record = {
		.instance = container->instance,
		.engine_id = container->engine_id,
		.profile = container->profile->name,
		.image = container->profile->image ? container->profile->image : "",
		.state = rh_container_state_name(container->state),
		.reason = container->reason,
		.job = container->job,
		.created_ms = container->created_ms,
		.changed_ms = rh_wall_ms(),
	};
	struct saving *saving = malloc(sizeof(*saving));
	int r = -ENOMEM;

	if (saving) {
		*saving = (struct saving){.container = rh_container_ref(container), .then = then};
		r = rh_store_put_container(
			container->all->options.store, &record, on_saved, saving);
	}
	if (r == 0)
		return;
	rh_log_warning(container->all->log, "container's state not stored, going on",
		RH_STR("container", container->instance_text), RH_ERRNO(r));
	if (saving)
		rh_container_unref(container);
	free(saving);
	if (then)
		rh_container_soon(container, then, false);
}

void rh_container_soon(
	struct rh_container *container, void (*fn)(struct rh_container *container), bool detached)
{
	struct rh_containers *all = container->all;
	struct errand *errand = all->finished ? NULL : malloc(sizeof(*errand));

	if (!errand) {
		/* Out of memory, or nobody is left who could be surprised. */
		if (detached || !container->detached)
			fn(container);
		return;
	}
	*errand = (struct errand){
		.container = rh_container_ref(container), .fn = fn, .detached = detached};
	rh_list_append(&all->errands, &errand->node);
	all->n_errands++;
	rh_containers_wake(all);
}

void rh_containers_run_errands(struct rh_containers *all)
{
	/* Those that come meanwhile wait for the next turn. */
	for (unsigned n = all->n_errands; n > 0; n--) {
		struct errand *errand = rh_list_entry(all->errands.next, struct errand, node);

		rh_list_remove(&errand->node);
		all->n_errands--;
		if (errand->detached || !errand->container->detached)
			errand->fn(errand->container);
		rh_container_unref(errand->container);
		free(errand);
	}
}
