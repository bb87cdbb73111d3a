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
	body = rh_docker_write_create(spec, engine->nofile_max);
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

static void finish_network_create(
	struct rh_docker_call *call, const struct rh_docker_response *response)
{
	struct rh_err err = {0};
	int r = rh_docker_result(call->engine, response, &err);

	/* Somebody else was quicker, as another broker on this host. */
	call->cb.done(call->arg, r == -EEXIST ? 0 : r, &err);
}

static int create_network(struct rh_docker_call *call)
{
	_cleanup_(rh_freep) char *body = rh_docker_write_network(call->subject);
	struct rh_docker_call next = {
		.finish = finish_network_create,
		.cb.done = call->cb.done,
		.arg = call->arg,
	};

	if (!body)
		return rh_origin(-ENOMEM);
	return rh_trace(rh_docker_call(call->engine, &next, "POST", body, "/networks/create"));
}

static void finish_network(struct rh_docker_call *call, const struct rh_docker_response *response)
{
	struct rh_err err = {0};
	bool isolated = false;
	int r = rh_docker_result(call->engine, response, &err);

	if (r == -ENOENT) {
		r = create_network(call);
		if (r == 0)
			return;
		(void)rh_err_set(&err, r, "network %s: %s", call->subject, strerror(-r));
	} else if (r == 0) {
		r = rh_docker_read_network(response->body, response->size, &isolated);
		if (r < 0)
			(void)rh_err_set(&err, r,
				"network %s: the container engine's answer is malformed",
				call->subject);
		else if (!isolated)
			r = rh_err_set(&err, -EEXIST,
				"network %s exists, but lets containers reach each other; "
				"remove it with: docker network rm %s",
				call->subject, call->subject);
	}
	call->cb.done(call->arg, r, &err);
}

int rh_engine_network(struct rh_engine *engine, const char *name, rh_engine_done_fn cb, void *arg)
{
	struct rh_docker_call call = {
		.finish = finish_network,
		.subject = (char *)(uintptr_t)name,
		.cb.done = cb,
		.arg = arg,
	};

	if (!is_plain(name))
		return rh_origin(-EINVAL);
	return rh_trace(rh_docker_call(engine, &call, "GET", NULL, "/networks/%s", name));
}
