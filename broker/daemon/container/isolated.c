/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The isolated network: its bridge, its rules, and each container's part in them.
 *
 * No container of an isolated profile is made before the rules are in force, none becomes warm
 * before its own are, and none is handed out while they are not known to be.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/config/strv.h"
#include "broker/daemon/container/container_private.h"
#include "runnerhub/clock.h"
#include "runnerhub/weaken.h"

#define NETWORK_RETRY_MS 1000
#define RESOLVERS_MAX    256

static bool is_isolated(const struct rh_profile *profile)
{
	return profile && profile->network && strcmp(profile->network, "isolated") == 0;
}

const char *rh_containers_network_problem(
	const struct rh_containers *all, const struct rh_container_pool *pool)
{
	if (!is_isolated(pool->profile))
		return NULL;
	if (all->options.network && rh_network_problem(all->options.network))
		return rh_network_problem(all->options.network);
	return all->network_ok ? NULL : "the network is not known to be isolated yet";
}

const char *rh_container_firewall(const struct rh_container *container)
{
	const struct rh_network *network = container->all->options.network;

	return network && is_isolated(container->profile) ? rh_network_firewall(network) : "";
}

static void network_failed(struct rh_containers *all, int r, const struct rh_err *err)
{
	all->network_ok = false;
	all->next_list_ms = rh_now_ms() + NETWORK_RETRY_MS;
	if (r == -ECANCELED || all->closing)
		return;
	rh_list_for_each (at, &all->pools) {
		struct rh_container_pool *pool = rh_list_entry(at, struct rh_container_pool, node);

		if (is_isolated(pool->profile))
			rh_containers_pool_failed(all, pool, r, err);
	}
}

static void network_works(struct rh_containers *all)
{
	all->network_ok = true;
	if (all->closing)
		return;
	rh_containers_serve_waiting(all);
	rh_containers_fill(all);
}

static void on_configured(void *arg, int r, const struct rh_err *err)
{
	struct rh_containers *all = arg;

	if (r < 0)
		network_failed(all, r, err);
	else
		network_works(all);
	rh_containers_unref(all);
}

/* Resolvers that profiles name may be reached. */
static void configure(struct rh_containers *all, const struct rh_engine_network *network)
{
	const char *resolvers[RESOLVERS_MAX + 1] = {0};
	struct rh_err err = {0};
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < all->config->n_profiles; i++) {
		for (char **at = all->config->profiles[i].dns; at && *at && n < RESOLVERS_MAX; at++)
			resolvers[n++] = *at;
	}
	all->n_refs++;
	r = rh_network_configure(
		all->options.network, network->bridge, resolvers, on_configured, all);
	if (r < 0) {
		(void)rh_err_set(&err, r, "the network's rules: %s", strerror(-r));
		on_configured(all, r, &err);
	}
}

static void on_network(
	void *arg, int r, const struct rh_engine_network *network, const struct rh_err *err)
{
	struct rh_containers *all = arg;

	all->network_in_flight = false;
	if (r == 0)
		(void)snprintf(all->network_id, sizeof(all->network_id), "%s", network->id);
	if (r < 0)
		network_failed(all, r, err);
	else if (all->options.network && !all->closing)
		configure(all, network);
	else
		network_works(all);
	rh_containers_unref(all);
}

void rh_containers_check_network(struct rh_containers *all)
{
	const struct rh_config *config = all->config;
	const struct rh_engine_network_spec spec = {
		.name = config->network_name,
		.id = all->network_id,
		.hub = config->state_dir,
		.ip6 = strcmp(config->network_ip6, "none") == 0 ? NULL : config->network_ip6,
		.open = rh_weakened("network-neighbour"),
	};
	bool wanted = false;

	for (size_t i = 0; i < config->n_profiles; i++)
		wanted = wanted || is_isolated(&config->profiles[i]);
	if (!wanted || all->network_in_flight)
		return;
	all->network_in_flight = true;
	all->n_refs++;
	if (rh_engine_network(all->options.engine, &spec, on_network, all) < 0) {
		all->network_in_flight = false;
		all->next_list_ms = rh_now_ms() + NETWORK_RETRY_MS;
		rh_containers_unref(all);
	}
}

bool rh_containers_network_missing(
	struct rh_containers *all, const struct rh_container_pool *pool, const char *said)
{
	if (!is_isolated(pool->profile) || all->closing || !strstr(said, "network"))
		return false;
	all->network_ok = false;
	rh_containers_check_network(all);
	return true;
}

void rh_containers_on_network_state(struct rh_containers *all)
{
	if (all->closing)
		return;
	if (!rh_network_problem(all->options.network) && all->network_ok)
		network_works(all);
	else
		all->next_list_ms = rh_now_ms() + NETWORK_RETRY_MS;
}

void rh_containers_on_flow(
	struct rh_containers *all, const char *instance, const char *kind, const char *text)
{
	struct rh_container *container = rh_containers_find(all, instance);

	/* The last of it may be told when its job has ended already. */
	if (container && !rh_id_is_null(&container->job) && all->options.on_flow && !all->closing)
		all->options.on_flow(all->options.arg, container, kind, text);
}

static void on_admitted(void *arg, int r, const struct rh_err *err)
{
	struct rh_container *container = arg;
	void (*then)(struct rh_container * container, int r, const struct rh_err *err) =
		container->admitted;

	container->admitted = NULL;
	if (!container->detached && container->removal == RH_REMOVAL_NONE && !container->dying)
		then(container, r, err);
	rh_container_unref(container);
}

void rh_container_admit(struct rh_container *container,
	void (*then)(struct rh_container *container, int r, const struct rh_err *err))
{
	struct rh_containers *all = container->all;
	struct rh_err err = {0};
	int r = 0;

	if (container->admitted)
		return;
	container->admitted = then;
	(void)rh_container_ref(container);
	if (is_isolated(container->profile) && all->options.network && !rh_weakened("network"))
		r = rh_network_admit(all->options.network, container->instance_text,
			container->link.pid, container->profile->egress, container->profile->dns,
			on_admitted, container);
	else
		on_admitted(container, 0, &err);
	if (r < 0) {
		(void)rh_err_set(&err, r, "the network's rules: %s", strerror(-r));
		on_admitted(container, r, &err);
	}
}

void rh_container_dismiss(struct rh_container *container)
{
	if (container->all->options.network)
		rh_network_dismiss(container->all->options.network, container->instance_text);
}
