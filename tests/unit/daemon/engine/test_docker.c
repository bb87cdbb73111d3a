/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The engine against a stand-in server: answers of every kind.
 */

#include <json-c/json.h>
#include <string.h>

#include "docker_fixture.h"

static const struct rh_engine_bind binds[] = {
	{.source = "/host/agent", .target = "/.runnerhub/agent", .read_only = true},
	{.source = "/host/slot", .target = "/.runnerhub/slot", .slave = true},
};
static const char *const entrypoint[] = {"/.runnerhub/agent", NULL};
static const char *const labels[] = {
	"runnerhub.managed", "true", "runnerhub.instance", INSTANCE, NULL};
static const char *const cap_drop[] = {"NET_RAW", NULL};
static const char *const ulimits[] = {"core=0", "memlock=65536:131072", NULL};
static const char *const security[] = {"no-new-privileges", "apparmor=docker-default", NULL};
static const char *const readonly_paths[] = {"/proc/sys", "/proc/1", NULL};
static const struct rh_engine_spec spec = {
	.name = "runnerhub-default-001122334455",
	.hostname = "001122334455",
	.image = "some/image:1",
	.entrypoint = entrypoint,
	.labels = labels,
	.binds = binds,
	.n_binds = 2,
	.network = "runnerhub",
	.cpus = 1.5,
	.memory_bytes = 1 << 30,
	.pids = 100,
	.nofile = 4096,
	.ulimits = ulimits,
	.cap_drop = cap_drop,
	.security = security,
	.readonly_paths = readonly_paths,
	.runtime = "crun",
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
	struct docker_fixture f = {0};
	char request[8192] = "";

	docker_start(&f, routes);
	ck_assert_int_eq(rh_engine_create(f.engine, &spec, docker_on_text, &f), -ENOTCONN);
	RUN_UNTIL(&f, f.n_up == 1);
	ck_assert(rh_engine_is_up(f.engine));
	CALL(&f, rh_engine_create(f.engine, &spec, docker_on_text, &f));
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
		"[\"no-new-privileges\",\"apparmor=docker-default\"]");
	ck_assert_str_eq(
		json_object_to_json_string_ext(json_object_object_get(host, "ReadonlyPaths"),
			JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
		"[\"/proc/sys\",\"/proc/1\"]");
	ck_assert_str_eq(json_object_get_string(json_object_object_get(host, "Runtime")), "crun");
	ck_assert(!json_object_object_get_ex(host, "IpcMode", NULL));
	ck_assert_str_eq(
		json_object_to_json_string_ext(
			json_object_object_get(body, "NetworkingConfig"), JSON_C_TO_STRING_PLAIN),
		"{\"EndpointsConfig\":{\"runnerhub\":{\"NetworkID\":\"runnerhub\"}}}");
	ck_assert_str_eq(json_object_to_json_string_ext(
				 json_object_object_get(host, "Ulimits"), JSON_C_TO_STRING_PLAIN),
		"[{\"Name\":\"core\",\"Soft\":0,\"Hard\":0},"
		"{\"Name\":\"memlock\",\"Soft\":65536,\"Hard\":131072},"
		"{\"Name\":\"nofile\",\"Soft\":4096,\"Hard\":4096}]");
	ck_assert_str_eq(json_object_to_json_string_ext(
				 json_object_object_get(host, "Mounts"), JSON_C_TO_STRING_PLAIN),
		"[{\"Type\":\"bind\",\"Source\":\"\\/host\\/agent\",\"Target\":"
		"\"\\/.runnerhub\\/agent\",\"ReadOnly\":true},"
		"{\"Type\":\"bind\",\"Source\":\"\\/host\\/slot\",\"Target\":"
		"\"\\/.runnerhub\\/slot\",\"ReadOnly\":false,"
		"\"BindOptions\":{\"Propagation\":\"rslave\"}}]");
	json_object_put(body);
	docker_stop(&f);
}
END_TEST

START_TEST(test_errors)
{
#define ERROR_BODY "Content-Length: ?\r\n\r\n{\"message\":\"No such image: some/im\"}\n"
	const struct fake_route routes[] = {VERSION, STREAM,
		{"GET /_ping", OK "Content-Length: ?\r\n\r\nOK", FAKE_KEEP, 0},
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
	struct docker_fixture f = {0};
	struct rh_engine_stats before = {0}, stats = {0};

	docker_start(&f, routes);
	RUN_UNTIL(&f, f.n_up == 1);
	/* On a slow machine one that asked for the version may still have to miss its deadline. */
	RUN_UNTIL(&f, (rh_engine_stats(f.engine, &before), before.n_in_flight == 0));
	CALL(&f, rh_engine_create(f.engine, &spec, docker_on_text, &f));
	ck_assert_int_eq(f.r, -ENOENT);
	ck_assert_str_eq(f.err.text,
		"the image some/image:1 is not on this host; get it with: docker pull "
		"some/image:1");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CALL(&f, rh_engine_remove(f.engine, cases[i].id, docker_on_done, &f));
		ck_assert_msg(f.r == cases[i].r, "%s: %d %s", cases[i].id, f.r, f.err.text);
		ck_assert(f.r == 0 || f.err.text[0] != '\0');
	}
	ck_assert_int_eq(rh_engine_remove(f.engine, "../images/x", docker_on_done, &f), -EINVAL);
	ck_assert_int_eq(rh_engine_remove(f.engine, "", docker_on_done, &f), -EINVAL);
	rh_engine_stats(f.engine, &stats);
	ck_assert_uint_eq(stats.n_in_flight, 0);
	ck_assert_uint_eq(stats.n_requests - before.n_requests, 10);
	ck_assert_uint_eq(stats.n_failed - before.n_failed, 10);
	docker_stop(&f);
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
	struct docker_fixture f = {0};
	char request[8192] = "";

	docker_start(&f, routes);
	RUN_UNTIL(&f, f.n_up == 1);
	CALL(&f, rh_engine_start_container(f.engine, ID, docker_on_done, &f));
	ck_assert_int_eq(f.r, -ERANGE);
	CALL(&f, rh_engine_create(f.engine, &spec, docker_on_text, &f));
	ck_assert_int_eq(f.r, -EPROTO); /* an answer without an id */
	ck_assert(fake_docker_last(
		f.fake, "POST /v1.44/containers/create", request, sizeof(request)));
	ck_assert_ptr_null(strstr(request, "nofile"));
	CALL(&f, rh_engine_start_container(f.engine, ID, docker_on_done, &f));
	ck_assert_int_eq(f.r, 0);
	docker_stop(&f);
}
END_TEST

START_TEST(test_quota_is_left_out)
{
	const struct fake_route routes[] = {VERSION, STREAM,
		{"POST /v1.44/containers/create",
			ERR("500 Oops") "Content-Length: ?\r\n\r\n"
					"{\"message\":\"--storage-opt is supported only for "
					"overlay over xfs with 'pquota' mount option\"}",
			FAKE_KEEP, 1},
		{"POST /v1.44/containers/create", OK "Content-Length: ?\r\n\r\n{\"Id\":\"" ID "\"}",
			FAKE_KEEP, 0},
		{0}};
	struct docker_fixture f = {0};
	struct rh_engine_spec limited = spec;
	char request[8192] = "";

	limited.disk_bytes = 3 << 20;
	docker_start(&f, routes);
	RUN_UNTIL(&f, f.n_up == 1);
	CALL(&f, rh_engine_create(f.engine, &limited, docker_on_text, &f));
	ck_assert_int_eq(f.r, -ERANGE);
	ck_assert(fake_docker_last(
		f.fake, "POST /v1.44/containers/create", request, sizeof(request)));
	ck_assert_ptr_nonnull(strstr(request, "\"StorageOpt\":{\"size\":\"3145728\"}"));
	CALL(&f, rh_engine_create(f.engine, &limited, docker_on_text, &f));
	ck_assert_int_eq(f.r, 0);
	ck_assert(fake_docker_last(
		f.fake, "POST /v1.44/containers/create", request, sizeof(request)));
	ck_assert_ptr_null(strstr(request, "StorageOpt"));
	docker_stop(&f);
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
			   "\"FinishedAt\":\"2023-11-14T22:13:20.5Z\",\"StartedAt\":\"0001-01-"
			   "01T00:00:00Z\"},\"Config\":{\"Labels\":"
			   "{\"runnerhub.instance\":\"" INSTANCE
			   "\",\"runnerhub.profile\":\"p\"}}}",
			FAKE_CLOSE, 0},
		{"GET /v1.44/info",
			OK "Connection: "
			   "close\r\n\r\n{\"ServerVersion\":\"20.10\",\"CgroupVersion\":\"2\","
			   "\"NCPU\":2,\"MemTotal\":1024,\"Driver\":\"overlay2\","
			   "\"DriverStatus\":[[\"Backing Filesystem\",\"xfs\"],7]}",
			FAKE_CLOSE, 0},
		{"GET /v1.44/containers/" ID "/logs?stdout=1&stderr=1&tail=5",
			OK "Connection: close\r\n\r\n\x02\x01\x01\x01\x01\x01\x01\x01why\n",
			FAKE_CLOSE, 0},
		{"POST /v1.44/images/create?fromImage=a%2Fb&tag=latest ",
			OK "Content-Length: "
			   "?\r\n\r\n{\"status\":\"Pulling\"}\n{\"status\":\"error\"}\r\n   ",
			FAKE_KEEP, 0},
		{"POST /v1.44/images/create?fromImage=b%3A2 ",
			OK "Content-Length: "
			   "?\r\n\r\n{\"status\":\"Pulling\"}\n{\"error\":\"manifest unknown\"}",
			FAKE_KEEP, 0},
		{"GET /v1.44/images/a%2Fb%3A1/json", OK "Content-Length: 2\r\n\r\n{}", FAKE_KEEP,
			0},
		{0}};
	struct docker_fixture f = {0};

	docker_start(&f, routes);
	RUN_UNTIL(&f, f.n_up == 1);
	CALL(&f, rh_engine_list(f.engine, docker_on_list, &f));
	ck_assert_msg(f.r == 0 && f.n == 1, "%d %s", f.r, f.err.text);
	ck_assert_str_eq(f.container.name, "runnerhub-x");
	ck_assert_str_eq(f.container.instance, "");
	ck_assert_int_eq(f.container.created_ms, 1700000000000);
	CALL(&f, rh_engine_inspect(f.engine, ID, docker_on_list, &f));
	ck_assert_msg(f.r == 0 && f.n == 1, "%d %s", f.r, f.err.text);
	ck_assert_str_eq(f.container.instance, INSTANCE);
	ck_assert_str_eq(f.container.profile, "p");
	ck_assert_int_eq(f.container.created_ms, 1700000000123);
	ck_assert_int_eq(f.container.started_ms, 0);
	ck_assert_int_eq(f.container.finished_ms, 1700000000500);
	ck_assert_int_eq(f.container.exit_code, 137);
	ck_assert(f.container.oom_killed);
	ck_assert_uint_eq(f.container.restart_count, 2);
	CALL(&f, rh_engine_info(f.engine, docker_on_info, &f));
	ck_assert_int_eq(f.r, 0);
	ck_assert_int_eq(f.info.cgroup_version, 2);
	ck_assert_str_eq(f.info.api_version, "1.44");
	ck_assert(f.info.may_have_quota);
	CALL(&f, rh_engine_logs(f.engine, ID, 5, docker_on_text, &f));
	ck_assert_int_eq(f.r, 0);
	ck_assert_str_eq(f.id, "why\n");
	CALL(&f, rh_engine_image(f.engine, "a/b:1", docker_on_done, &f));
	ck_assert_int_eq(f.r, 0);
	CALL(&f, rh_engine_image(f.engine, "a/b:2", docker_on_done, &f));
	ck_assert_int_eq(f.r, -ENOENT);
	CALL(&f, rh_engine_pull(f.engine, "a/b", docker_on_done, &f));
	ck_assert_int_eq(f.r, 0);
	CALL(&f, rh_engine_pull(f.engine, "b:2", docker_on_done, &f));
	ck_assert_int_eq(f.r, -EIO);
	ck_assert_str_eq(f.err.text, "the image b:2 could not be fetched: manifest unknown");
	docker_stop(&f);
}
END_TEST

#define LIST(items)   OK "Connection: close\r\n\r\n[" items "]"
#define NET_ID(digit) "00000000000000000000000000000000000000000000000000000000000000" digit
#define NETWORK(name, id, icc, more)                                       \
	"{\"Name\":\"" name                                                \
	"\",\"Id\":\"" NET_ID(id) "\",\"Driver\":\"bridge\",\"Options\":{" \
				  "\"com.docker.network.bridge.enable_icc\":\"" icc "\"}" more "}"
#define MORE                                                                   \
	",\"EnableIPv6\":true,\"IPAM\":{\"Config\":["                          \
	"{\"Gateway\":\"fd00::1\"},{\"Subnet\":\"172.20.0.0/16\",\"Gateway\":" \
	"\"172.20.0.1\"}]}"
#define ASKED(name) "GET /v1.44/networks?filters=%7B%22name%22%3A%5B%22" name "%22%5D%7D "
#define CREATE      "POST /v1.44/networks/create"

START_TEST(test_network)
{
	const struct fake_route routes[] = {VERSION, STREAM,
		{ASKED("good"), LIST(NETWORK("good", "01", "false", "")), FAKE_CLOSE, 0},
		{ASKED("open"), LIST(NETWORK("open", "01", "true", "")), FAKE_CLOSE, 0},
		{ASKED("odd"), LIST("{\"Name\":\"odd\",\"Id\":\"../x\"}"), FAKE_CLOSE, 0},
		{ASKED("missing"), LIST(""), FAKE_CLOSE, 1},
		{ASKED("missing"), LIST(NETWORK("missing", "02", "false", MORE)), FAKE_CLOSE, 1},
		/* The filter lets through what contains the name. */
		{ASKED("missing"), LIST(NETWORK("missing2", "01", "false", MORE)), FAKE_CLOSE, 1},
		{ASKED("missing"), LIST(NETWORK("missing", "02", "false", MORE)), FAKE_CLOSE, 1},
		{ASKED("never"), LIST(""), FAKE_CLOSE, 0},
		{CREATE, ERR("409 Conflict") "Content-Length: 0\r\n\r\n", FAKE_KEEP, 1},
		{CREATE, ERR("201 Created") "Content-Length: 0\r\n\r\n", FAKE_KEEP, 0}, {0}};
	struct docker_fixture f = {0};
	struct rh_engine_network_spec wanted = {.name = "good", .hub = "/hub"};

	docker_start(&f, routes);
	RUN_UNTIL(&f, f.n_up == 1);
	CALL(&f, rh_engine_network(f.engine, &wanted, docker_on_network, &f));
	ck_assert_int_eq(f.r, 0);
	ck_assert(f.network.isolated);
	wanted.ip6 = "fd00::/64";
	CALL(&f, rh_engine_network(f.engine, &wanted, docker_on_network, &f));
	ck_assert_int_eq(f.r, -EEXIST);
	wanted = (struct rh_engine_network_spec){.name = "open"};
	CALL(&f, rh_engine_network(f.engine, &wanted, docker_on_network, &f));
	ck_assert_int_eq(f.r, -EEXIST);
	wanted = (struct rh_engine_network_spec){.name = "odd"};
	CALL(&f, rh_engine_network(f.engine, &wanted, docker_on_network, &f));
	ck_assert_int_eq(f.r, -EPROTO);
	wanted = (struct rh_engine_network_spec){.name = "missing", .ip6 = "fd00::/64"};
	for (int i = 0; i < 2; i++) {
		CALL(&f, rh_engine_network(f.engine, &wanted, docker_on_network, &f));
		ck_assert_int_eq(f.r, 0);
		ck_assert_str_eq(f.network.id, NET_ID("02"));
		ck_assert_str_eq(f.network.bridge, "br-000000000000");
		ck_assert_str_eq(f.network.gateway, "172.20.0.1");
	}
	ck_assert_uint_eq(fake_docker_count(f.fake, CREATE), 2);
	/* Made, and then not there: somebody removes it at once. It is tried once. */
	wanted = (struct rh_engine_network_spec){.name = "never"};
	CALL(&f, rh_engine_network(f.engine, &wanted, docker_on_network, &f));
	ck_assert_int_eq(f.r, -ENOENT);
	ck_assert_uint_eq(fake_docker_count(f.fake, CREATE), 3);
	docker_stop(&f);
}
END_TEST

/* Two brokers, one killed before its request was answered, have both made one. */
START_TEST(test_networks_of_one_name)
{
#define MADE(hub, second)                                               \
	",\"Created\":\"2026-01-01T00:00:0" second ".5Z\",\"Labels\":{" \
	"\"runnerhub.managed\":\"true\",\"runnerhub.hub\":\"" hub "\"}"
#define FOUR                                                                           \
	LIST(NETWORK("n", "01", "false", MADE("/other", "1")) "," NETWORK(             \
		"n", "02", "false", MADE("/hub", "4")) "," NETWORK("n", "03", "false", \
		MADE("/hub", "3")) "," NETWORK("n", "04", "false", MADE("/hub", "3")))
#define REMOVED(digit) "DELETE /v1.44/networks/" NET_ID(digit) " "
	const struct fake_route routes[] = {VERSION, STREAM, {ASKED("n"), FOUR, FAKE_CLOSE, 0},
		{REMOVED("02"), ERR("403 Forbidden") "Content-Length: 0\r\n\r\n", FAKE_KEEP, 0},
		{"DELETE ", ERR("204 No Content") "\r\n", FAKE_KEEP, 0}, {0}};
	struct docker_fixture f = {0};
	struct rh_engine_network_spec wanted = {.name = "n", .hub = "/hub"};

	docker_start(&f, routes);
	RUN_UNTIL(&f, f.n_up == 1);
	CALL(&f, rh_engine_network(f.engine, &wanted, docker_on_network, &f));
	ck_assert_int_eq(f.r, 0);
	ck_assert_str_eq(f.network.id, NET_ID("03"));
	RUN_UNTIL(&f,
		fake_docker_count(f.fake, REMOVED("02")) == 1 &&
			fake_docker_count(f.fake, REMOVED("04")) == 1);
	/* What it was is kept, and what another hub made is left alone. */
	wanted.id = NET_ID("04");
	CALL(&f, rh_engine_network(f.engine, &wanted, docker_on_network, &f));
	ck_assert_str_eq(f.network.id, NET_ID("04"));
	RUN_UNTIL(&f,
		fake_docker_count(f.fake, REMOVED("02")) == 2 &&
			fake_docker_count(f.fake, REMOVED("03")) == 1);
	wanted = (struct rh_engine_network_spec){.name = "n", .hub = "/third"};
	CALL(&f, rh_engine_network(f.engine, &wanted, docker_on_network, &f));
	ck_assert_str_eq(f.network.id, NET_ID("01"));
	ck_assert_uint_eq(fake_docker_count(f.fake, "DELETE "), 4);
	docker_stop(&f);
}
END_TEST

START_TEST(test_close_cancels)
{
	const struct fake_route routes[] = {
		VERSION, STREAM, {"GET /v1.44/info", "", FAKE_HANG, 0}, {0}};
	struct docker_fixture f = {0};

	docker_start(&f, routes);
	RUN_UNTIL(&f, f.n_up == 1);
	ck_assert_int_eq(rh_engine_info(f.engine, docker_on_info, &f), 0);
	RUN_UNTIL(&f, fake_docker_count(f.fake, "GET /v1.44/info") == 1);
	rh_engine_close(f.engine, docker_on_closed, &f.closed);
	rh_engine_close(f.engine, docker_on_closed, &f.closed);
	ck_assert(!f.done);
	ck_assert_int_eq(rh_engine_info(f.engine, docker_on_info, &f), -ESHUTDOWN);
	RUN_UNTIL(&f, f.closed);
	ck_assert(f.done);
	ck_assert_int_eq(f.r, -ECANCELED);
	f.engine = NULL;
	docker_stop(&f);
}
END_TEST

static void tests_of_docker(Suite *suite)
{
	RH_ADD_TESTS(suite, "calls", test_create, test_errors, test_nofile_is_left_out,
		test_quota_is_left_out, test_queries, test_network, test_networks_of_one_name,
		test_close_cancels);
}

RH_TEST_MAIN("docker", tests_of_docker);
