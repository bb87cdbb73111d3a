/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Pools: filling, requests that wait or fail, announcements, reload, drain, creations that fail.
 */

#include <errno.h>
#include <string.h>

#include "fixture.h"
#include "rh-test.h"
#include "runnerhub/clock.h"

static void run_ms(int64_t ms)
{
	int64_t end = rh_now_ms() + ms;

	while (rh_now_ms() < end)
		fixture_turn();
}

START_TEST(test_slots)
{
	f.profile.warm = 5;
	f.config.engine_parallel = 2;
	fixture_up();
	UNTIL(fixture_view().n_warm == 5);
	ck_assert_uint_le(fakes.n_at_once_max, 2);
	ck_assert_uint_eq(fakes.n_creates, 5);
	run_ms(600);
	ck_assert_uint_eq(fakes.n_creates, 5);
}
END_TEST

START_TEST(test_request_waits_for_max)
{
	struct rh_container *first = NULL;

	f.profile.max = 1;
	fixture_up();
	fixture_lease_one();
	first = f.container;
	fixture_acquire();
	run_ms(200);
	ck_assert_uint_eq(f.n_acquired, 1);
	rh_container_discard(first, "over", NULL, NULL);
	UNTIL(f.n_acquired == 2);
	ck_assert_int_eq(f.acquire_r, 0);
	ck_assert(f.cold);
	ck_assert_ptr_ne(f.container, first);
}
END_TEST

START_TEST(test_request_is_told_why_it_is_full)
{
	f.profile.max = 1;
	f.config.job_start_wait_ms = 1000;
	fixture_up();
	fixture_lease_one();
	fixture_acquire();
	UNTIL(f.n_acquired == 2);
	ck_assert_int_eq(f.acquire_r, -EBUSY);
	ck_assert_ptr_null(f.container);
	ck_assert_ptr_nonnull(strstr(f.err.text, "all 1 containers of profile p are in use"));
}
END_TEST

START_TEST(test_cancel)
{
	struct rh_container_request *request = NULL;

	fixture_up();
	ck_assert_int_eq(rh_containers_acquire(f.all, &f.profile, "r", NULL, NULL, &request), 0);
	UNTIL(fakes.n_creates == 1);
	rh_container_request_cancel(request);
	/* What was begun for it is surplus. */
	UNTIL(fakes.n_creates == 1 && fakes.n_removes == 1);
	f.profile.warm = 1;
	UNTIL(fixture_view().n_warm == 1);
	ck_assert_int_eq(rh_containers_acquire(f.all, &f.profile, "r", NULL, NULL, &request), 0);
	rh_container_request_cancel(request);
	fixture_lease_one();
	ck_assert(!f.cold);
}
END_TEST

START_TEST(test_announced)
{
	fixture_up();
	rh_containers_announce(f.all, &f.profile, "r1");
	rh_containers_announce(f.all, &f.profile, "r1");
	UNTIL(fixture_view().n_warm == 1);
	fixture_lease_one();
	ck_assert(!f.cold);
	run_ms(100);
	ck_assert_uint_eq(fakes.n_creates, 1);
}
END_TEST

START_TEST(test_announced_and_asked_too_early)
{
	fixture_up();
	rh_containers_announce(f.all, &f.profile, "r1");
	fixture_lease_one();
	ck_assert(f.cold);
	run_ms(100);
	ck_assert_uint_eq(fakes.n_creates, 1);
}
END_TEST

START_TEST(test_announced_and_never_asked)
{
	fixture_up();
	rh_containers_announce(f.all, &f.profile, "r1");
	UNTIL(fixture_view().n_warm == 1);
	run_ms(300);
	ck_assert_uint_eq(fixture_view().n_warm, 1);
	UNTIL(fixture_view().n_warm == 0 && fixture_view().n_stopping == 0);
	ck_assert_uint_eq(fakes_n_containers(), 0);
}
END_TEST

START_TEST(test_image_missing)
{
	f.profile.warm = 1;
	fakes.create_r = -ENOENT;
	fakes.create_why = "the image img is not on this host";
	fixture_up();
	UNTIL(fixture_view().problem);
	ck_assert_str_eq(fixture_view().problem, "the image img is not on this host");
	ck_assert_uint_eq(fakes.n_creates, 1);
	/* A job does not wait for the back-off to learn it. */
	fixture_acquire();
	UNTIL(f.n_acquired == 1);
	ck_assert_int_eq(f.acquire_r, -ENOENT);
	ck_assert_str_eq(f.err.text, "the image img is not on this host");
	fakes.create_r = 0;
	f.n_acquired = 0;
	fixture_lease_one();
	ck_assert_ptr_null(fixture_view().problem);
	UNTIL(fixture_view().n_warm == 1 && fixture_view().n_stopping == 0);
}
END_TEST

START_TEST(test_image_is_fetched)
{
	f.profile.warm = 1;
	f.profile.pull = RH_PULL_MISSING;
	fakes.create_r = -ENOENT;
	fakes.create_why = "the image img is not on this host";
	fakes.pull_r = -EIO;
	fixture_up();
	UNTIL(fakes.n_pulls == 1);
	UNTIL(fixture_view().problem && strstr(fixture_view().problem, strerror(EIO)));
	/* Whoever waits goes on waiting until it is there. */
	fakes.pull_r = 0;
	fixture_lease_one();
	ck_assert_ptr_null(fixture_view().problem);
	UNTIL(fixture_view().n_warm == 1 && fixture_view().n_stopping == 0);
}
END_TEST

START_TEST(test_image_is_always_fetched)
{
	f.profile.warm = 2;
	f.profile.pull = RH_PULL_ALWAYS;
	fixture_up();
	UNTIL(fixture_view().n_warm == 2);
	ck_assert_uint_eq(fakes.n_pulls, 1);
	ck_assert_ptr_null(fixture_view().problem);
}
END_TEST

START_TEST(test_runtimes)
{
	f.profile.warm = 1;
	f.profile.runtime = (char *)"sandbox";
	fixture_up();
	UNTIL(fixture_view().problem);
	ck_assert_ptr_nonnull(strstr(fixture_view().problem,
		"the runtime sandbox (io.containerd.runsc.v1) cannot be used: RunnerHub mounts"));
	f.profile.runtime = (char *)"absent";
	rh_containers_reload(f.all, &f.config);
	UNTIL(fixture_view().problem && strstr(fixture_view().problem, "absent"));
	ck_assert_str_eq(fixture_view().problem,
		"the container engine knows no runtime absent; it has runc, crun, sandbox");
	ck_assert_uint_eq(fakes.n_creates, 0);
	f.profile.runtime = (char *)"crun";
	rh_containers_reload(f.all, &f.config);
	UNTIL(fixture_view().n_warm == 1);
	ck_assert_ptr_null(fixture_view().problem);
}
END_TEST

START_TEST(test_agent_dies_at_once)
{
	struct fake_container *fake = NULL;

	f.config.job_start_wait_ms = 10000;
	fakes.mode = FAKE_AGENT_DIES;
	fixture_up();
	fixture_acquire();
	UNTIL(fakes_n_containers() == 1 && fakes.containers[0].pid > 0);
	fake = &fakes.containers[0];
	fakes_kill(fake);
	fake->exit_code = 3;
	fakes.mode = FAKE_AGENT_GOOD;
	fixture_event(RH_ENGINE_DIED, fake, 3);
	UNTIL(fixture_view().problem);
	ck_assert_str_eq(fixture_view().problem, "its container ended (exit status 3): last words");
	/* It may pass: the request waits for the next try. */
	UNTIL(f.n_acquired == 1);
	ck_assert_int_eq(f.acquire_r, 0);
}
END_TEST

START_TEST(test_agent_silent)
{
	static const struct {
		enum fake_agent_mode mode;
		const char *problem;
	} cases[] = {
		{FAKE_AGENT_SILENT, "its agent does not answer: last words"},
		{FAKE_AGENT_GARBAGE, "its agent sent a malformed message: last words"},
		{FAKE_AGENT_LEASED, "its agent says that it was leased before"},
	};

	fixture_up();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fakes.mode = cases[i].mode;
		fixture_acquire();
		UNTIL(fixture_view().problem &&
			strcmp(fixture_view().problem, cases[i].problem) == 0);
	}
}
END_TEST

START_TEST(test_nofile_refused)
{
	f.profile.warm = 2;
	fakes.start_r = -ERANGE;
	fixture_up();
	UNTIL(fakes.n_creates >= 2);
	fakes.start_r = 0;
	UNTIL(fixture_view().n_warm == 2);
	ck_assert_ptr_null(fixture_view().problem);
}
END_TEST

/* A host that refuses whatever is tried: it must not go round for ever. */
START_TEST(test_refused_always)
{
	f.profile.warm = 2;
	fakes.start_r = -ERANGE;
	fixture_up();
	UNTIL(fixture_view().problem);
	run_ms(300);
	ck_assert_uint_le(fakes.n_creates, 8);
}
END_TEST

/* As by "docker network prune": it is made anew, and nobody who waits is told. */
START_TEST(test_network_removed)
{
	fixture_up();
	fakes.n_networks_lost = 2;
	fixture_acquire();
	UNTIL(f.n_acquired == 1);
	ck_assert_int_eq(f.acquire_r, 0);
	ck_assert_uint_eq(fakes.n_creates, 3);
}
END_TEST

START_TEST(test_network_removed_always)
{
	fixture_up();
	fakes.n_networks_lost = 1000;
	fixture_acquire();
	UNTIL(f.n_acquired == 1);
	ck_assert_int_eq(f.acquire_r, -ENOENT);
	ck_assert_str_eq(f.err.text, "network runnerhub not found");
	ck_assert_uint_le(fakes.n_creates, 8);
}
END_TEST

START_TEST(test_engine_down)
{
	fakes.engine_down = true;
	f.config.job_start_wait_ms = 1000;
	fixture_acquire();
	UNTIL(f.n_acquired == 1);
	ck_assert_int_eq(f.acquire_r, -ENOTCONN);
	ck_assert_str_eq(
		f.err.text, "the container engine at /docker.sock does not answer; is it running?");
	ck_assert_ptr_nonnull(fixture_view().problem);
	fixture_acquire();
	fakes.engine_down = false;
	fixture_up();
	UNTIL(f.n_acquired == 2);
	ck_assert_int_eq(f.acquire_r, 0);
}
END_TEST

START_TEST(test_network_is_not_isolated)
{
	fakes.network_r = -EEXIST;
	f.profile.warm = 1;
	fixture_up();
	fixture_acquire();
	UNTIL(f.n_acquired == 1);
	ck_assert_int_eq(f.acquire_r, -EEXIST);
	ck_assert_uint_eq(fakes.n_creates, 0);
	f.profile.network = (char *)"none";
	fixture_acquire();
	UNTIL(f.n_acquired == 2);
	ck_assert_int_eq(f.acquire_r, 0);
}
END_TEST

START_TEST(test_reload)
{
	struct rh_profile other = f.profile;
	struct rh_config config = f.config;

	f.profile.warm = 1;
	fixture_up();
	UNTIL(fixture_view().n_warm == 1);
	config.n_refs = 1;
	config.profiles = &other;
	other.warm = 1;
	rh_containers_reload(f.all, &config);
	run_ms(100);
	ck_assert_uint_eq(fakes.n_creates, 1);
	other.image = (char *)"img2";
	rh_containers_reload(f.all, &config);
	UNTIL(fixture_view().n_warm == 1 && fakes.n_removes == 1);
	fixture_lease_one();
	ck_assert_str_eq(fixture_fake()->image, "img2");
	fixture_close(true);
	UNTIL(fakes.n_pending == 0);
	ck_assert_uint_eq(config.n_refs, 1);
}
END_TEST

/* A container that is being made meanwhile is of the old profile. */
START_TEST(test_reload_while_one_is_made)
{
	struct rh_profile other = f.profile;
	struct rh_config config = f.config;

	fixture_up();
	fixture_acquire();
	UNTIL(fakes.n_creates == 1);
	config.n_refs = 1;
	config.profiles = &other;
	other.image = (char *)"img2";
	rh_containers_reload(f.all, &config);
	UNTIL(f.n_acquired == 1);
	ck_assert_int_eq(f.acquire_r, 0);
	ck_assert_str_eq(fixture_fake()->image, "img2");
	ck_assert_ptr_eq(rh_container_profile(f.container), &other);
	ck_assert_ptr_eq(rh_container_config(f.container), &config);
	rh_container_discard(f.container, "over", NULL, NULL);
	fixture_close(true);
	UNTIL(fakes.n_pending == 0);
	ck_assert_uint_eq(config.n_refs, 1);
}
END_TEST

/* One is promised, and its request is to be answered in the loop's next turn. */
START_TEST(test_reload_after_the_promise)
{
	struct rh_profile other = f.profile;
	struct rh_config config = f.config;

	f.profile.warm = 1;
	fixture_up();
	UNTIL(fixture_view().n_warm == 1);
	fixture_acquire();
	config.n_refs = 1;
	config.profiles = &other;
	other.egress = (char *[]){(char *)"deny", NULL};
	rh_containers_reload(f.all, &config);
	UNTIL(f.n_acquired == 1);
	ck_assert_int_eq(f.acquire_r, 0);
	ck_assert_ptr_eq(rh_container_profile(f.container), &other);
	rh_container_discard(f.container, "over", NULL, NULL);
	fixture_close(true);
	UNTIL(fakes.n_pending == 0);
	ck_assert_uint_eq(config.n_refs, 1);
}
END_TEST

START_TEST(test_reload_without_the_profile)
{
	struct rh_config config = f.config;

	fixture_up();
	fixture_acquire();
	UNTIL(fakes.n_creates == 1);
	config.n_refs = 1;
	config.n_profiles = 0;
	rh_containers_reload(f.all, &config);
	UNTIL(f.n_acquired == 1);
	ck_assert_int_eq(f.acquire_r, -ENOENT);
	ck_assert_ptr_nonnull(strstr(f.err.text, "profile p is not configured any more"));
	UNTIL(fakes_n_containers() == 0);
	fixture_close(true);
	UNTIL(fakes.n_pending == 0);
	ck_assert_uint_eq(config.n_refs, 1);
}
END_TEST

START_TEST(test_drain)
{
	f.profile.warm = 1;
	fixture_up();
	UNTIL(fixture_view().n_warm == 1);
	rh_containers_drain(f.all);
	rh_containers_announce(f.all, &f.profile, "r2");
	fixture_lease_one();
	run_ms(100);
	ck_assert_uint_eq(fakes.n_creates, 1);
	f.n_acquired = f.n_leased = 0;
	fixture_lease_one();
	ck_assert_uint_eq(fakes.n_creates, 2);
}
END_TEST

static void tests_of_requests(Suite *suite)
{
	const TTest *const tests[] = {test_slots, test_request_waits_for_max,
		test_request_is_told_why_it_is_full, test_cancel, test_announced,
		test_announced_and_asked_too_early, test_announced_and_never_asked,
		test_image_missing, test_image_is_fetched, test_image_is_always_fetched,
		test_runtimes, test_agent_dies_at_once, test_agent_silent, test_nofile_refused,
		test_refused_always, test_network_removed, test_network_removed_always,
		test_engine_down, test_network_is_not_isolated, test_reload,
		test_reload_while_one_is_made, test_reload_after_the_promise,
		test_reload_without_the_profile, test_drain};
	TCase *tcase = tcase_create("requests");

	tcase_add_checked_fixture(tcase, fixture_setup, fixture_teardown);
	tcase_set_timeout(tcase, 30);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
}

RH_TEST_MAIN("container-requests", tests_of_requests);
