/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Adoption: what a broker finds of the one before.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "rh-test.h"
#include "runnerhub/clock.h"

static struct rh_store_container open_records[FAKE_RECORDS_MAX];

static bool wanted(void *arg, const struct rh_id *job, struct rh_container *container)
{
	f.n_wanted++;
	if (!f.want)
		return false;
	f.container = container;
	rh_container_set_owner(container, &f);
	return true;
}

static void on_adopted(void *arg, int r)
{
	f.adopted = true;
	f.adopt_r = r;
}

/* The next broker begins; @with_store: with what the last one had stored. */
static void restart(bool with_store)
{
	struct rh_store_open open = {.containers = open_records};

	fixture_close(false);
	UNTIL(fakes.n_pending == 0);
	for (unsigned i = 0; with_store && i < fakes.n_records; i++) {
		if (strcmp(fakes.records[i].last.state, "removed") != 0)
			open_records[open.n_containers++] = fakes.records[i].last;
	}
	f.adopted = false;
	f.n_wanted = 0;
	fixture_open();
	ck_assert_int_eq(rh_containers_adopt(f.all, &open, wanted, on_adopted, NULL), 0);
	ck_assert(!f.adopted);
}

static void restart_and_settle(bool with_store)
{
	restart(with_store);
	UNTIL(f.adopted);
	ck_assert_int_eq(f.adopt_r, 0);
}

START_TEST(test_leased_is_kept)
{
	pid_t pid = 0;

	fixture_up();
	fixture_lease_one();
	pid = rh_container_pid(f.container);
	f.container = NULL;
	f.want = true;
	restart_and_settle(true);
	ck_assert_uint_eq(f.n_wanted, 1);
	ck_assert_ptr_nonnull(f.container);
	ck_assert_int_eq(rh_container_state(f.container), RH_CONTAINER_LEASED);
	ck_assert_int_eq(rh_container_pid(f.container), pid);
	ck_assert_uint_eq(rh_container_job(f.container)->bytes[0], 0xab);

	int fds[5] = {2, 2, 2, 2, 2};

	ck_assert_int_eq(rh_container_step(f.container, 7, fds), 0);
	UNTIL(f.n_reports == 1);
	/* It was not acknowledged: the next broker hears it too. */
	restart_and_settle(true);
	UNTIL(f.n_reports == 2);
	ck_assert_uint_eq(rh_container_last_step(f.container), 7);
	fakes_kill(fixture_fake());
	UNTIL(f.n_lost == 1);
}
END_TEST

START_TEST(test_leased_without_a_store)
{
	fixture_up();
	fixture_lease_one();
	f.container = NULL;
	f.want = true;
	restart_and_settle(false);
	ck_assert_ptr_nonnull(f.container);
	ck_assert_int_eq(rh_container_state(f.container), RH_CONTAINER_LEASED);
}
END_TEST

START_TEST(test_leased_whose_job_is_over)
{
	fixture_up();
	fixture_lease_one();
	restart_and_settle(true);
	ck_assert_uint_eq(f.n_wanted, 1);
	UNTIL(fakes_n_containers() == 0);
}
END_TEST

/* Which of the engine's containers is meant says the engine, by its label: the store's word for it,
 * were it taken, would remove another one. */
START_TEST(test_stored_engine_ids_are_not_believed)
{
	char id[RH_ENGINE_ID_SIZE] = "";
	struct fake_container *leased = NULL;

	f.profile.warm = 1;
	fixture_up();
	fixture_lease_one();
	leased = fixture_fake();
	UNTIL(fixture_view().n_warm == 1);
	ck_assert_uint_eq(fakes.n_records, 2);
	(void)strcpy(id, fakes.records[0].engine_id);
	(void)strcpy(fakes.records[0].engine_id, fakes.records[1].engine_id);
	(void)strcpy(fakes.records[1].engine_id, id);
	restart_and_settle(true); /* the leased one's job is over */
	UNTIL(fakes_n_containers() == 1);
	ck_assert(!leased->exists);
	ck_assert_uint_eq(fixture_view().n_warm, 1);
	ck_assert_uint_eq(fakes.n_removes, 1);
	ck_assert_uint_eq(fakes.n_creates, 2);
}
END_TEST

/* What is to go waits for the engine's list, which is asked for again soon. */
START_TEST(test_list_that_fails_is_asked_for_again)
{
	unsigned n_lists = 0;

	fixture_up();
	fixture_lease_one();
	fakes.list_r = -EIO;
	n_lists = fakes.n_lists;
	restart(true);
	UNTIL(f.n_wanted == 1); /* and its job is over */
	UNTIL(fakes.n_lists >= n_lists + 2);
	ck_assert_uint_eq(fakes.n_removes, 0);
	fakes.list_r = 0;
	UNTIL(fakes_n_containers() == 0);
	ck_assert_uint_eq(fakes.n_removes, 1);
}
END_TEST

/* A broker that is told to end in its first moments still does what it has begun. */
START_TEST(test_end_before_the_list)
{
	fixture_up();
	fixture_lease_one();
	fakes.list_is_slow = true;
	restart(true);
	UNTIL(f.n_wanted == 1); /* and its job is over */
	ck_assert_uint_eq(fakes.n_removes, 0);
	fixture_close(false);
	ck_assert_uint_eq(fakes_n_containers(), 0);
}
END_TEST

START_TEST(test_warm_ones_go_to_the_pool)
{
	int64_t from = 0;

	f.profile.warm = f.profile.max = 20;
	fixture_up();
	UNTIL(fixture_view().n_warm == 20);
	from = rh_now_ms();
	restart_and_settle(true);
	ck_assert_int_lt(rh_now_ms() - from, 5000);
	ck_assert_uint_eq(fixture_view().n_warm, 20);
	fixture_lease_one();
	ck_assert(!f.cold);
	ck_assert_uint_eq(fakes.n_creates, 20);
}
END_TEST

/* Agents answer sooner than the engine does. */
START_TEST(test_warm_ones_wait_for_the_engine)
{
	f.profile.warm = f.profile.max = 3;
	fixture_up();
	UNTIL(fixture_view().n_warm == 3);
	/* Sooner than it notes their start, even. */
	for (int i = 0; i < 3; i++)
		fakes.containers[i].started_ms = rh_wall_ms() + 1000;
	fakes.engine_down = true;
	restart(true);
	for (int i = 0; i < 30; i++)
		fixture_turn();
	fakes.engine_down = false;
	fixture_up();
	UNTIL(f.adopted);
	ck_assert_uint_eq(fixture_view().n_warm, 3);
	ck_assert_uint_eq(fakes.n_creates, 3);
	ck_assert_uint_eq(fakes.n_removes, 0);
}
END_TEST

/* Nobody knows whether they were ever used. */
START_TEST(test_warm_ones_without_a_store)
{
	f.profile.warm = 2;
	fixture_up();
	UNTIL(fixture_view().n_warm == 2);
	f.profile.warm = 0;
	restart_and_settle(false);
	UNTIL(fakes_n_containers() == 0);
	ck_assert_uint_eq(f.n_wanted, 0);
}
END_TEST

START_TEST(test_restarted_is_not_taken)
{
	f.profile.warm = 1;
	fixture_up();
	UNTIL(fixture_view().n_warm == 1);
	f.profile.warm = 0;
	fakes.containers[0].finished_ms = rh_wall_ms();
	restart_and_settle(true);
	UNTIL(fakes_n_containers() == 0);
}
END_TEST

START_TEST(test_changed_profile_is_not_taken)
{
	f.profile.warm = 1;
	fixture_up();
	UNTIL(fixture_view().n_warm == 1);
	f.profile.pids = 77;
	restart_and_settle(true);
	UNTIL(fakes.n_removes == 1 && fixture_view().n_warm == 1);
	ck_assert_uint_eq(fakes.n_creates, 2);
}
END_TEST

START_TEST(test_dead_ones_are_removed)
{
	char stray[512];

	fixture_up();
	fixture_lease_one();
	fakes_kill(fixture_fake());
	f.want = true;
	(void)snprintf(stray, sizeof(stray), "%s/0123456789abcdef0123456789abcdef", f.parent_dir);
	ck_assert_int_eq(mkdir(stray, 0700), 0);
	restart_and_settle(true);
	ck_assert_uint_eq(f.n_wanted, 0);
	UNTIL(fakes_n_containers() == 0);
	UNTIL(access(stray, F_OK) != 0);
}
END_TEST

START_TEST(test_promise_to_remove_is_kept)
{
	fixture_up();
	fixture_lease_one();
	fakes.remove_r = -EIO;
	rh_container_discard(f.container, "over", NULL, NULL);
	UNTIL(fakes.n_removes == 1);
	fakes.engine_down = true; /* the broker does not wait for it */
	restart(true);
	fakes.engine_down = false;
	fakes.remove_r = 0;
	fixture_up();
	UNTIL(f.adopted);
	UNTIL(fakes_n_containers() == 0);
}
END_TEST

START_TEST(test_engine_down_at_start)
{
	fixture_up();
	fixture_lease_one();
	f.container = NULL;
	f.want = true;
	fakes.engine_down = true;
	restart(true);
	UNTIL(f.container);
	ck_assert_int_eq(rh_container_state(f.container), RH_CONTAINER_LEASED);
	ck_assert(!f.adopted);
	fakes.engine_down = false;
	fixture_up();
	UNTIL(f.adopted);
	ck_assert_int_eq(f.adopt_r, 0);
}
END_TEST

START_TEST(test_unknown_ones_are_removed)
{
	f.profile.warm = 1;
	fixture_up();
	UNTIL(fixture_view().n_warm == 1);
	(void)fakes_plant(f.parent_dir, "elsewhere", "");
	fixture_up();
	UNTIL(fakes.n_removes == 1 && fakes_n_containers() == 1);
	ck_assert_uint_eq(fixture_view().n_warm, 1);
	/* And what is known and not listed was removed by someone else. */
	fixture_lease_one();
	struct fake_container *fake = fixture_fake();

	fake->exists = false;
	fixture_up();
	UNTIL(f.n_lost == 1);
	ck_assert_str_eq(f.lost_reason, "its container was removed by someone else");
	fakes_kill(fake);
}
END_TEST

static void tests_of_adoption(Suite *suite)
{
	const TTest *const tests[] = {test_leased_is_kept, test_leased_without_a_store,
		test_leased_whose_job_is_over, test_stored_engine_ids_are_not_believed,
		test_list_that_fails_is_asked_for_again, test_end_before_the_list,
		test_warm_ones_go_to_the_pool, test_warm_ones_wait_for_the_engine,
		test_warm_ones_without_a_store, test_restarted_is_not_taken,
		test_changed_profile_is_not_taken, test_dead_ones_are_removed,
		test_promise_to_remove_is_kept, test_engine_down_at_start,
		test_unknown_ones_are_removed};
	TCase *tcase = tcase_create("adoption");

	tcase_add_checked_fixture(tcase, fixture_setup, fixture_teardown);
	tcase_set_timeout(tcase, 30);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
}

RH_TEST_MAIN("container-adopt", tests_of_adoption);
