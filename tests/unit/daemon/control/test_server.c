/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/control/control.h: what closing waits for. The engine is a stand-in whose answer
 * comes when the test says so.
 */

#include "broker/daemon/control/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "rh-test.h"
#include "runnerhub/clock.h"
#include "runnerhub/fd.h"
#include "runnerhub/limits.h"

static uv_loop_t loop;
static struct rh_log *log_;
static struct rh_control *control;
static struct rh_config config;
static char dir[64];
static bool closed;
static rh_engine_info_fn asked;
static void *asked_arg;

bool __wrap_rh_engine_is_up(const struct rh_engine *engine);
int __wrap_rh_engine_info(struct rh_engine *engine, rh_engine_info_fn cb, void *arg);

bool __wrap_rh_engine_is_up(const struct rh_engine *engine)
{
	return true;
}

int __wrap_rh_engine_info(struct rh_engine *engine, rh_engine_info_fn cb, void *arg)
{
	asked = cb;
	asked_arg = arg;
	return 0;
}

static void setup(void)
{
	struct rh_err err = {0};

	(void)snprintf(dir, sizeof(dir), "/tmp/rh-control-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	config = (struct rh_config){.n_refs = 1, .runtime_dir = dir, .group = (char *)""};
	log_ = rh_log_new(STDERR_FILENO, RH_LOG_ERROR, RH_LOG_TEXT);
	ck_assert_int_eq(uv_loop_init(&loop), 0);

	const struct rh_control_options options = {.loop = &loop, .config = &config, .log = log_};

	ck_assert_int_eq(rh_control_start(&options, &control, &err), 0);
}

static void teardown(void)
{
	ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	ck_assert_uint_eq(config.n_refs, 1);
	rh_log_free(log_);
	rh_test_remove_tree(dir);
}

static void on_closed(void *arg)
{
	closed = true;
}

static void on_late(uv_timer_t *timer)
{
	uv_stop(&loop);
}

static void run_until(const bool *condition, bool (*also)(void))
{
	uv_timer_t late;
	int64_t end_ms = rh_now_ms() + 5000;

	(void)uv_timer_init(&loop, &late);
	(void)uv_timer_start(&late, on_late, 100, 100);
	while (!(condition ? *condition : also()) && rh_now_ms() < end_ms)
		(void)uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&late, NULL);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
}

static bool was_asked(void)
{
	return asked != NULL;
}

static int ask(const char *line)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", dir, RH_CONTROL_SOCKET);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(rh_write_all(fd, line, strlen(line)), 0);
	return fd;
}

START_TEST(closing_does_not_wait_for_the_engine)
{
	int fd = ask("{\"op\":\"status\"}\n");
	struct rh_err err = {0};

	run_until(NULL, was_asked);
	ck_assert_ptr_nonnull(asked);
	rh_control_close(control, on_closed, NULL);
	run_until(&closed, NULL);
	ck_assert_msg(closed, "it waits for the engine's answer");
	/* The engine's client is closed later, and then says so. */
	asked(asked_arg, -ECANCELED, NULL, &err);
	(void)close(fd);
}
END_TEST

static void tests_of_server(Suite *suite)
{
	TCase *tcase = tcase_create("server");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, closing_does_not_wait_for_the_engine);
	suite_add_tcase(suite, tcase);
}

RH_TEST_MAIN("control-server", tests_of_server);
