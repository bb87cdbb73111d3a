/* SPDX-License-Identifier: Apache-2.0 */

/*
 * rh_store_query(): what people ask.
 */

#include "fixture.h"
#include "rh-test.h"
#include "test_store.h"

#define AT(array, i)   json_object_array_get_idx((array), (i))
#define LENGTH(array)  json_object_array_length(array)
#define GET(object, k) json_object_object_get((object), (k))

static void fill(void)
{
	make_store();
	for (unsigned i = 0; i < 30; i++) {
		struct rh_store_job job = {.id = id_of(i),
			.state = i < 10 ? RH_JOB_ENDED : RH_JOB_RUNNING,
			.result = i < 10 ? (i % 2 ? RH_JOB_COMPLETED : RH_JOB_FAILED)
					 : RH_JOB_RESULT_NONE,
			.runner = i % 3 ? "a" : "b",
			.repository = i % 5 ? "o/r" : "o/s",
			.worker_pid = i,
			.cold = i == 0,
			.created_ms = 1000 + i};
		struct rh_store_step step = {.job = id_of(i), .step = i, .program = "p"};
		struct rh_store_event event = {.time_ms = i,
			.kind = "job.started",
			.job = id_of(i),
			.message = "m \"\n\xff"};

		ck_assert_int_eq(put_job(&job), 0);
		ck_assert_int_eq(put_step(&step), 0);
		ck_assert_int_eq(rh_store_add_event(store, &event), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		struct rh_store_container container = {.instance = id_of(100 + i),
			.state = i % 2 ? "removed" : "leased",
			.job = id_of(i),
			.created_ms = i};

		ck_assert_int_eq(put_container(&container), 0);
	}
}

static size_t count(const char *name, const char *args)
{
	struct json_object *data = query(name, args, NULL);
	size_t n = LENGTH(data);

	(void)json_object_put(data);
	return n;
}

static int failure(const char *name, const char *args)
{
	int r = 0;

	ck_assert_ptr_null(query(name, args, &r));
	return r;
}

START_TEST(jobs_newest_first_by_filter)
{
	struct json_object *data = query("jobs", NULL, NULL);

	ck_assert_uint_eq(LENGTH(data), 20);
	ck_assert_int_eq(number_of(AT(data, 0), "createdMs"), 1029);
	ck_assert_str_eq(text_of(AT(data, 0), "state"), "running");
	ck_assert_str_eq(text_of(AT(data, 0), "id"), "abcd000000000000000000000000001d");
	(void)json_object_put(data);
	ck_assert_uint_eq(count("jobs", "{\"limit\": 1000}"), 30);
	ck_assert_uint_eq(count("jobs", "{\"limit\": 7}"), 7);
	ck_assert_uint_eq(count("jobs", "{\"offset\": 28}"), 2);
	ck_assert_uint_eq(count("jobs", "{\"state\": \"ended\"}"), 10);
	ck_assert_uint_eq(count("jobs", "{\"state\": \"ended\", \"result\": \"failed\"}"), 5);
	ck_assert_uint_eq(count("jobs", "{\"runner\": \"b\"}"), 10);
	ck_assert_uint_eq(count("jobs", "{\"repository\": \"o/s\", \"runner\": \"b\"}"), 2);
	ck_assert_uint_eq(count("jobs", "{\"repository\": \"' OR 1=1 --\"}"), 0);
	ck_assert_uint_eq(count("jobs", "{\"since_ms\": 1025}"), 5);
	ck_assert_uint_eq(count("jobs", "{\"state\": null}"), 20);
}
END_TEST

START_TEST(a_job_with_all_of_it)
{
	struct json_object *job =
		query("job", "{\"id\": \"ABCD0000000000000000000000000000\"}", NULL);

	ck_assert_int_eq(json_object_get_boolean(GET(job, "cold")), true);
	ck_assert_str_eq(text_of(job, "result"), "failed");
	ck_assert_uint_eq(LENGTH(GET(job, "steps")), 1);
	ck_assert_str_eq(text_of(AT(GET(job, "steps"), 0), "program"), "p");
	ck_assert_int_eq(number_of(AT(GET(job, "steps"), 0), "peakRssKib"), 0);
	ck_assert_uint_eq(LENGTH(GET(job, "events")), 1);
	ck_assert_str_eq(text_of(AT(GET(job, "events"), 0), "message"), "m \"\n?");
	ck_assert_str_eq(text_of(GET(job, "containerRecord"), "state"), "leased");
	(void)json_object_put(job);
}
END_TEST

START_TEST(an_id_may_be_short_if_it_is_unique)
{
	struct rh_store_job job = {.id = {{0x12, 0x34}}};
	struct json_object *data = NULL;

	ck_assert_int_eq(put_job(&job), 0);
	data = query("job", "{\"id\": \"1\"}", NULL);
	ck_assert_str_eq(text_of(data, "id"), "12340000000000000000000000000000");
	ck_assert_ptr_null(GET(data, "containerRecord"));
	(void)json_object_put(data);
	ck_assert_int_eq(failure("job", "{\"id\": \"abc\"}"), -EEXIST);
	ck_assert_int_eq(failure("job", "{\"id\": \"abce\"}"), -ENOENT);
	ck_assert_int_eq(failure("events", "{\"job\": \"abc\"}"), -EEXIST);
	ck_assert_int_eq(failure("events", "{\"job\": \"9\"}"), -ENOENT);
}
END_TEST

START_TEST(containers_by_state)
{
	ck_assert_uint_eq(count("containers", NULL), 2);
	ck_assert_uint_eq(count("containers", "{\"all\": true}"), 4);
	ck_assert_uint_eq(count("containers", "{\"state\": \"removed\"}"), 2);
	ck_assert_uint_eq(count("containers", "{\"state\": \"warm\"}"), 0);
}
END_TEST

START_TEST(events_oldest_first)
{
	struct json_object *data = query("events", "{\"limit\": 3}", NULL);
	char args[64];

	ck_assert_uint_eq(LENGTH(data), 3);
	ck_assert_int_eq(number_of(AT(data, 0), "timeMs"), 27);
	ck_assert_int_eq(number_of(AT(data, 2), "timeMs"), 29);
	ck_assert_str_eq(text_of(AT(data, 2), "job"), "abcd000000000000000000000000001d");
	ck_assert_str_eq(text_of(AT(data, 2), "container"), "");
	(void)snprintf(args, sizeof(args), "{\"since_id\": %d}", (int)number_of(AT(data, 0), "id"));
	ck_assert_uint_eq(count("events", args), 2);
	ck_assert_uint_eq(count("events", "{\"since_id\": 0}"), 30);
	ck_assert_uint_eq(count("events", "{\"job\": \"abcd0000000000000000000000000003\"}"), 1);
	(void)json_object_put(data);
}
END_TEST

START_TEST(counts_add_up)
{
	struct json_object *data = query("counts", "{}", NULL);

	ck_assert_int_eq(number_of(GET(data, "jobs"), "total"), 30);
	ck_assert_int_eq(number_of(GET(data, "jobs"), "running"), 20);
	ck_assert_int_eq(number_of(GET(data, "jobs"), "starting"), 0);
	ck_assert_int_eq(number_of(GET(data, "jobs"), "failed"), 5);
	ck_assert_int_eq(number_of(GET(data, "jobs"), "completed"), 5);
	ck_assert_int_eq(number_of(GET(data, "jobs"), "abandoned"), 0);
	ck_assert_int_eq(number_of(GET(data, "containers"), "total"), 4);
	ck_assert_int_eq(number_of(GET(data, "containers"), "leased"), 2);
	(void)json_object_put(data);
}
END_TEST

static const struct {
	const char *name;
	const char *args;
} bad[] = {
	{"nonsense", NULL},
	{"jobs", "[]"},
	{"jobs", "{\"limit\": 0}"},
	{"jobs", "{\"limit\": 1001}"},
	{"jobs", "{\"limit\": \"5\"}"},
	{"jobs", "{\"limit\": 1.5}"},
	{"jobs", "{\"offset\": -1}"},
	{"jobs", "{\"state\": \"lost\"}"},
	{"jobs", "{\"state\": 1}"},
	{"jobs", "{\"result\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"},
	{"jobs", "{\"job\": \"ab\"}"},
	{"jobs", "{\"all\": true}"},
	{"job", "{}"},
	{"job", "{\"id\": \"\"}"},
	{"job", "{\"id\": \"xyz\"}"},
	{"job", "{\"id\": \"abcd00000000000000000000000000000\"}"},
	{"containers", "{\"all\": 1}"},
	{"events", "{\"since_id\": -1}"},
	{"counts", "{\"x\": 1}"},
};

START_TEST(bad_arguments_are_refused)
{
	ck_assert_int_eq(failure(bad[_i].name, bad[_i].args), -EINVAL);
}
END_TEST

void tests_of_query(Suite *suite)
{
	TCase *tcase = tcase_create("query");

	tcase_add_checked_fixture(tcase, fill, remove_store);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, jobs_newest_first_by_filter);
	tcase_add_test(tcase, a_job_with_all_of_it);
	tcase_add_test(tcase, an_id_may_be_short_if_it_is_unique);
	tcase_add_test(tcase, containers_by_state);
	tcase_add_test(tcase, events_oldest_first);
	tcase_add_test(tcase, counts_add_up);
	tcase_add_loop_test(
		tcase, bad_arguments_are_refused, 0, (int)(sizeof(bad) / sizeof(bad[0])));
	suite_add_tcase(suite, tcase);
}
