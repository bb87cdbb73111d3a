/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/agent/loop.c
 */

#include "broker/agent/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "rh-test.h"

static struct rh_loop loop;
static int pipes[2][2];
static struct rh_source sources[2];
static int n_events;

/* Closes the other one, whose event is waiting too. */
static void on_event(void *arg, uint32_t events)
{
	struct rh_source *source = arg;
	int other = source == &sources[0] ? 1 : 0;

	n_events++;
	rh_loop_remove(&loop, pipes[other][0]);
	(void)close(pipes[other][0]);
	sources[other].on_event = NULL;
	rh_loop_stop(&loop);
}

START_TEST(a_closed_source_hears_nothing_more)
{
	ck_assert_int_eq(rh_loop_init(&loop), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pipe2(pipes[i], O_CLOEXEC), 0);
		ck_assert_int_eq(write(pipes[i][1], "x", 1), 1);
		sources[i] = (struct rh_source){.on_event = on_event, .arg = &sources[i]};
		ck_assert_int_eq(rh_loop_add(&loop, pipes[i][0], EPOLLIN, &sources[i]), 0);
	}
	ck_assert_int_eq(rh_loop_run(&loop), 0);
	ck_assert_int_eq(n_events, 1);
	rh_loop_deinit(&loop);
}
END_TEST

START_TEST(errors_are_passed_on)
{
	ck_assert_int_eq(rh_loop_init(&loop), 0);
	ck_assert_int_eq(rh_loop_add(&loop, -1, EPOLLIN, &sources[0]), -EBADF);
	ck_assert_int_eq(rh_loop_change(&loop, -1, EPOLLIN, &sources[0]), -EBADF);
	rh_loop_remove(&loop, -1);
	rh_loop_deinit(&loop);
	ck_assert_int_eq(rh_loop_run(&loop), -EBADF);
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "loop", a_closed_source_hears_nothing_more, errors_are_passed_on);
}

RH_TEST_MAIN("loop", tests);
