/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An engine's client before a stand-in server.
 */

#include "docker_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_event(void *arg, const struct rh_engine_event *event)
{
	struct docker_fixture *f = arg;

	if (event->kind == RH_ENGINE_UP) {
		f->n_up++;
	} else if (event->kind == RH_ENGINE_DOWN) {
		f->n_down++;
	} else {
		f->n_events++;
		f->last = *event;
	}
}

unsigned docker_timeout_ms(void)
{
	const char *multiplier = getenv("CK_TIMEOUT_MULTIPLIER");
	unsigned long factor = multiplier ? strtoul(multiplier, NULL, 10) : 1;

	return 300U * (unsigned)(factor > 0 && factor <= 100 ? factor : 1);
}

void docker_start(struct docker_fixture *f, const struct fake_route *routes)
{
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/rh-engine-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/docker.sock", f->dir);
	if (routes)
		f->fake = fake_docker_start(f->path, routes);
	f->log = rh_log_new(STDERR_FILENO, RH_LOG_ERROR, RH_LOG_TEXT);

	struct rh_engine_options options = {
		.socket = f->path,
		.label_filter = "runnerhub.managed=true\nrunnerhub.hub=/a, b",
		.timeout_ms = f->timeout_ms ? f->timeout_ms : docker_timeout_ms(),
		.on_event = on_event,
		.arg = f,
	};

	ck_assert_int_eq(uv_loop_init(&f->loop), 0);
	ck_assert_int_eq(rh_engine_start(&f->loop, &options, f->log, &f->engine), 0);
}

static void on_tick(uv_timer_t *timer)
{
}

void docker_turn(struct docker_fixture *f)
{
	uv_timer_t tick;

	ck_assert_int_eq(uv_timer_init(&f->loop, &tick), 0);
	ck_assert_int_eq(uv_timer_start(&tick, on_tick, 5, 0), 0);
	(void)uv_run(&f->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&tick, NULL);
	(void)uv_run(&f->loop, UV_RUN_NOWAIT);
}

void docker_on_closed(void *arg)
{
	*(bool *)arg = true;
}

void docker_stop(struct docker_fixture *f)
{
	if (f->engine) {
		rh_engine_close(f->engine, docker_on_closed, &f->closed);
		RUN_UNTIL(f, f->closed);
	}
	ck_assert_int_eq(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	ck_assert_int_eq(uv_loop_close(&f->loop), 0);
	if (f->fake)
		fake_docker_stop(f->fake);
	rh_log_free(f->log);
	(void)unlink(f->path);
	(void)rmdir(f->dir);
}

void docker_on_done(void *arg, int r, const struct rh_err *err)
{
	struct docker_fixture *f = arg;

	ck_assert(!f->done);
	f->done = true;
	f->r = r;
	f->err = *err;
}

void docker_on_text(void *arg, int r, const char *text, const struct rh_err *err)
{
	struct docker_fixture *f = arg;

	if (text)
		(void)snprintf(f->id, sizeof(f->id), "%s", text);
	docker_on_done(arg, r, err);
}

void docker_on_list(void *arg, int r, const struct rh_engine_container *list, size_t n,
	const struct rh_err *err)
{
	struct docker_fixture *f = arg;

	f->n = n;
	if (n > 0)
		f->container = list[n - 1];
	docker_on_done(arg, r, err);
}

void docker_on_network(
	void *arg, int r, const struct rh_engine_network *network, const struct rh_err *err)
{
	struct docker_fixture *f = arg;

	if (network)
		f->network = *network;
	docker_on_done(arg, r, err);
}

void docker_on_info(void *arg, int r, const struct rh_engine_info *info, const struct rh_err *err)
{
	struct docker_fixture *f = arg;

	if (info)
		f->info = *info;
	docker_on_done(arg, r, err);
}

/* Runs one call to its end. */
