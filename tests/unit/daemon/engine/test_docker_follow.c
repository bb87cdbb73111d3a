/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Following an engine: its version, its events, and a stream that breaks.
 */

#include <string.h>
#include <unistd.h>

#include "docker_fixture.h"

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
	struct docker_fixture f = {0};

	docker_start(&f, routes);
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
	docker_stop(&f);
}
END_TEST

START_TEST(test_stream_of_one_endless_line)
{
	static char endless[200000] = OK "Connection: close\r\n\r\n";
	const struct fake_route routes[] = {
		VERSION, {"GET /v1.44/events?filters=", endless, FAKE_HANG, 1}, STREAM, {0}};
	struct docker_fixture f = {0};
	size_t n = strlen(endless);

	memset(endless + n, 'x', sizeof(endless) - n - 1);
	docker_start(&f, routes);
	RUN_UNTIL(&f, f.n_up == 2);
	ck_assert_uint_eq(f.n_down, 1);
	docker_stop(&f);
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
	struct docker_fixture f = {0};

	docker_start(&f, routes);
	RUN_UNTIL(&f, fake_docker_count(f.fake, "GET /version") == 2);
	ck_assert_uint_eq(f.n_up, 0);
	ck_assert_int_eq(rh_engine_list(f.engine, docker_on_list, &f), -ENOTCONN);
	RUN_UNTIL(&f, f.n_up == 1);
	ck_assert_uint_eq(f.n_down, 0);
	docker_stop(&f);
}
END_TEST

START_TEST(test_it_says_why_it_is_not_up)
{
	const struct fake_route routes[] = {
		{"GET /version",
			"HTTP/1.1 500 Oh\r\nContent-Length: ?\r\n\r\n{\"message\":\"a bad day\" }",
			FAKE_KEEP, 1},
		{"GET /version", "", FAKE_HANG, 1}, {0}};
	/* The second question is still open when the first one's answer is looked at. */
	struct docker_fixture f = {.timeout_ms = LIMIT_MS};

	docker_start(&f, routes);
	ck_assert_ptr_nonnull(strstr(rh_engine_problem(f.engine), "does not answer yet"));
	RUN_UNTIL(&f, fake_docker_count(f.fake, "GET /version") == 2);
	ck_assert_msg(strstr(rh_engine_problem(f.engine), "says: a bad day"), "%s",
		rh_engine_problem(f.engine));
	docker_stop(&f);
}
END_TEST

START_TEST(test_nobody_there_then_somebody)
{
	const struct fake_route routes[] = {VERSION, STREAM, {0}};
	struct docker_fixture f = {0};
	int64_t from = rh_now_ms();

	docker_start(&f, NULL);
	RUN_UNTIL(&f, rh_now_ms() > from + 50);
	f.fake = fake_docker_start(f.path, routes);
	RUN_UNTIL(&f, f.n_up == 1);
	fake_docker_stop(f.fake);
	f.fake = NULL;
	(void)unlink(f.path);
	RUN_UNTIL(&f, f.n_down == 1);
	CALL(&f, rh_engine_list(f.engine, docker_on_list, &f));
	ck_assert_int_eq(f.r, -ECONNREFUSED);
	ck_assert_ptr_nonnull(strstr(f.err.text, "does not answer; is it running?"));
	docker_stop(&f);
}
END_TEST

static void tests_of_following(Suite *suite)
{
	RH_ADD_TESTS(suite, "events", test_stream, test_stream_of_one_endless_line,
		test_version_refused, test_it_says_why_it_is_not_up,
		test_nobody_there_then_somebody);
}

RH_TEST_MAIN("docker-follow", tests_of_following);
