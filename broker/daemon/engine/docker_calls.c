/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The engine's calls as requests to Docker: changes of one container, image and network.
 */

#include <stdio.h>
#include <string.h>

#include "broker/daemon/engine/docker_engine.h"
#include "runnerhub/cleanup.h"

/* Identifiers and names go into paths as they are: only what Docker itself allows in a name. */
static bool is_plain(const char *id)
{
	size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");

	return n > 0 && id[n] == '\0' && id[0] != '.';
}

static void finish_done(struct rh_docker_call *call, const struct rh_docker_response *response)
{
	struct rh_err err = {0};
	int r = rh_docker_result(call->engine, response, &err);

	if (call->cb.done)
		call->cb.done(call->arg, r, &err);
}

static void finish_create(struct rh_docker_call *call, const struct rh_docker_response *response)
{
	struct rh_err err = {0};
	char id[RH_ENGINE_ID_SIZE] = "";
	int r = rh_docker_result(call->engine, response, &err);

	if (r == -ENOENT && strstr(err.text, "image"))
		(void)rh_err_set(&err, r,
			"the image %s is not on this host; get it with: docker pull %s",
			call->subject, call->subject);
	/* What the daemon says where the file system below keeps no quotas for projects. */
	if (r < 0 && (strstr(err.text, "storage-opt") || strstr(err.text, "quota"))) {
		if (!call->engine->no_quota)
			rh_log_notice(call->engine->log,
				"engine's storage has no quotas, watching disk space instead",
				RH_STR("engine", err.text));
		call->engine->no_quota = true;
		r = -ERANGE;
	}
	if (r == 0) {
		r = rh_docker_read_created(response->body, response->size, id);
		if (r < 0)
			(void)rh_err_set(
				&err, r, "the container engine's answer to a create is malformed");
	}
	call->cb.create(call->arg, r, r == 0 ? id : NULL, &err);
}

int rh_engine_create(struct rh_engine *engine, const struct rh_engine_spec *spec,
	rh_engine_create_fn cb, void *arg)
{
	_cleanup_(rh_freep) char *body = NULL;
	struct rh_docker_call call = {
		.finish = finish_create,
		.subject = (char *)(uintptr_t)spec->image,
		.cb.create = cb,
		.arg = arg,
	};

	if (!is_plain(spec->name))
		return rh_origin(-EINVAL);
	body = rh_docker_write_create(spec, engine->nofile_max, !engine->no_quota);
	if (!body)
		return rh_origin(-ENOMEM);
	return rh_trace(rh_docker_call(
		engine, &call, "POST", body, "/containers/create?name=%s", spec->name));
}

static void finish_start(struct rh_docker_call *call, const struct rh_docker_response *response)
{
	struct rh_err err = {0};
	int r = rh_docker_result(call->engine, response, &err);

	/* What runc says where the daemon may not raise its own hard limit. */
	if (r < 0 && strstr(err.text, "rlimit")) {
		if (call->engine->nofile_max > 0)
			rh_log_warning(call->engine->log,
				"engine's host refuses the profile's nofile, leaving it out",
				RH_STR("engine", err.text));
		call->engine->nofile_max = 0;
		r = -ERANGE;
	}
	call->cb.done(call->arg, r, &err);
}

int rh_engine_start_container(
	struct rh_engine *engine, const char *id, rh_engine_done_fn cb, void *arg)
{
	struct rh_docker_call call = {.finish = finish_start, .cb.done = cb, .arg = arg};

	if (!is_plain(id))
		return rh_origin(-EINVAL);
	return rh_trace(rh_docker_call(engine, &call, "POST", NULL, "/containers/%s/start", id));
}

int rh_engine_kill(struct rh_engine *engine, const char *id, const char *signal,
	rh_engine_done_fn cb, void *arg)
{
	struct rh_docker_call call = {.finish = finish_done, .cb.done = cb, .arg = arg};

	if (!is_plain(id) || !is_plain(signal))
		return rh_origin(-EINVAL);
	return rh_trace(rh_docker_call(
		engine, &call, "POST", NULL, "/containers/%s/kill?signal=%s", id, signal));
}

static void finish_remove(struct rh_docker_call *call, const struct rh_docker_response *response)
{
	struct rh_err err = {0};
	int r = rh_docker_result(call->engine, response, &err);

	if (call->cb.done)
		call->cb.done(call->arg, r == -ENOENT ? 0 : r, &err);
}

int rh_engine_remove(struct rh_engine *engine, const char *id, rh_engine_done_fn cb, void *arg)
{
	struct rh_docker_call call = {.finish = finish_remove, .cb.done = cb, .arg = arg};

	if (!is_plain(id))
		return rh_origin(-EINVAL);
	return rh_trace(
		rh_docker_call(engine, &call, "DELETE", NULL, "/containers/%s?force=1&v=1", id));
}

int rh_engine_rename(
	struct rh_engine *engine, const char *id, const char *name, rh_engine_done_fn cb, void *arg)
{
	struct rh_docker_call call = {.finish = finish_done, .cb.done = cb, .arg = arg};

	if (!is_plain(id) || !is_plain(name))
		return rh_origin(-EINVAL);
	return rh_trace(rh_docker_call(
		engine, &call, "POST", NULL, "/containers/%s/rename?name=%s", id, name));
}

static void finish_image(struct rh_docker_call *call, const struct rh_docker_response *response)
{
	struct rh_err err = {0};
	int r = rh_docker_result(call->engine, response, &err);

	if (r == -ENOENT)
		(void)rh_err_set(&err, r,
			"the image %s is not on this host; get it with: docker pull %s",
			call->subject, call->subject);
	call->cb.done(call->arg, r, &err);
}

int rh_engine_image(struct rh_engine *engine, const char *image, rh_engine_done_fn cb, void *arg)
{
	char name[RH_DOCKER_PATH_SIZE / 2] = "";
	struct rh_docker_call call = {
		.finish = finish_image,
		.subject = (char *)(uintptr_t)image,
		.cb.done = cb,
		.arg = arg,
	};

	if (image[0] == '\0' || rh_docker_encode(name, sizeof(name), image) < 0)
		return rh_origin(-EINVAL);
	return rh_trace(rh_docker_call(engine, &call, "GET", NULL, "/images/%s/json", name));
}

static void finish_pull(struct rh_docker_call *call, const struct rh_docker_response *response)
{
	struct rh_err err = {0};
	char why[300] = "";
	int r = rh_docker_result(call->engine, response, &err);

	/* The answer is a success before it is known to be one. */
	if (r == 0) {
		r = rh_docker_read_pull(response->body, response->size, why, sizeof(why));
		if (r < 0)
			(void)rh_err_set(&err, r, "the image %s could not be fetched: %s",
				call->subject, why);
	}
	call->cb.done(call->arg, r, &err);
}

int rh_engine_pull(struct rh_engine *engine, const char *image, rh_engine_done_fn cb, void *arg)
{
	char name[RH_DOCKER_PATH_SIZE / 2] = "";
	const char *slash = strrchr(image, '/');
	/* Without a tag the engine would fetch all there are. */
	bool named = strchr(image, '@') || strchr(slash ? slash : image, ':');
	struct rh_docker_call call = {
		.finish = finish_pull,
		.subject = (char *)(uintptr_t)image,
		.timeout_ms = RH_ENGINE_PULL_MS,
		.cb.done = cb,
		.arg = arg,
	};

	if (image[0] == '\0' || rh_docker_encode(name, sizeof(name), image) < 0)
		return rh_origin(-EINVAL);
	return rh_trace(rh_docker_call(engine, &call, "POST", NULL, "/images/create?fromImage=%s%s",
		name, named ? "" : "&tag=latest"));
}

/* A network that is wanted; the call under way has its address as its argument. */
struct network_call {
	struct rh_engine *engine;
	char *body; /* of its creation; NULL: it was tried */
	char *name;
	bool open;
	bool ip6;
	rh_engine_network_fn cb;
	void *arg;
};

static int ask_network(struct network_call *wanted);

static void network_done(struct network_call *wanted, int r,
	const struct rh_engine_network *network, const struct rh_err *err)
{
	wanted->cb(wanted->arg, r, network, err);
	free(wanted->body);
	free(wanted->name);
	free(wanted);
}

static void finish_network_create(
	struct rh_docker_call *call, const struct rh_docker_response *response)
{
	struct network_call *wanted = call->arg;
	struct rh_err err = {0};
	int r = rh_docker_result(call->engine, response, &err);

	/* Somebody else was quicker, as another broker on this host. */
	if (r == 0 || r == -EEXIST) {
		r = ask_network(wanted);
		if (r == 0)
			return;
		(void)rh_err_set(&err, r, "network %s: %s", wanted->name, strerror(-r));
	}
	network_done(wanted, r, NULL, &err);
}

static int create_network(struct network_call *wanted)
{
	_cleanup_(rh_freep) char *body = rh_steal(&wanted->body);
	struct rh_docker_call next = {.finish = finish_network_create, .arg = wanted};

	return rh_trace(rh_docker_call(wanted->engine, &next, "POST", body, "/networks/create"));
}

static int check_network(const struct network_call *wanted, const struct rh_engine_network *network,
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

static void finish_network(struct rh_docker_call *call, const struct rh_docker_response *response)
{
	struct network_call *wanted = call->arg;
	struct rh_engine_network network = {0};
	struct rh_err err = {0};
	int r = rh_docker_result(call->engine, response, &err);

	if (r == -ENOENT && wanted->body) {
		r = create_network(wanted);
		if (r == 0)
			return;
		(void)rh_err_set(&err, r, "network %s: %s", wanted->name, strerror(-r));
	} else if (r == 0) {
		r = rh_docker_read_network(response->body, response->size, &network);
		if (r < 0)
			(void)rh_err_set(&err, r,
				"network %s: the container engine's answer is malformed",
				wanted->name);
		else
			r = check_network(wanted, &network, &err);
	}
	network_done(wanted, r, &network, &err);
}

static int ask_network(struct network_call *wanted)
{
	struct rh_docker_call call = {.finish = finish_network, .arg = wanted};

	return rh_trace(
		rh_docker_call(wanted->engine, &call, "GET", NULL, "/networks/%s", wanted->name));
}

int rh_engine_network(struct rh_engine *engine, const struct rh_engine_network_spec *spec,
	rh_engine_network_fn cb, void *arg)
{
	struct network_call *wanted = NULL;
	int r = -ENOMEM;

	if (!is_plain(spec->name))
		return rh_origin(-EINVAL);
	wanted = calloc(1, sizeof(*wanted));
	if (!wanted)
		return rh_origin(-ENOMEM);
	*wanted = (struct network_call){.engine = engine,
		.body = rh_docker_write_network(spec),
		.name = strdup(spec->name),
		.open = spec->open,
		.ip6 = spec->ip6 && spec->ip6[0],
		.cb = cb,
		.arg = arg};
	if (wanted->body && wanted->name)
		r = ask_network(wanted);
	if (r < 0) {
		free(wanted->body);
		free(wanted->name);
		free(wanted);
	}
	return rh_trace(r);
}
