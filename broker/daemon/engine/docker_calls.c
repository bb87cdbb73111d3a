/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The engine's calls as requests to Docker: changes of one container and image.
 */

#include <stdio.h>
#include <string.h>

#include "broker/daemon/engine/docker_engine.h"
#include "runnerhub/cleanup.h"

bool rh_docker_is_plain(const char *id)
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

	if (!rh_docker_is_plain(spec->name))
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

	if (!rh_docker_is_plain(id))
		return rh_origin(-EINVAL);
	return rh_trace(rh_docker_call(engine, &call, "POST", NULL, "/containers/%s/start", id));
}

int rh_engine_kill(struct rh_engine *engine, const char *id, const char *signal,
	rh_engine_done_fn cb, void *arg)
{
	struct rh_docker_call call = {.finish = finish_done, .cb.done = cb, .arg = arg};

	if (!rh_docker_is_plain(id) || !rh_docker_is_plain(signal))
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

	if (!rh_docker_is_plain(id))
		return rh_origin(-EINVAL);
	return rh_trace(
		rh_docker_call(engine, &call, "DELETE", NULL, "/containers/%s?force=1&v=1", id));
}

int rh_engine_rename(
	struct rh_engine *engine, const char *id, const char *name, rh_engine_done_fn cb, void *arg)
{
	struct rh_docker_call call = {.finish = finish_done, .cb.done = cb, .arg = arg};

	if (!rh_docker_is_plain(id) || !rh_docker_is_plain(name))
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
