/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Following the engine: which version it talks, and its events.
 *
 *   WAITING ──▶ ASKING ──▶ OPENING ──▶ UP
 *      ▲           │          │         │
 *      └───────────┴──────────┴─────────┘   broken: wait (100 ms … 5 s), begin again
 *
 * The version is asked each time, since the engine may come back as another one. Events missed in
 * between are asked for with "since"; an event may therefore come twice. A connection that is open
 * but silent says nothing, so the engine is pinged now and then; if that fails the stream is cut.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/daemon/engine/docker_engine.h"
#include "broker/daemon/engine/docker_host.h"
#include "runnerhub/cleanup.h"

#define RETRY_FIRST_MS 100u
#define RETRY_LAST_MS  5000u
#define ALIVE_EVERY_MS 20000u
#define PATH_SIZE      8192
#define SMALL_BODY_MAX 65536u
#define STREAM_AHEAD   1048576u

static void wait_and_retry(struct rh_engine *engine);

static void tell(struct rh_engine *engine, enum rh_engine_event_kind kind)
{
	struct rh_engine_event event = {.kind = kind};

	engine->on_event(engine->arg, &event);
}

/* The one way back to WAITING. */
static void broken(struct rh_engine *engine, const char *what, int r)
{
	bool was_up = engine->phase == RH_DOCKER_UP;

	if (engine->phase == RH_DOCKER_CLOSING)
		return;
	/* Said once, not at each attempt. */
	if (was_up || engine->n_failures == 0)
		rh_log_warning(engine->log, "engine not reachable, trying again",
			RH_STR("socket", engine->socket), RH_STR("what", what), RH_ERRNO(r));
	engine->n_failures++;
	engine->phase = RH_DOCKER_WAITING;
	rh_docker_lines_deinit(&engine->lines);
	wait_and_retry(engine);
	if (was_up)
		tell(engine, RH_ENGINE_DOWN);
}

static void note_problem(struct rh_engine *engine, int r, const struct rh_docker_response *response)
{
	struct rh_docker_response failed = *response;
	struct rh_err err = {0};

	if (failed.r == 0 && failed.status == 200)
		failed.r = r; /* it was read to its end, and that was the trouble */
	if (rh_docker_result(engine, &failed, &err) < 0)
		(void)snprintf(engine->problem, sizeof(engine->problem), "%s", err.text);
}

static void cut_stream(struct rh_engine *engine)
{
	if (engine->stream)
		rh_http_cancel(engine->stream);
}

static void on_alive(void *arg, int r, long status, const char *body, size_t size)
{
	struct rh_engine *engine = arg;

	if (engine->phase == RH_DOCKER_UP && (r < 0 || status != 200))
		cut_stream(engine);
}

/* A stream that is not answered, or the ping of one that is. */
static void on_stream_timer(uv_timer_t *timer)
{
	struct rh_engine *engine = rh_list_entry(timer, struct rh_engine, timer);
	struct rh_http_options options = {
		.method = "GET",
		.path = "/_ping",
		.timeout_ms = engine->timeout_ms,
		.body_max = SMALL_BODY_MAX,
		.on_done = on_alive,
		.arg = engine,
	};

	if (engine->phase == RH_DOCKER_OPENING)
		cut_stream(engine);
	else if (engine->phase == RH_DOCKER_UP)
		(void)rh_http_send(engine->http, &options, NULL); /* the next one may work */
}

static void on_stream_open(void *arg)
{
	struct rh_engine *engine = arg;

	if (engine->phase != RH_DOCKER_OPENING)
		return;
	engine->phase = RH_DOCKER_UP;
	engine->n_failures = 0;
	(void)uv_timer_start(&engine->timer, on_stream_timer, ALIVE_EVERY_MS, ALIVE_EVERY_MS);
	rh_log_notice(engine->log, "engine connected", RH_STR("socket", engine->socket),
		RH_NUM("api_minor", engine->api_minor));
	tell(engine, RH_ENGINE_UP);
}

static void on_line(void *arg, const char *line, size_t size)
{
	struct rh_engine *engine = arg;
	struct rh_engine_event event = {0};
	int64_t time_ns = 0;
	int r = rh_docker_read_event(line, size, &event, &time_ns);

	if (r < 0)
		rh_log_warning(engine->log, "engine event not understood, left out", RH_ERRNO(r));
	if (r != 0 || engine->phase != RH_DOCKER_UP)
		return;
	if (time_ns > engine->since_ns)
		engine->since_ns = time_ns;
	engine->on_event(engine->arg, &event);
}

static bool on_stream_data(void *arg, const char *data, size_t size)
{
	struct rh_engine *engine = arg;

	return rh_docker_lines_feed(&engine->lines, data, size, on_line, engine) == 0;
}

static void on_stream_done(void *arg, int r, long status, const char *body, size_t size)
{
	struct rh_engine *engine = arg;

	const struct rh_docker_response response = {
		.r = r, .status = status, .body = body, .size = size};

	engine->stream = NULL;
	r = r < 0 ? r : -ECONNRESET;
	note_problem(engine, r, &response);
	broken(engine, "event stream ended", r);
}

static int stream_path(struct rh_engine *engine, char *buf, size_t size)
{
	_cleanup_(rh_freep) char *filters = rh_docker_write_filters(engine->labels, true);
	int n = snprintf(buf, size, "/v1.%u/events?", engine->api_minor);

	if (!filters)
		return rh_origin(-ENOMEM);
	if (engine->since_ns > 0)
		(void)snprintf(buf + n, size - (size_t)n, "since=%" PRId64 ".%09" PRId64 "&",
			engine->since_ns / 1000000000, engine->since_ns % 1000000000);
	(void)strncat(buf, "filters=", size - strlen(buf) - 1);
	return rh_trace(rh_docker_encode(buf, size, filters));
}

static int open_stream(struct rh_engine *engine)
{
	char path[PATH_SIZE];
	struct rh_http_options options = {
		.method = "GET",
		.path = path,
		.body_max = STREAM_AHEAD,
		.on_open = on_stream_open,
		.on_data = on_stream_data,
		.on_done = on_stream_done,
		.arg = engine,
	};
	int r = stream_path(engine, path, sizeof(path));

	if (r == 0)
		r = rh_http_send(engine->http, &options, &engine->stream);
	if (r < 0)
		return rh_trace(r);
	engine->phase = RH_DOCKER_OPENING;
	return rh_trace(uv_timer_start(&engine->timer, on_stream_timer, engine->timeout_ms, 0));
}

static void on_version(void *arg, int r, long status, const char *body, size_t size)
{
	struct rh_engine *engine = arg;
	const struct rh_docker_response response = {
		.r = r, .status = status, .body = body, .size = size};

	if (engine->phase != RH_DOCKER_ASKING)
		return;
	if (r == 0 && status != 200)
		r = rh_origin(-EPROTO);
	if (r == 0)
		r = rh_docker_read_version(body, size, &engine->api_minor);
	if (r == -EPROTONOSUPPORT && engine->n_failures == 0)
		rh_log_error(engine->log, "engine's API is none of ours",
			RH_NUM("oldest_minor", RH_DOCKER_API_OLDEST),
			RH_NUM("newest_minor", RH_DOCKER_API_NEWEST));
	if (r == 0)
		r = open_stream(engine);
	if (r < 0) {
		note_problem(engine, r, &response);
		broken(engine, "version", r);
	}
}

static void on_retry(uv_timer_t *timer)
{
	struct rh_engine *engine = rh_list_entry(timer, struct rh_engine, timer);
	struct rh_http_options options = {
		.method = "GET",
		.path = "/version",
		.timeout_ms = engine->timeout_ms,
		.body_max = SMALL_BODY_MAX,
		.on_done = on_version,
		.arg = engine,
	};
	int r = 0;

	engine->phase = RH_DOCKER_ASKING;
	/* A new process may have new limits. */
	engine->nofile_max = rh_docker_nofile_max(engine->socket);
	r = rh_http_send(engine->http, &options, NULL);
	if (r < 0)
		broken(engine, "version", r);
}

static void wait_and_retry(struct rh_engine *engine)
{
	uint64_t wait_ms = RETRY_LAST_MS;

	if (engine->n_failures == 0)
		wait_ms = 0;
	else if (engine->n_failures < 6)
		wait_ms = (uint64_t)RETRY_FIRST_MS << (engine->n_failures - 1);
	/* Can fail only for a timer that is closing. */
	(void)uv_timer_start(&engine->timer, on_retry, wait_ms, 0);
}

int rh_docker_follow_start(struct rh_engine *engine)
{
	engine->phase = RH_DOCKER_WAITING;
	wait_and_retry(engine);
	return 0;
}

void rh_docker_follow_stop(struct rh_engine *engine)
{
	engine->phase = RH_DOCKER_CLOSING;
	(void)uv_timer_stop(&engine->timer);
	rh_docker_lines_deinit(&engine->lines);
}
