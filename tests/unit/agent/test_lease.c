/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/agent/lease.c, and who may be the broker (listen.c).
 */

#include "broker/agent/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "broker/agent/listen.h"
#include "rh-test.h"

static struct rh_lease lease;

static int take(uint8_t job, uint32_t uid)
{
	struct rh_wire_lease wanted = {.job.bytes[0] = job, .uid = uid, .gid = 7};

	return rh_lease_take(&lease, AT_FDCWD, NULL, &wanted);
}

START_TEST(one_job_in_a_life)
{
	struct rh_id job = {.bytes[0] = 1};

	ck_assert(!rh_lease_is(&lease, &job));
	ck_assert_int_eq(take(1, 5), 0);
	ck_assert(rh_lease_is(&lease, &job));
	ck_assert_int_eq(take(2, 6), RH_LEASE_E_OTHER);
	ck_assert_int_eq(take(1, 6), 0);
	ck_assert_uint_eq(lease.user.uid, 5);
	ck_assert_uint_eq(lease.user.gid, 7);
}
END_TEST

START_TEST(no_job_and_no_id_are_refused)
{
	struct rh_id null = {0};

	ck_assert_int_eq(take(0, 5), -EINVAL);
	ck_assert_int_eq(take(1, UINT32_MAX), -EINVAL);
	ck_assert(!lease.taken);
	ck_assert(!rh_lease_is(&lease, &null));
}
END_TEST

START_TEST(only_the_hosts_root_is_the_broker)
{
	ck_assert(rh_from_host(0, 0));
	ck_assert(!rh_from_host(0, 7));
	ck_assert(!rh_from_host(0, 1));
	ck_assert(!rh_from_host(1000, 0));
	ck_assert(!rh_from_host((uid_t)-1, -1));
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "lease", one_job_in_a_life, no_job_and_no_id_are_refused,
		only_the_hosts_root_is_the_broker);
}

RH_TEST_MAIN("lease", tests);
