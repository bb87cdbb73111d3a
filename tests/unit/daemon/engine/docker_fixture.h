/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An engine's client before a stand-in server, and what it was told.
 */

#include <stdbool.h>
#include <uv.h>

#include "broker/daemon/engine/engine.h"
#include "fake_docker.h"
#include "rh-test.h"
#include "runnerhub/clock.h"

#define ID       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define INSTANCE "00112233445566778899aabbccddeeff"
#define OK       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define ERR(s)   "HTTP/1.1 " s "\r\nContent-Type: application/json\r\n"
#define CHUNKED  "Transfer-Encoding: chunked\r\n\r\n"
#define LIMIT_MS (20 * (int64_t)docker_timeout_ms())

#define VERSION                                                                     \
	{                                                                           \
		"GET /version",                                                     \
			OK "Content-Length: ?\r\n\r\n"                              \
			   "{\"ApiVersion\":\"1.44\",\"MinAPIVersion\":\"1.24\" }", \
			FAKE_KEEP, 0                                                \
	}
#define STREAM                                                \
	{                                                     \
		"GET /v1.44/events", OK CHUNKED, FAKE_HANG, 0 \
	}

struct docker_fixture {
	char dir[64];
	char path[128];
	uv_loop_t loop;
	struct rh_log *log;
	struct rh_engine *engine;
	struct fake_docker *fake;
	unsigned timeout_ms; /* of a request; 0: docker_timeout_ms() */
	bool closed;
	unsigned n_up, n_down, n_events;
	struct rh_engine_event last;
	bool done;
	int r;
	char id[RH_ENGINE_ID_SIZE];
	struct rh_err err;
	struct rh_engine_container container;
	size_t n;
	struct rh_engine_info info;
	struct rh_engine_network network;
};

/* Of a request. Grows with Check's own deadlines, which valgrind and sanitizers stretch. */
unsigned docker_timeout_ms(void);

/* @routes: NULL: nobody listens yet. */
void docker_start(struct docker_fixture *f, const struct fake_route *routes);
void docker_stop(struct docker_fixture *f);
/* One turn of the loop, a few milliseconds at most. */
void docker_turn(struct docker_fixture *f);

/* Callbacks that note what they are told. */
void docker_on_closed(void *arg);
void docker_on_done(void *arg, int r, const struct rh_err *err);
void docker_on_text(void *arg, int r, const char *text, const struct rh_err *err);
void docker_on_list(void *arg, int r, const struct rh_engine_container *list, size_t n,
	const struct rh_err *err);
void docker_on_network(
	void *arg, int r, const struct rh_engine_network *network, const struct rh_err *err);
void docker_on_info(void *arg, int r, const struct rh_engine_info *info, const struct rh_err *err);

#define RUN_UNTIL(f, condition)                              \
	do {                                                 \
		int64_t limit_ = rh_now_ms() + LIMIT_MS;     \
                                                             \
		while (!(condition) && rh_now_ms() < limit_) \
			docker_turn(f);                      \
		ck_assert_msg(condition, "%s", #condition);  \
	} while (0)

#define CALL(f, call)                        \
	do {                                 \
		(f)->done = false;           \
		ck_assert_int_eq((call), 0); \
		ck_assert(!(f)->done);       \
		RUN_UNTIL(f, (f)->done);     \
	} while (0)
