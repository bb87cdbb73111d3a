/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The engine's calls as requests to Docker: what only reads.
 */

#include <stdio.h>
#include <string.h>

#include "broker/daemon/engine/docker_engine.h"
#include "runnerhub/cleanup.h"

#define LOGS_TEXT_SIZE 4096

static int malformed(int r, struct rh_err *err)
{
	return rh_err_set(err, r, "the container engine's answer is malformed");
}

static void finish_list(struct rh_docker_call *call, const struct rh_docker_response *response)
{
	_cleanup_(rh_freep) struct rh_engine_container *list = NULL;
	struct rh_err err = {0};
	size_t n = 0;
	int r = rh_docker_result(call->engine, response, &err);

	if (r == 0) {
		r = rh_docker_read_list(response->body, response->size, &list, &n);
		if (r < 0)
			(void)malformed(r, &err);
	}
	call->cb.list(call->arg, r, list, n, &err);
}

int rh_engine_list(struct rh_engine *engine, rh_engine_list_fn cb, void *arg)
{
	_cleanup_(rh_freep) char *filters = rh_docker_write_filters(engine->labels, false);
	char encoded[RH_DOCKER_PATH_SIZE / 2] = "";
	struct rh_docker_call call = {.finish = finish_list, .cb.list = cb, .arg = arg};

	if (!filters)
		return rh_origin(-ENOMEM);
	if (rh_docker_encode(encoded, sizeof(encoded), filters) < 0)
		return rh_origin(-EINVAL);
	return rh_trace(rh_docker_call(
		engine, &call, "GET", NULL, "/containers/json?all=1&filters=%s", encoded));
}

static void finish_inspect(struct rh_docker_call *call, const struct rh_docker_response *response)
{
	struct rh_engine_container container = {0};
	struct rh_err err = {0};
	int r = rh_docker_result(call->engine, response, &err);

	if (r == 0) {
		r = rh_docker_read_inspect(response->body, response->size, &container);
		if (r < 0)
			(void)malformed(r, &err);
	}
	call->cb.list(call->arg, r, &container, r == 0 ? 1 : 0, &err);
}

int rh_engine_inspect(struct rh_engine *engine, const char *id, rh_engine_list_fn cb, void *arg)
{
	char encoded[RH_DOCKER_PATH_SIZE / 2] = "";
	struct rh_docker_call call = {.finish = finish_inspect, .cb.list = cb, .arg = arg};

	if (id[0] == '\0' || rh_docker_encode(encoded, sizeof(encoded), id) < 0)
		return rh_origin(-EINVAL);
	return rh_trace(rh_docker_call(engine, &call, "GET", NULL, "/containers/%s/json", encoded));
}

static void finish_info(struct rh_docker_call *call, const struct rh_docker_response *response)
{
	struct rh_engine_info info = {0};
	struct rh_err err = {0};
	int r = rh_docker_result(call->engine, response, &err);

	if (r == 0) {
		r = rh_docker_read_info(response->body, response->size, &info);
		if (r < 0)
			(void)malformed(r, &err);
	}
	(void)snprintf(info.api_version, sizeof(info.api_version), "1.%u", call->engine->api_minor);
	call->cb.info(call->arg, r, r == 0 ? &info : NULL, &err);
}

int rh_engine_info(struct rh_engine *engine, rh_engine_info_fn cb, void *arg)
{
	struct rh_docker_call call = {.finish = finish_info, .cb.info = cb, .arg = arg};

	return rh_trace(rh_docker_call(engine, &call, "GET", NULL, "/info"));
}

static void finish_logs(struct rh_docker_call *call, const struct rh_docker_response *response)
{
	char text[LOGS_TEXT_SIZE] = "";
	struct rh_err err = {0};
	int r = rh_docker_result(call->engine, response, &err);

	if (r == 0)
		rh_docker_read_logs(response->body, response->size, text, sizeof(text));
	call->cb.create(call->arg, r, text, &err);
}

int rh_engine_logs(struct rh_engine *engine, const char *id, unsigned n_lines,
	rh_engine_create_fn cb, void *arg)
{
	char encoded[RH_DOCKER_PATH_SIZE / 2] = "";
	struct rh_docker_call call = {.finish = finish_logs, .cb.create = cb, .arg = arg};

	if (id[0] == '\0' || rh_docker_encode(encoded, sizeof(encoded), id) < 0)
		return rh_origin(-EINVAL);
	return rh_trace(rh_docker_call(engine, &call, "GET", NULL,
		"/containers/%s/logs?stdout=1&stderr=1&tail=%u", encoded, n_lines));
}
