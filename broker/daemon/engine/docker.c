/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The Docker engine's life cycle, and the one path that all its calls take.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/engine/docker_engine.h"
#include "runnerhub/cleanup.h"

static void free_engine(struct rh_engine *engine)
{
	free(engine->socket);
	free(engine->labels);
	free(engine);
}

static void part_closed(struct rh_engine *engine)
{
	if (--engine->n_to_close > 0)
		return;

	void (*closed)(void *arg) = engine->closed;
	void *arg = engine->closed_arg;

	free_engine(engine);
	if (closed)
		closed(arg);
}

static void on_http_closed(void *arg)
{
	part_closed(arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
	part_closed(rh_list_entry(handle, struct rh_engine, timer));
}

int rh_engine_start(uv_loop_t *loop, const struct rh_engine_options *options, struct rh_log *log,
	struct rh_engine **ret_engine)
{
	struct rh_engine *engine = calloc(1, sizeof(*engine));
	int r = -ENOMEM;

	if (!engine)
		return rh_origin(-ENOMEM);
	engine->loop = loop;
	engine->log = log;
	engine->timeout_ms = options->timeout_ms;
	engine->on_event = options->on_event;
	engine->arg = options->arg;
	engine->socket = strdup(options->socket);
	engine->labels = strdup(options->label_filter);
	if (!engine->socket || !engine->labels)
		goto free;
	r = rh_http_start(loop, engine->socket, &engine->http);
	if (r < 0)
		goto free;
	r = uv_timer_init(loop, &engine->timer);
	if (r < 0) {
		/* The last part to close frees the rest. */
		engine->n_to_close = 1;
		rh_http_close(engine->http, on_http_closed, engine);
		return rh_trace(r);
	}
	rh_docker_follow_start(engine);
	*ret_engine = engine;
	return 0;

free:
	free_engine(engine);
	return rh_origin(r);
}

void rh_engine_close(struct rh_engine *engine, void (*cb)(void *arg), void *arg)
{
	if (engine->phase == RH_DOCKER_CLOSING)
		return;
	engine->closed = cb;
	engine->closed_arg = arg;
	engine->n_to_close = 2;
	rh_docker_follow_stop(engine);
	rh_http_close(engine->http, on_http_closed, engine);
	uv_close((uv_handle_t *)&engine->timer, on_timer_closed);
}

bool rh_engine_is_up(const struct rh_engine *engine)
{
	return engine->phase == RH_DOCKER_UP;
}

const char *rh_engine_problem(const struct rh_engine *engine)
{
	return engine->problem[0] ? engine->problem : "the container engine does not answer yet";
}

void rh_engine_stats(const struct rh_engine *engine, struct rh_engine_stats *ret_stats)
{
	*ret_stats = engine->stats;
}

/* Why there is no usable response, for people. */
static int explain_transport(const struct rh_engine *engine, int r, struct rh_err *err)
{
	switch (r) {
	case -ECONNREFUSED:
		return rh_err_set(err, r,
			"the container engine at %s does not answer; is it running?",
			engine->socket);
	case -EACCES:
		return rh_err_set(
			err, r, "no permission to use the container engine at %s", engine->socket);
	case -ETIMEDOUT:
		return rh_err_set(err, r,
			"the container engine at %s did not answer within %llu ms", engine->socket,
			(unsigned long long)engine->timeout_ms);
	case -ECONNRESET:
		return rh_err_set(err, r,
			"the container engine at %s closed the connection; was it stopped?",
			engine->socket);
	default:
		return rh_err_set(
			err, r, "the container engine at %s: %s", engine->socket, strerror(-r));
	}
}

static int status_errno(long status)
{
	if (status == 404)
		return -ENOENT;
	if (status == 409)
		return -EEXIST;
	if (status == 400)
		return -EINVAL;
	return status >= 500 ? -EIO : -EPROTO;
}

int rh_docker_result(
	struct rh_engine *engine, const struct rh_docker_response *response, struct rh_err *err)
{
	char message[400] = "";
	int r = response->r;

	if (r < 0) {
		engine->stats.n_failed++;
		return rh_trace(explain_transport(engine, r, err));
	}
	/* 304: it is in the wanted state already. */
	if ((response->status >= 200 && response->status < 300) || response->status == 304)
		return 0;
	engine->stats.n_failed++;
	r = status_errno(response->status);
	if (rh_docker_read_error(response->body, response->size, message, sizeof(message)) < 0)
		(void)snprintf(
			message, sizeof(message), "status %ld without a message", response->status);
	return rh_err_set(err, r, "the container engine says: %s", message);
}

static void on_done(void *arg, int r, long status, const char *body, size_t size)
{
	struct rh_docker_call *call = arg;
	struct rh_docker_response response = {
		.r = r,
		.status = status,
		.body = body,
		.size = size,
	};

	call->engine->stats.n_in_flight--;
	call->finish(call, &response);
	free(call->subject);
	free(call);
}

int rh_docker_call(struct rh_engine *engine, const struct rh_docker_call *template,
	const char *method, const char *body, const char *fmt, ...)
{
	char path[RH_DOCKER_PATH_SIZE];
	struct rh_docker_call *call = NULL;
	struct rh_http_options options = {
		.method = method,
		.path = path,
		.body = body,
		.timeout_ms = engine->timeout_ms,
		.body_max = RH_DOCKER_BODY_MAX,
		.on_done = on_done,
	};
	int n = snprintf(path, sizeof(path), "/v1.%u", engine->api_minor);
	int r = 0;
	va_list ap;

	if (engine->phase == RH_DOCKER_CLOSING)
		return rh_origin(-ESHUTDOWN);
	if (engine->api_minor == 0)
		return rh_origin(-ENOTCONN);
	va_start(ap, fmt);
	r = vsnprintf(path + n, sizeof(path) - (size_t)n, fmt, ap);
	va_end(ap);
	if (r < 0 || (size_t)r >= sizeof(path) - (size_t)n)
		return rh_origin(-EINVAL);
	call = malloc(sizeof(*call));
	if (!call)
		return rh_origin(-ENOMEM);
	*call = *template;
	call->engine = engine;
	call->subject = strdup(template->subject ? template->subject : "");
	if (template->timeout_ms > 0)
		options.timeout_ms = template->timeout_ms;
	options.arg = call;
	r = call->subject ? rh_http_send(engine->http, &options, NULL) : -ENOMEM;
	if (r < 0) {
		free(call->subject);
		free(call);
		return rh_trace(r);
	}
	engine->stats.n_requests++;
	engine->stats.n_in_flight++;
	return 0;
}
