/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The one network of a hub: found, or made and then found, and made one if it is several.
 *
 * Docker's names of networks are not unique before API 1.44: a request to make one looks for the
 * name first, but two requests at a time both find nothing. "CheckDuplicate" does not help there.
 * From then on every use of the name is refused as ambiguous, also by containers.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/engine/docker_engine.h"
#include "runnerhub/cleanup.h"

/* A network that is wanted; the call under way has its address as its argument. */
struct network_call {
	struct rh_engine *engine;
	char *body; /* of its creation; NULL: it was tried */
	char *name;
	char *hub;
	char id[RH_ENGINE_ID_SIZE]; /* of the one to keep, or "" */
	bool open;
	bool ip6;
	rh_engine_network_fn cb;
	void *arg;
};

static int ask(struct network_call *wanted);

static void call_free(struct network_call *wanted)
{
	free(wanted->body);
	free(wanted->name);
	free(wanted->hub);
	free(wanted);
}

static void done(struct network_call *wanted, int r, const struct rh_engine_network *network,
	const struct rh_err *err)
{
	wanted->cb(wanted->arg, r, network, err);
	call_free(wanted);
}

static void finish_create(struct rh_docker_call *call, const struct rh_docker_response *response)
{
	struct network_call *wanted = call->arg;
	struct rh_err err = {0};
	int r = rh_docker_result(call->engine, response, &err);

	/* Somebody else was quicker, as another broker on this host. */
	if (r == 0 || r == -EEXIST) {
		r = ask(wanted);
		if (r == 0)
			return;
		(void)rh_err_set(&err, r, "network %s: %s", wanted->name, strerror(-r));
	}
	done(wanted, r, NULL, &err);
}

static int create(struct network_call *wanted)
{
	_cleanup_(rh_freep) char *body = rh_steal(&wanted->body);
	struct rh_docker_call next = {.finish = finish_create, .arg = wanted};

	return rh_trace(rh_docker_call(wanted->engine, &next, "POST", body, "/networks/create"));
}

static int check(const struct network_call *wanted, const struct rh_engine_network *network,
	struct rh_err *err)
{
	if (!network->isolated && !wanted->open)
		return rh_err_set(err, -EEXIST,
			"network %s exists, but lets containers reach each other; remove it with: "
			"docker network rm %s",
			wanted->name, wanted->name);
	if (network->has_ip6 != wanted->ip6)
		return rh_err_set(err, -EEXIST,
			"network %s exists, but %s IPv6, unlike network.ipv6 says; remove it with: "
			"docker network rm %s",
			wanted->name, network->has_ip6 ? "has" : "has no", wanted->name);
	return 0;
}

/* The one that it was so far, else one of this hub, else the oldest: every broker chooses alike. */
static bool is_better(const struct network_call *wanted, const struct rh_engine_network *network,
	const struct rh_engine_network *than)
{
	bool kept = strcmp(network->id, wanted->id) == 0;

	if (kept != (strcmp(than->id, wanted->id) == 0))
		return kept;
	if (network->ours != than->ours)
		return network->ours;
	if (network->created_ms != than->created_ms)
		return network->created_ms < than->created_ms;
	return strcmp(network->id, than->id) < 0;
}

static void finish_remove(struct rh_docker_call *call, const struct rh_docker_response *response)
{
	struct rh_err err = {0};

	/* With containers on it still, it stays until they are gone: the next look tries again. */
	if (rh_docker_result(call->engine, response, &err) == 0)
		rh_log_notice(call->engine->log, "second network of one name removed",
			RH_STR("id", call->subject));
}

static void remove_other(struct network_call *wanted, struct rh_engine_network *network)
{
	struct rh_docker_call call = {.finish = finish_remove, .subject = network->id};

	(void)rh_docker_call(wanted->engine, &call, "DELETE", NULL, "/networks/%s", network->id);
}

/* NULL: there is none. */
static const struct rh_engine_network *choose(
	struct network_call *wanted, struct rh_engine_network *list, size_t n)
{
	struct rh_engine_network *best = NULL;

	for (size_t i = 0; i < n; i++) {
		if (!best || is_better(wanted, &list[i], best))
			best = &list[i];
	}
	for (size_t i = 0; i < n; i++) {
		if (&list[i] != best && list[i].ours)
			remove_other(wanted, &list[i]);
	}
	return best;
}

/* Return: 0: it is as wanted; 1: it is being made; negative errno. */
static int judge(
	struct network_call *wanted, const struct rh_engine_network *network, struct rh_err *err)
{
	int r = 0;

	if (network)
		return check(wanted, network, err);
	if (!wanted->body)
		return rh_err_set(err, -ENOENT,
			"network %s was made, and is not there; did somebody remove it?",
			wanted->name);
	r = create(wanted);
	if (r < 0)
		return rh_err_set(err, r, "network %s: %s", wanted->name, strerror(-r));
	return 1;
}

static void finish_list(struct rh_docker_call *call, const struct rh_docker_response *response)
{
	_cleanup_(rh_freep) struct rh_engine_network *list = NULL;
	const struct rh_engine_network *network = NULL;
	struct network_call *wanted = call->arg;
	struct rh_err err = {0};
	size_t n = 0;
	int r = rh_docker_result(call->engine, response, &err);

	if (r == 0) {
		r = rh_docker_read_networks(
			response->body, response->size, wanted->name, wanted->hub, &list, &n);
		if (r < 0)
			(void)rh_err_set(&err, r,
				"network %s: the container engine's answer is malformed",
				wanted->name);
	}
	if (r == 0) {
		network = choose(wanted, list, n);
		r = judge(wanted, network, &err);
	}
	if (r <= 0)
		done(wanted, r, network, &err);
}

static int ask(struct network_call *wanted)
{
	_cleanup_(rh_freep) char *filters = rh_docker_write_name_filter(wanted->name);
	char encoded[RH_DOCKER_PATH_SIZE / 2] = "";
	struct rh_docker_call call = {.finish = finish_list, .arg = wanted};

	if (!filters)
		return rh_origin(-ENOMEM);
	if (rh_docker_encode(encoded, sizeof(encoded), filters) < 0)
		return rh_origin(-EINVAL);
	return rh_trace(rh_docker_call(
		wanted->engine, &call, "GET", NULL, "/networks?filters=%s", encoded));
}

int rh_engine_network(struct rh_engine *engine, const struct rh_engine_network_spec *spec,
	rh_engine_network_fn cb, void *arg)
{
	struct network_call *wanted = NULL;
	int r = -ENOMEM;

	if (!rh_docker_is_plain(spec->name))
		return rh_origin(-EINVAL);
	wanted = calloc(1, sizeof(*wanted));
	if (!wanted)
		return rh_origin(-ENOMEM);
	*wanted = (struct network_call){.engine = engine,
		.body = rh_docker_write_network(spec),
		.name = strdup(spec->name),
		.hub = strdup(spec->hub ? spec->hub : ""),
		.open = spec->open,
		.ip6 = spec->ip6 && spec->ip6[0],
		.cb = cb,
		.arg = arg};
	(void)snprintf(wanted->id, sizeof(wanted->id), "%s", spec->id ? spec->id : "");
	if (wanted->body && wanted->name && wanted->hub)
		r = ask(wanted);
	if (r < 0)
		call_free(wanted);
	return rh_trace(r);
}
