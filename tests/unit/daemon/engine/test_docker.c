/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The engine against a stand-in server: answers of every kind, and a stream that breaks.
 */

#include <json-c/json.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/daemon/engine/engine.h"
#include "fake_docker.h"
#include "rh-test.h"
#include "runnerhub/clock.h"

#define ID         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define INSTANCE   "00112233445566778899aabbccddeeff"
#define OK         "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define ERR(s)     "HTTP/1.1 " s "\r\nContent-Type: application/json\r\n"
#define CHUNKED    "Transfer-Encoding: chunked\r\n\r\n"
#define TIMEOUT_MS 300
#define LIMIT_MS   3000

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

struct fixture {
	char dir[64];
	char path[128];
	uv_loop_t loop;
	struct rh_log *log;
	struct rh_engine *engine;
	struct fake_docker *fake;
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
};

static void on_event(void *arg, const struct rh_engine_event *event)
{
	struct fixture *f = arg;

	if (event->kind == RH_ENGINE_UP) {
		f->n_up++;
	} else if (event->kind == RH_ENGINE_DOWN) {
		f->n_down++;
	} else {
		f->n_events++;
		f->last = *event;
	}
}

static void start(struct fixture *f, const struct fake_route *routes)
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
		.timeout_ms = TIMEOUT_MS,
		.on_event = on_event,
		.arg = f,
	};

	ck_assert_int_eq(uv_loop_init(&f->loop), 0);
	ck_assert_int_eq(rh_engine_start(&f->loop, &options, f->log, &f->engine), 0);
}

#define RUN_UNTIL(f, condition)                                             \
	do {                                                                \
		int64_t limit_ = rh_now_ms() + LIMIT_MS;                    \
		uv_timer_t tick_;                                           \
                                                                            \
		ck_assert_int_eq(uv_timer_init(&(f)->loop, &tick_), 0);     \
		ck_assert_int_eq(uv_timer_start(&tick_, on_tick, 5, 5), 0); \
		while (!(condition) && rh_now_ms() < limit_)                \
			(void)uv_run(&(f)->loop, UV_RUN_ONCE);              \
		uv_close((uv_handle_t *)&tick_, NULL);                      \
		(void)uv_run(&(f)->loop, UV_RUN_NOWAIT);                    \
		ck_assert_msg(condition, "%s", #condition);                 \
	} while (0)

static void on_tick(uv_timer_t *timer)
{
}

static void on_closed(void *arg)
{
	*(bool *)arg = true;
}

static void stop(struct fixture *f)
{
	if (f->engine) {
		rh_engine_close(f->engine, on_closed, &f->closed);
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

static void on_done(void *arg, int r, const struct rh_err *err)
{
	struct fixture *f = arg;

	ck_assert(!f->done);
	f->done = true;
	f->r = r;
	f->err = *err;
}

static void on_text(void *arg, int r, const char *text, const struct rh_err *err)
{
	struct fixture *f = arg;

	if (text)
		(void)snprintf(f->id, sizeof(f->id), "%s", text);
	on_done(arg, r, err);
}

static void on_list(void *arg, int r, const struct rh_engine_container *list, size_t n,
	const struct rh_err *err)
{
	struct fixture *f = arg;

	f->n = n;
	if (n > 0)
		f->container = list[n - 1];
	on_done(arg, r, err);
}

static void on_info(void *arg, int r, const struct rh_engine_info *info, const struct rh_err *err)
{
	struct fixture *f = arg;

	if (info)
		f->info = *info;
	on_done(arg, r, err);
}

/* Runs one call to its end. */
#define CALL(f, call)                        \
	do {                                 \
		(f)->done = false;           \
		ck_assert_int_eq((call), 0); \
		ck_assert(!(f)->done);       \
		RUN_UNTIL(f, (f)->done);     \
	} while (0)

static const struct rh_engine_bind binds[] = {
	{.source = "/host/agent", .target = "/.runnerhub/agent", .read_only = true},
};
static const char *const entrypoint[] = {"/.runnerhub/agent", NULL};
static const char *const labels[] = {
	"runnerhub.managed", "true", "runnerhub.instance", INSTANCE, NULL};
static const char *const cap_drop[] = {"NET_RAW", NULL};
static const struct rh_engine_spec spec = {
	.name = "runnerhub-default-001122334455",
	.hostname = "001122334455",
	.image = "some/image:1",
	.entrypoint = entrypoint,
	.labels = labels,
	.binds = binds,
	.n_binds = 1,
	.network = "runnerhub",
	.cpus = 1.5,
	.memory_bytes = 1 << 30,
	.pids = 100,
	.nofile = 4096,
	.cap_drop = cap_drop,
};

START_TEST(test_create)
{
	const struct fake_route routes[] = {VERSION, STREAM,
		{"POST /v1.44/containers/create?name=runnerhub-default-001122334455 ",
			ERR("201 Created") CHUNKED
			"14\r\n{\"Id\":\""
			"0123456789abc"
			"\r\n"
			"33\r\ndef0123456789abcdef0123456789abcdef"
			"0123456789abcdef\r\n"
			"19\r\n\",\"Warnings\":null}\n      \r\n0\r\n\r\n",
			FAKE_KEEP, 0},
		{0}};
	struct fixture f = {0};
	char request[8192] = "";

	start(&f, routes);
	ck_assert_int_eq(rh_engine_create(f.engine, &spec, on_text, &f), -ENOTCONN);
	RUN_UNTIL(&f, f.n_up == 1);
	ck_assert(rh_engine_is_up(f.engine));
	CALL(&f, rh_engine_create(f.engine, &spec, on_text, &f));
	ck_assert_msg(f.r == 0, "%d %s", f.r, f.err.text);
	ck_assert_str_eq(f.id, ID);

	ck_assert(fake_docker_last(
		f.fake, "POST /v1.44/containers/create", request, sizeof(request)));

	struct json_object *body = json_tokener_parse(strstr(request, "\r\n\r\n") + 4);
	struct json_object *host = json_object_object_get(body, "HostConfig");

	ck_assert_ptr_nonnull(host);
	ck_assert_int_eq(
		json_object_get_int64(json_object_object_get(host, "NanoCpus")), 1500000000);
	ck_assert_int_eq(
		json_object_get_int64(json_object_object_get(host, "MemorySwap")), 1 << 30);
	ck_assert_str_eq(json_object_to_json_string_ext(json_object_object_get(host, "SecurityOpt"),
				 JSON_C_TO_STRING_PLAIN),
		"[\"no-new-privileges\"]");
	ck_assert_str_eq(json_object_to_json_string_ext(
				 json_object_object_get(host, "Ulimits"), JSON_C_TO_STRING_PLAIN),
		"[{\"Name\":\"core\",\"Soft\":0,\"Hard\":0},"
		"{\"Name\":\"nofile\",\"Soft\":4096,\"Hard\":4096}]");
	ck_assert_str_eq(json_object_to_json_string_ext(
				 json_object_object_get(host, "Mounts"), JSON_C_TO_STRING_PLAIN),
		"[{\"Type\":\"bind\",\"Source\":\"\\/host\\/agent\",\"Target\":"
		"\"\\/.runnerhub\\/agent\",\"ReadOnly\":true}]");
	json_object_put(body);
	stop(&f);
}
END_TEST

START_TEST(test_errors)
{
#define ERROR_BODY "Content-Length: ?\r\n\r\n{\"message\":\"No such image: some/im\"}\n"
	const struct fake_route routes[] = {VERSION, STREAM,
		{"POST /v1.44/containers/create", ERR("404 Not Found") ERROR_BODY, FAKE_KEEP, 0},
		{"DELETE /v1.44/containers/gone", ERR("404 Not Found") ERROR_BODY, FAKE_KEEP, 0},
		{"DELETE /v1.44/containers/busy", ERR("409 Conflict") ERROR_BODY, FAKE_KEEP, 0},
		{"DELETE /v1.44/containers/half", OK "Content-Length: 36\r\n\r\n{\"mess",
			FAKE_CLOSE, 0},
		{"DELETE /v1.44/containers/garbage", "\x01\x02\xff\r\n\r\n", FAKE_CLOSE, 0},
		{"DELETE /v1.44/containers/silent", "", FAKE_HANG, 0},
		{"DELETE /v1.44/containers/nothing", "", FAKE_CLOSE, 0},
		{"DELETE /v1.44/containers/huge", OK "Content-Length: 99999999\r\n\r\n{", FAKE_HANG,
			0},
		{"DELETE /v1.44/containers/mute", ERR("500 Oops") "Content-Length: 0\r\n\r\n",
			FAKE_KEEP, 0},
		{"DELETE /v1.44/containers/chunk", OK CHUNKED "zz\r\n{}\r\n0\r\n\r\n", FAKE_CLOSE,
			0},
		{0}};
	static const struct {
		const char *id;
		int r;
	} cases[] = {
		{"gone", 0},
		{"busy", -EEXIST},
		{"half", -ECONNRESET},
		{"garbage", -EPROTO},
		{"silent", -ETIMEDOUT},
		{"nothing", -ECONNRESET},
		{"huge", -ETIMEDOUT},
		{"mute", -EIO},
		{"chunk", -ECONNRESET},
	};
	struct fixture f = {0};
	struct rh_engine_stats stats = {0};

	start(&f, routes);
	RUN_UNTIL(&f, f.n_up == 1);
	CALL(&f, rh_engine_create(f.engine, &spec, on_text, &f));
	ck_assert_int_eq(f.r, -ENOENT);
	ck_assert_str_eq(f.err.text,
		"the image some/image:1 is not on this host; get it with: docker pull "
		"some/image:1");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CALL(&f, rh_engine_remove(f.engine, cases[i].id, on_done, &f));
		ck_assert_msg(f.r == cases[i].r, "%s: %d %s", cases[i].id, f.r, f.err.text);
		ck_assert(f.r == 0 || f.err.text[0] != '\0');
	}
	ck_assert_int_eq(rh_engine_remove(f.engine, "../images/x", on_done, &f), -EINVAL);
	ck_assert_int_eq(rh_engine_remove(f.engine, "", on_done, &f), -EINVAL);
	rh_engine_stats(f.engine, &stats);
	ck_assert_uint_eq(stats.n_in_flight, 0);
	ck_assert_uint_eq(stats.n_requests, 10);
	ck_assert_uint_eq(stats.n_failed, 10);
	stop(&f);
}
END_TEST

START_TEST(test_nofile_is_left_out)
{
	const struct fake_route routes[] = {VERSION, STREAM,
		{"POST /v1.44/containers/" ID "/start",
			ERR("500 Oops") "Content-Length: ?\r\n\r\n"
					"{\"message\":\"OCI: error setting rlimit type 7: perm\"}  "
					"  ",
			FAKE_KEEP, 1},
		{"POST /v1.44/containers/" ID "/start", ERR("304 Not Modified") "\r\n", FAKE_KEEP,
			0},
		{"POST /v1.44/containers/create", ERR("201 Created") "Content-Length: 2\r\n\r\n{}",
			FAKE_KEEP, 0},
		{0}};
	struct fixture f = {0};
	char request[8192] = "";

	start(&f, routes);
	RUN_UNTIL(&f, f.n_up == 1);
	CALL(&f, rh_engine_start_container(f.engine, ID, on_done, &f));
	ck_assert_int_eq(f.r, -ERANGE);
	CALL(&f, rh_engine_create(f.engine, &spec, on_text, &f));
	ck_assert_int_eq(f.r, -EPROTO); /* an answer without an id */
	ck_assert(fake_docker_last(
		f.fake, "POST /v1.44/containers/create", request, sizeof(request)));
	ck_assert_ptr_null(strstr(request, "nofile"));
	CALL(&f, rh_engine_start_container(f.engine, ID, on_done, &f));
	ck_assert_int_eq(f.r, 0);
	stop(&f);
}
END_TEST

START_TEST(test_queries)
{
	const struct fake_route routes[] = {VERSION, STREAM,
		{"GET "
		 "/v1.44/containers/json?all=1&filters=%7B%22label%22%3A%5B%22runnerhub.managed",
			OK "Content-Length: ?\r\n\r\n"
			   "[{\"Id\":\"" ID "\",\"Names\":[\"/runnerhub-x\"],\"State\":"
			   "\"running\",\"Created\":1700000000,\"Labels\":{\"x\":\"y\"}}]",
			FAKE_KEEP, 0},
		{"GET /v1.44/containers/" ID "/json",
			OK "Connection: close\r\n\r\n{\"Id\":\"" ID "\",\"Name\":\"/"
			   "n\",\"Created\":\"2023-11-14T22:13:20.123456Z\",\"RestartCount\":2,"
			   "\"State\":{\"Status\":\"exited\",\"ExitCode\":137,\"OOMKilled\":true,"
			   "\"Pid\":0,"
			   "\"StartedAt\":\"0001-01-01T00:00:00Z\"},\"Config\":{\"Labels\":"
			   "{\"runnerhub.instance\":\"" INSTANCE
			   "\",\"runnerhub.profile\":\"p\"}}}",
			FAKE_CLOSE, 0},
		{"GET /v1.44/info",
			OK "Connection: "
			   "close\r\n\r\n{\"ServerVersion\":\"20.10\",\"CgroupVersion\":\"2\","
			   "\"NCPU\":2,\"MemTotal\":1024,\"Driver\":\"overlay2\"}",
			FAKE_CLOSE, 0},
		{"GET /v1.44/containers/" ID "/logs?stdout=1&stderr=1&tail=5",
			OK "Connection: close\r\n\r\n\x02\x01\x01\x01\x01\x01\x01\x01why\n",
			FAKE_CLOSE, 0},
		{"GET /v1.44/images/a%2Fb%3A1/json", OK "Content-Length: 2\r\n\r\n{}", FAKE_KEEP,
			0},
		{0}};
	struct fixture f = {0};

	start(&f, routes);
	RUN_UNTIL(&f, f.n_up == 1);
	CALL(&f, rh_engine_list(f.engine, on_list, &f));
	ck_assert_msg(f.r == 0 && f.n == 1, "%d %s", f.r, f.err.text);
	ck_assert_str_eq(f.container.name, "runnerhub-x");
	ck_assert_str_eq(f.container.instance, "");
	ck_assert_int_eq(f.container.created_ms, 1700000000000);
	CALL(&f, rh_engine_inspect(f.engine, ID, on_list, &f));
	ck_assert_msg(f.r == 0 && f.n == 1, "%d %s", f.r, f.err.text);
	ck_assert_str_eq(f.container.instance, INSTANCE);
	ck_assert_str_eq(f.container.profile, "p");
	ck_assert_int_eq(f.container.created_ms, 1700000000123);
	ck_assert_int_eq(f.container.started_ms, 0);
	ck_assert_int_eq(f.container.exit_code, 137);
	ck_assert(f.container.oom_killed);
	ck_assert_uint_eq(f.container.restart_count, 2);
	CALL(&f, rh_engine_info(f.engine, on_info, &f));
	ck_assert_int_eq(f.r, 0);
	ck_assert_int_eq(f.info.cgroup_version, 2);
	ck_assert_str_eq(f.info.api_version, "1.44");
	CALL(&f, rh_engine_logs(f.engine, ID, 5, on_text, &f));
	ck_assert_int_eq(f.r, 0);
	ck_assert_str_eq(f.id, "why\n");
	CALL(&f, rh_engine_image(f.engine, "a/b:1", on_done, &f));
	ck_assert_int_eq(f.r, 0);
	CALL(&f, rh_engine_image(f.engine, "a/b:2", on_done, &f));
	ck_assert_int_eq(f.r, -ENOENT);
	stop(&f);
}
END_TEST

START_TEST(test_network)
{
#define NETWORK(icc)                                                      \
	OK "Connection: close\r\n\r\n{\"Driver\":\"bridge\",\"Options\":" \
	   "{\"com.docker.network.bridge.enable_icc\":\"" icc "\"}}"
	const struct fake_route routes[] = {VERSION, STREAM,
		{"GET /v1.44/networks/good", NETWORK("false"), FAKE_CLOSE, 0},
		{"GET /v1.44/networks/open", NETWORK("true"), FAKE_CLOSE, 0},
		{"POST /v1.44/networks/create", ERR("409 Conflict") "Content-Length: 0\r\n\r\n",
			FAKE_KEEP, 1},
		{"POST /v1.44/networks/create", ERR("201 Created") "Content-Length: 0\r\n\r\n",
			FAKE_KEEP, 0},
		{0}};
	struct fixture f = {0};

	start(&f, routes);
	RUN_UNTIL(&f, f.n_up == 1);
	CALL(&f, rh_engine_network(f.engine, "good", on_done, &f));
	ck_assert_int_eq(f.r, 0);
	CALL(&f, rh_engine_network(f.engine, "open", on_done, &f));
	ck_assert_int_eq(f.r, -EEXIST);
	for (int i = 0; i < 2; i++) {
		CALL(&f, rh_engine_network(f.engine, "missing", on_done, &f));
		ck_assert_int_eq(f.r, 0);
	}
	ck_assert_uint_eq(fake_docker_count(f.fake, "POST /v1.44/networks/create"), 2);
	stop(&f);
}
END_TEST

#define EVENT(action, time)                                                          \
	"{\"Type\":\"container\",\"Action\":\"" action "\",\"Actor\":{\"ID\":\"" ID  \
	"\",\"Attributes\":{\"exitCode\":\"137\",\"runnerhub.instance\":\"" INSTANCE \
	"\"}},\"timeNano\":" time "}\n"

START_TEST(test_stream)
{
	const struct fake_route routes[] = {VERSION,
		{"GET /v1.44/events?filters=",
			OK "Connection: close\r\n\r\n" EVENT("die", "1700000000000000007")
				EVENT("start", "1700000000000000008") "nonsense\n" EVENT(
					"oom", "1700000000000000006") "{\"half",
			FAKE_CLOSE, 0},
		{"GET /v1.44/events?since=1700000000.000000007&filters=", OK CHUNKED, FAKE_HANG, 1},
		{0}};
	struct fixture f = {0};

	start(&f, routes);
	RUN_UNTIL(&f, f.n_up == 2);
	ck_assert_uint_eq(f.n_down, 1);
	ck_assert_uint_eq(f.n_events, 2);
	ck_assert_int_eq(f.last.kind, RH_ENGINE_OOM);
	ck_assert_int_eq(f.last.exit_code, 137);
	ck_assert_str_eq(f.last.id, ID);
	ck_assert_str_eq(f.last.instance, INSTANCE);
	fake_docker_cut(f.fake);
	RUN_UNTIL(&f, f.n_down == 2);
	ck_assert(!rh_engine_is_up(f.engine));
	stop(&f);
}
END_TEST

START_TEST(test_stream_of_one_endless_line)
{
	static char endless[200000] = OK "Connection: close\r\n\r\n";
	const struct fake_route routes[] = {
		VERSION, {"GET /v1.44/events?filters=", endless, FAKE_HANG, 1}, STREAM, {0}};
	struct fixture f = {0};
	size_t n = strlen(endless);

	memset(endless + n, 'x', sizeof(endless) - n - 1);
	start(&f, routes);
	RUN_UNTIL(&f, f.n_up == 2);
	ck_assert_uint_eq(f.n_down, 1);
	stop(&f);
}
END_TEST

START_TEST(test_version_refused)
{
	const struct fake_route routes[] = {
		{"GET /version",
			OK "Content-Length: "
			   "?\r\n\r\n{\"ApiVersion\":\"1.40\",\"MinAPIVersion\":\"1.24\" }",
			FAKE_KEEP, 1},
		{"GET /version", "", FAKE_HANG, 1}, VERSION, STREAM, {0}};
	struct fixture f = {0};

	start(&f, routes);
	RUN_UNTIL(&f, fake_docker_count(f.fake, "GET /version") == 2);
	ck_assert_uint_eq(f.n_up, 0);
	ck_assert_int_eq(rh_engine_list(f.engine, on_list, &f), -ENOTCONN);
	RUN_UNTIL(&f, f.n_up == 1);
	ck_assert_uint_eq(f.n_down, 0);
	stop(&f);
}
END_TEST

START_TEST(test_nobody_there_then_somebody)
{
	const struct fake_route routes[] = {VERSION, STREAM, {0}};
	struct fixture f = {0};
	int64_t from = rh_now_ms();

	start(&f, NULL);
	RUN_UNTIL(&f, rh_now_ms() > from + 50);
	f.fake = fake_docker_start(f.path, routes);
	RUN_UNTIL(&f, f.n_up == 1);
	fake_docker_stop(f.fake);
	f.fake = NULL;
	(void)unlink(f.path);
	RUN_UNTIL(&f, f.n_down == 1);
	CALL(&f, rh_engine_list(f.engine, on_list, &f));
	ck_assert_int_eq(f.r, -ECONNREFUSED);
	ck_assert_ptr_nonnull(strstr(f.err.text, "does not answer; is it running?"));
	stop(&f);
}
END_TEST

START_TEST(test_close_cancels)
{
	const struct fake_route routes[] = {
		VERSION, STREAM, {"GET /v1.44/info", "", FAKE_HANG, 0}, {0}};
	struct fixture f = {0};

	start(&f, routes);
	RUN_UNTIL(&f, f.n_up == 1);
	ck_assert_int_eq(rh_engine_info(f.engine, on_info, &f), 0);
	RUN_UNTIL(&f, fake_docker_count(f.fake, "GET /v1.44/info") == 1);
	rh_engine_close(f.engine, on_closed, &f.closed);
	rh_engine_close(f.engine, on_closed, &f.closed);
	ck_assert(!f.done);
	ck_assert_int_eq(rh_engine_info(f.engine, on_info, &f), -ESHUTDOWN);
	RUN_UNTIL(&f, f.closed);
	ck_assert(f.done);
	ck_assert_int_eq(f.r, -ECANCELED);
	f.engine = NULL;
	stop(&f);
}
END_TEST

static void tests_of_docker(Suite *suite)
{
	RH_ADD_TESTS(suite, "calls", test_create, test_errors, test_nofile_is_left_out,
		test_queries, test_network, test_close_cancels);
	RH_ADD_TESTS(suite, "events", test_stream, test_stream_of_one_endless_line,
		test_version_refused, test_nobody_there_then_somebody);
}

RH_TEST_MAIN("docker", tests_of_docker);
