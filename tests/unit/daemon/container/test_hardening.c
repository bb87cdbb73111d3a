/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/container/hardening.c: the limits of processes that a container is asked for.
 */

#include "broker/daemon/container/hardening.h"

#include <string.h>

#include "rh-test.h"

static struct rh_hardening room;

/* What is asked for of this name, the last one; NULL: nothing. */
static const char *asked(const struct rh_profile *profile, const char *name)
{
	struct rh_engine_spec spec = {0};
	const char *found = NULL;

	rh_hardening_apply(profile, &room, &spec);
	for (size_t i = 0; spec.ulimits[i]; i++) {
		if (strncmp(spec.ulimits[i], name, strlen(name)) == 0)
			found = spec.ulimits[i];
	}
	return found;
}

START_TEST(no_file_is_larger_than_the_disk)
{
	struct rh_profile profile = {.disk_bytes = UINT64_C(32) << 30};
	char *own[] = {(char[]){"fsize=1000:2000"}, (char[]){"nproc=5"}, NULL};

	ck_assert_str_eq(asked(&profile, "fsize="), "fsize=34359738368");
	/* The profile may say otherwise. */
	profile.ulimits = own;
	ck_assert_str_eq(asked(&profile, "fsize="), "fsize=1000:2000");
	ck_assert_str_eq(asked(&profile, "nproc="), "nproc=5");
	profile = (struct rh_profile){0};
	ck_assert_ptr_null(asked(&profile, "fsize="));
	ck_assert_str_eq(asked(&profile, "core="), "core=0");
}
END_TEST

static void tests(Suite *suite)
{
	TCase *hardening = tcase_create("hardening");

	tcase_add_test(hardening, no_file_is_larger_than_the_disk);
	suite_add_tcase(suite, hardening);
}

RH_TEST_MAIN("container_hardening", tests);
