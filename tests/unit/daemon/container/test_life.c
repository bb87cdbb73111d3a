/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A container's life: from the pool through a job to its removal, and every way it may go wrong.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "rh-test.h"
#include "runnerhub/clock.h"

#define DISCARD(why)                                                           \
	do {                                                                   \
		f.gone = false;                                                \
		rh_container_discard(f.container, why, fixture_on_gone, NULL); \
		ck_assert(!f.gone);                                            \
		UNTIL(f.gone);                                                 \
	} while (0)

START_TEST(test_whole_life)
{
	char instance[RH_ID_TEXT_SIZE];
	char path[512];

	f.profile.warm = 2;
	fixture_up();
	UNTIL(fixture_view().n_warm == 2);
	fixture_lease_one();
	ck_assert(!f.cold);
	ck_assert(f.result.id_mapped);
	ck_assert_int_eq(rh_container_state(f.container), RH_CONTAINER_LEASED);
	ck_assert_int_eq(rh_container_pid(f.container), fixture_fake()->pid);
	ck_assert_str_eq(fixture_fake()->network, "runnerhub");
	UNTIL(strcmp(rh_container_name(f.container), "runnerhub-abcd00000000") == 0);
	rh_id_format(rh_container_instance(f.container), instance);
	ck_assert_str_eq(fakes_states(instance), "creating warm leased");
	rh_containers_refill(f.all);
	UNTIL(fixture_view().n_warm == 2 && fixture_view().n_leased == 1);
	DISCARD("its job is over");
	ck_assert_ptr_null(fakes_find(instance));
	ck_assert_str_eq(fakes_states(instance), "creating warm leased stopping removed");
	(void)snprintf(path, sizeof(path), "%s/%s", f.parent_dir, instance);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_uint_eq(f.n_lost, 0);
	fixture_close(true);
	ck_assert_uint_eq(fakes_n_containers(), 0);
}
END_TEST

/* On an old kernel a container has its slot bound in, too. */
START_TEST(test_slot)
{
	fixture_up();
	ck_assert(rh_containers_map_ids(f.all));
	fixture_lease_one();
	ck_assert_uint_eq(fakes.n_binds, 2);
	DISCARD("over");
	fakes.slots = true;
	ck_assert(!rh_containers_map_ids(f.all));
	fixture_lease_one();
	ck_assert_uint_eq(fakes.n_binds, 3);
	DISCARD("over");
	fixture_close(true);
}
END_TEST

START_TEST(test_cold)
{
	fixture_up();
	fixture_lease_one();
	ck_assert(f.cold);
	ck_assert_uint_eq(fakes.n_creates, 1);
	DISCARD("over");
	ck_assert_uint_eq(fixture_view().n_warm, 0);
}
END_TEST

START_TEST(test_cold_does_not_wait_for_start)
{
	int64_t from = 0;

	fakes.start_is_slow = true;
	fixture_up();
	from = rh_now_ms();
	fixture_lease_one();
	ck_assert_int_lt(rh_now_ms() - from, 2500);
}
END_TEST

START_TEST(test_steps)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[5] = {fd, fd, fd, fd, fd};

	fixture_up();
	fixture_lease_one();
	ck_assert_int_eq(rh_container_step(f.container, 1, fds), 0);
	UNTIL(f.n_reports == 1);
	ck_assert_uint_eq(f.report.step, 1);
	ck_assert_int_eq(f.report.exit_code, 5);
	ck_assert_uint_eq(rh_container_last_step(f.container), 1);
	rh_container_step_ack(f.container, 1);
	ck_assert_int_eq(rh_container_step(f.container, 2, fds), 0);
	UNTIL(f.n_reports == 2);
	DISCARD("over");
	(void)close(fd);
}
END_TEST

START_TEST(test_killed)
{
	struct fake_container *fake = NULL;

	f.profile.warm = 1;
	fixture_up();
	fixture_lease_one();
	fake = fixture_fake();
	fakes_kill(fake);
	fixture_event(RH_ENGINE_OOM, fake, 0);
	fixture_event(RH_ENGINE_DIED, fake, 137);
	UNTIL(f.n_lost == 1);
	ck_assert_str_eq(
		f.lost_reason, "its container was killed (exit status 137, out of memory)");
	/* Its owner still holds it; when it gives it back it is gone or soon will be. */
	UNTIL(fixture_view().n_stopping == 0);
	ck_assert_int_eq(rh_container_state(f.container), RH_CONTAINER_REMOVED);
	DISCARD("lost");
}
END_TEST

START_TEST(test_removed_by_someone_else)
{
	struct fake_container *fake = NULL;

	fixture_up();
	fixture_lease_one();
	fake = fixture_fake();
	fakes_kill(fake);
	fake->exists = false;
	fixture_event(RH_ENGINE_DIED, fake, 137);
	fixture_event(RH_ENGINE_DESTROYED, fake, 0);
	UNTIL(f.n_lost == 1);
	ck_assert_str_eq(f.lost_reason, "its container was removed by someone else");
	DISCARD("lost");
}
END_TEST

START_TEST(test_engine_dies_with_it)
{
	fixture_up();
	fixture_lease_one();
	fakes.engine_down = true;
	fixture_event(RH_ENGINE_DOWN, NULL, 0);
	fakes_kill(fixture_fake());
	UNTIL(f.n_lost == 1);
	ck_assert_ptr_nonnull(strstr(f.lost_reason, "the container engine does not answer"));
	rh_container_discard(f.container, "lost", fixture_on_gone, NULL);
	for (int i = 0; i < 50; i++)
		fixture_turn();
	ck_assert(!f.gone);
	fakes.engine_down = false;
	fixture_up();
	UNTIL(f.gone);
	ck_assert_uint_eq(fakes_n_containers(), 0);
}
END_TEST

START_TEST(test_warm_one_dies_or_pauses)
{
	struct fake_container *fake = NULL;

	f.profile.warm = 1;
	fixture_up();
	UNTIL(fixture_view().n_warm == 1);
	fake = &fakes.containers[0];
	fakes_kill(fake);
	fixture_event(RH_ENGINE_DIED, fake, 1);
	UNTIL(fakes.n_creates == 2 && fixture_view().n_warm == 1);
	for (fake = fakes.containers; !fake->exists || fake->pid == 0;)
		fake++;
	fixture_event(RH_ENGINE_PAUSED, fake, 0);
	UNTIL(fakes.n_creates == 3 && fixture_view().n_warm == 1 && fixture_view().n_stopping == 0);
	ck_assert_uint_eq(f.n_lost, 0);
}
END_TEST

/* In the same turn of the loop: the acquire must not hand it out. */
START_TEST(test_dead_idle_is_not_handed_out)
{
	f.profile.warm = 1;
	fixture_up();
	UNTIL(fixture_view().n_warm == 1);
	fakes_kill(&fakes.containers[0]);
	fixture_lease_one();
	ck_assert(f.cold);
	rh_containers_refill(f.all);
	/* The dead one, this one, the next one. */
	UNTIL(fakes.n_creates == 3 && fixture_view().n_warm == 1 && fixture_view().n_leased == 1);
}
END_TEST

START_TEST(test_reports_of_nothing)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[5] = {fd, fd, fd, fd, fd};

	fakes.mode = _i == 0 ? FAKE_AGENT_INVENTS : FAKE_AGENT_REPEATS;
	fixture_up();
	fixture_lease_one();
	ck_assert_int_eq(rh_container_step(f.container, 1, fds), 0);
	UNTIL(f.n_lost == 1);
	ck_assert_uint_le(f.n_reports, 100);
	DISCARD("lost");
	(void)close(fd);
}
END_TEST

START_TEST(test_lease_refused)
{
	fakes.mode = FAKE_AGENT_REFUSES;
	fixture_up();
	fixture_acquire();
	UNTIL(f.n_acquired == 1);
	fixture_lease();
	UNTIL(f.n_leased == 1);
	ck_assert_int_lt(f.lease_r, 0);
	ck_assert_str_eq(f.lease_err.text, "its agent refused: leased before");
	ck_assert_uint_eq(f.n_lost, 0);
	DISCARD("refused");
	ck_assert_uint_eq(fakes_n_containers(), 0);
}
END_TEST

START_TEST(test_lease_survives_a_broken_link)
{
	fakes.mode = FAKE_AGENT_BREAKS;
	fixture_up();
	fixture_lease_one();
	DISCARD("over");
}
END_TEST

START_TEST(test_mount_fails)
{
	fakes.attach_r = -ELOOP;
	fixture_up();
	fixture_acquire();
	UNTIL(f.n_acquired == 1);
	fixture_lease();
	UNTIL(f.n_leased == 1);
	ck_assert_int_eq(f.lease_r, -ELOOP);
	ck_assert_ptr_nonnull(strstr(f.lease_err.text, "mount: "));
	DISCARD("failed");
}
END_TEST

/* A discard while the lease is under way: both callbacks come. */
START_TEST(test_discard_during_lease)
{
	fixture_up();
	fixture_acquire();
	UNTIL(f.n_acquired == 1);
	fixture_lease();
	rh_container_discard(f.container, "cancelled", fixture_on_gone, NULL);
	ck_assert_uint_eq(f.n_leased, 0);
	UNTIL(f.n_leased == 1 && f.gone);
	ck_assert_int_lt(f.lease_r, 0);
	ck_assert_uint_eq(fakes_n_containers(), 0);
}
END_TEST

START_TEST(test_store_refuses)
{
	fakes.store_r = -ENOBUFS;
	fixture_up();
	fixture_lease_one();
	DISCARD("over");
	ck_assert_uint_eq(fakes_n_containers(), 0);
}
END_TEST

START_TEST(test_removal_is_tried_again)
{
	fixture_up();
	fixture_lease_one();
	fakes.remove_r = -EIO;
	rh_container_discard(f.container, "over", fixture_on_gone, NULL);
	UNTIL(fakes.n_removes == 2);
	ck_assert(!f.gone);
	fakes.remove_r = 0;
	/* While the timer runs: one of both. */
	fixture_up();
	UNTIL(f.gone);
	ck_assert_uint_eq(fakes.n_removes, 3);
	for (int i = 0; i < 100; i++)
		fixture_turn();
	ck_assert_uint_eq(fakes.n_removes, 3);
}
END_TEST

/* The helper that deletes dies, once or always. */
START_TEST(test_its_directory_goes_though_helpers_die)
{
	static const unsigned n_lost[] = {1, 100};
	char dir[512];

	fixture_up();
	fixture_lease_one();
	(void)snprintf(dir, sizeof(dir), "%s/%s", f.parent_dir, fixture_fake()->instance);
	fakes.n_trees_lost = n_lost[_i];
	rh_container_discard(f.container, "over", fixture_on_gone, NULL);
	UNTIL(f.gone);
	ck_assert_int_eq(access(dir, F_OK), _i == 0 ? -1 : 0);
	fakes.n_trees_lost = 0;
}
END_TEST

static void tests_of_life(Suite *suite)
{
	TCase *tcase = tcase_create("life");

	tcase_add_checked_fixture(tcase, fixture_setup, fixture_teardown);
	tcase_set_timeout(tcase, 20);
	tcase_add_test(tcase, test_whole_life);
	tcase_add_test(tcase, test_slot);
	tcase_add_test(tcase, test_cold);
	tcase_add_test(tcase, test_cold_does_not_wait_for_start);
	tcase_add_test(tcase, test_steps);
	tcase_add_loop_test(tcase, test_reports_of_nothing, 0, 2);
	tcase_add_test(tcase, test_killed);
	tcase_add_test(tcase, test_removed_by_someone_else);
	tcase_add_test(tcase, test_engine_dies_with_it);
	tcase_add_test(tcase, test_warm_one_dies_or_pauses);
	tcase_add_test(tcase, test_dead_idle_is_not_handed_out);
	tcase_add_test(tcase, test_lease_refused);
	tcase_add_test(tcase, test_lease_survives_a_broken_link);
	tcase_add_test(tcase, test_mount_fails);
	tcase_add_test(tcase, test_discard_during_lease);
	tcase_add_test(tcase, test_store_refuses);
	tcase_add_test(tcase, test_removal_is_tried_again);
	tcase_add_loop_test(tcase, test_its_directory_goes_though_helpers_die, 0, 2);
	suite_add_tcase(suite, tcase);
}

RH_TEST_MAIN("container-life", tests_of_life);
