/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/job/bond.h: an id fits the job that it was made for, and no other.
 */

#include "broker/daemon/job/bond.h"

#include "rh-test.h"

static const struct rh_bond bond = {
	.runner = "r1", .repo = "demo", .worker_pid = 1234, .worker_start = 567890};

START_TEST(it_fits_its_own)
{
	struct rh_id a, b;

	ck_assert_int_eq(rh_bond_new_id(&bond, &a), 0);
	ck_assert_int_eq(rh_bond_new_id(&bond, &b), 0);
	ck_assert(!rh_id_equal(&a, &b));
	ck_assert(rh_bond_fits(&bond, &a));
	ck_assert(rh_bond_fits(&bond, &b));
}
END_TEST

START_TEST(it_fits_no_other)
{
	struct rh_bond other[] = {bond, bond, bond, bond, bond};
	struct rh_id id;

	other[0].runner = "r2";
	other[1].repo = "demo2";
	other[2].worker_pid++;
	other[3].worker_start--;
	/* The same letters, cut elsewhere. */
	other[4].runner = "r1d";
	other[4].repo = "emo";
	ck_assert_int_eq(rh_bond_new_id(&bond, &id), 0);
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		ck_assert_msg(!rh_bond_fits(&other[i], &id), "%zu", i);
}
END_TEST

START_TEST(damage_is_seen)
{
	struct rh_id id;

	ck_assert_int_eq(rh_bond_new_id(&bond, &id), 0);
	for (size_t i = 0; i < 8 * sizeof(id.bytes); i++) {
		id.bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		ck_assert(!rh_bond_fits(&bond, &id));
		id.bytes[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	ck_assert(rh_bond_fits(&bond, &id));
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "bond", it_fits_its_own, it_fits_no_other, damage_is_seen);
}

RH_TEST_MAIN("bond", tests);
