/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The Docker engine's own parts: what its files share.
 */

#include "broker/daemon/engine/docker.h"
#include "broker/daemon/engine/engine.h"
#include "broker/daemon/engine/http.h"
#include "runnerhub/list.h"

#define RH_DOCKER_PATH_SIZE 8192
#define RH_DOCKER_BODY_MAX  ((size_t)8 * 1024 * 1024) /* a list of thousands of containers */

/* How the broker follows the engine; docker_follow.c draws it. */
enum rh_docker_phase {
	RH_DOCKER_WAITING, /* for the retry timer */
	RH_DOCKER_ASKING, /* its version; ends by answer or time-out */
	RH_DOCKER_OPENING, /* the event stream; ends by answer or the retry timer */
	RH_DOCKER_UP,
	RH_DOCKER_CLOSING,
};

struct rh_engine {
	uv_loop_t *loop;
	struct rh_log *log;
	struct rh_http *http;
	char *socket;
	char *labels;
	uint64_t timeout_ms;
	rh_engine_event_fn on_event;
	void *arg;

	unsigned api_minor; /* 0: not known yet */
	bool no_quota; /* its storage refused one, so none is asked for */
	uint64_t nofile_max; /* what its host allows; 0: it refused a limit, so none is asked for */

	enum rh_docker_phase phase;
	uv_timer_t timer; /* retry, or look whether it is alive */
	unsigned n_failures;
	char problem[512]; /* the last of them, for people */
	struct rh_http_request *stream;
	struct rh_docker_lines lines;
	int64_t since_ns; /* of the last event, the engine's clock */

	struct rh_engine_stats stats;
	unsigned n_to_close;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* Begins to follow the engine. Context: loop thread. */
int rh_docker_follow_start(struct rh_engine *engine);
/* Ends it; what is under way is ended by rh_http_close(). */
void rh_docker_follow_stop(struct rh_engine *engine);

/*
 * Identifiers and names go into paths as they are: whether it is only what Docker itself allows in
 * a name.
 */
bool rh_docker_is_plain(const char *id);

struct rh_docker_response {
	int r;
	long status;
	const char *body;
	size_t size;
};

/* One call under way: who wants to know, and how the response becomes an answer. */
struct rh_docker_call {
	struct rh_engine *engine;
	void (*finish)(struct rh_docker_call *call, const struct rh_docker_response *response);
	char *subject; /* for messages; copied */
	uint64_t timeout_ms; /* 0: the engine's */
	void *arg;
	union {
		rh_engine_done_fn done;
		rh_engine_create_fn create;
		rh_engine_list_fn list;
		rh_engine_info_fn info;
		rh_engine_network_fn network;
	} cb;
};

/**
 * rh_docker_call() - send a request below the negotiated version
 * @template: finish, cb, arg and subject
 * @body:     NULL: none
 * @fmt:      the path behind "/v1.N"
 */
__attribute__((__format__(__printf__, 5, 6))) int rh_docker_call(struct rh_engine *engine,
	const struct rh_docker_call *template, const char *method, const char *body,
	const char *fmt, ...);

/**
 * rh_docker_result() - whether a call succeeded
 * @err: what went wrong, for people
 *
 * Return: 0 for 2xx and 304; the errno that engine.h promises.
 */
int rh_docker_result(
	struct rh_engine *engine, const struct rh_docker_response *response, struct rh_err *err);
