/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Containers on stand-ins.
 */

#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rh-test.h"
#include "runnerhub/clock.h"

struct fixture f;

static void on_step_ended(
	void *arg, struct rh_container *container, const struct rh_wire_step_report *report)
{
	f.n_reports++;
	f.report = *report;
}

static void on_lost(void *arg, struct rh_container *container, const char *reason)
{
	ck_assert_ptr_eq(rh_container_owner(container), &f);
	f.n_lost++;
	(void)snprintf(f.lost_reason, sizeof(f.lost_reason), "%s", reason);
}

void fixture_open(void)
{
	struct rh_containers_options options = {
		.loop = &f.loop,
		.config = &f.config,
		.engine = fakes_engine(),
		.mounter = fakes_mounter(),
		.store = fakes_store(),
		.log = f.log,
		.on_step_ended = on_step_ended,
		.on_lost = on_lost,
	};

	f.closed = false;
	ck_assert_int_eq(rh_containers_start(&options, &f.all), 0);
}

void fixture_setup(void)
{
	f = (struct fixture){0};
	(void)snprintf(f.dir, sizeof(f.dir), "/tmp/rh-containers-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(f.dir));
	(void)snprintf(f.parent_dir, sizeof(f.parent_dir), "%s/containers", f.dir);
	f.profile = (struct rh_profile){
		.name = (char *)"p",
		.image = (char *)"img",
		.network = (char *)"isolated",
		.runtime = (char *)"default",
		.max = 5,
	};
	f.config = (struct rh_config){
		.n_refs = 1,
		.state_dir = f.dir,
		.network_name = (char *)"runnerhub",
		.network_ip6 = (char *)"none",
		.libexec_dir = (char *)"/nowhere",
		.docker_socket = (char *)"/docker.sock",
		.engine_timeout_ms = 1000,
		.engine_parallel = 4,
		.job_start_wait_ms = 6000,
		.agent_timeout_ms = 2000,
		.announce_keep_ms = 2500,
		.profiles = &f.profile,
		.n_profiles = 1,
	};
	ck_assert_int_eq(uv_loop_init(&f.loop), 0);
	f.log = rh_log_new(
		STDERR_FILENO, getenv("RH_TEST_LOG") ? RH_LOG_DEBUG : RH_LOG_ERROR, RH_LOG_TEXT);
	fakes_start(&f.loop);
	fixture_open();
}

static void on_tick(uv_timer_t *timer)
{
}

void fixture_turn(void)
{
	uv_timer_t tick;

	(void)uv_timer_init(&f.loop, &tick);
	(void)uv_timer_start(&tick, on_tick, 2, 0);
	(void)uv_run(&f.loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&tick, NULL);
	(void)uv_run(&f.loop, UV_RUN_NOWAIT);
}

static void on_closed(void *arg)
{
	f.closed = true;
}

void fixture_close(bool remove_warm)
{
	rh_containers_close(f.all, remove_warm, on_closed, NULL);
	UNTIL(f.closed);
	f.all = NULL;
}

void fixture_teardown(void)
{
	if (f.all)
		fixture_close(true);
	UNTIL(fakes.n_pending == 0);
	ck_assert_int_eq(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	ck_assert_int_eq(uv_loop_close(&f.loop), 0);
	/* Nobody keeps a reference to the configuration. */
	ck_assert_uint_eq(f.config.n_refs, 1);
	fakes_stop();
	rh_log_free(f.log);
	fakes_remove_tree(f.dir);
}

void fixture_event(
	enum rh_engine_event_kind kind, const struct fake_container *container, int exit_code)
{
	struct rh_engine_event event = {.kind = kind, .exit_code = exit_code};

	if (container) {
		memcpy(event.id, container->id, sizeof(event.id));
		memcpy(event.instance, container->instance, sizeof(event.instance));
	}
	rh_containers_on_engine(f.all, &event);
}

void fixture_up(void)
{
	fixture_event(RH_ENGINE_UP, NULL, 0);
}

static void on_acquired(
	void *arg, int r, struct rh_container *container, bool cold, const struct rh_err *err)
{
	f.n_acquired++;
	f.acquire_r = r;
	f.container = container;
	f.cold = cold;
	f.err = *err;
	if (container)
		rh_container_set_owner(container, &f);
}

void fixture_acquire(void)
{
	struct rh_container_request *request = NULL;
	unsigned before = f.n_acquired;

	ck_assert_int_eq(
		rh_containers_acquire(f.all, &f.profile, "r1", on_acquired, NULL, &request), 0);
	ck_assert_uint_eq(f.n_acquired, before);
}

static void on_leased(
	void *arg, int r, const struct rh_mount_result *result, const struct rh_err *err)
{
	f.n_leased++;
	f.lease_r = r;
	f.result = *result;
	f.lease_err = *err;
}

void fixture_lease(void)
{
	struct rh_id job = {.bytes = {0xab, 0xcd}};
	struct rh_mount_attach attach = {.root = "/r", .work = "/r/_work", .repo = "x"};
	unsigned before = f.n_leased;

	ck_assert_int_eq(rh_container_lease(f.container, &job, &attach, on_leased, NULL), 0);
	ck_assert_uint_eq(f.n_leased, before);
}

void fixture_lease_one(void)
{
	unsigned n_acquired = f.n_acquired + 1, n_leased = f.n_leased + 1;

	fixture_acquire();
	UNTIL(f.n_acquired == n_acquired);
	ck_assert_msg(f.acquire_r == 0, "%s", f.err.text);
	fixture_lease();
	UNTIL(f.n_leased == n_leased);
	ck_assert_msg(f.lease_r == 0, "%s", f.lease_err.text);
}

struct fake_container *fixture_fake(void)
{
	char instance[RH_ID_TEXT_SIZE];

	rh_id_format(rh_container_instance(f.container), instance);
	return fakes_find(instance);
}

static void on_view(void *arg, const struct rh_pool_view *view)
{
	if (strcmp(view->profile, "p") == 0)
		*(struct rh_pool_view *)arg = *view;
}

struct rh_pool_view fixture_view(void)
{
	struct rh_pool_view view = {0};

	rh_containers_pools(f.all, on_view, &view);
	return view;
}

void fixture_on_gone(void *arg)
{
	f.gone = true;
}
