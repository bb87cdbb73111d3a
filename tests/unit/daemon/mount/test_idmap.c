/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/mount/idmap.h
 */

#include "broker/daemon/mount/idmap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rh-test.h"

static void check_text(uint32_t disk, uint32_t seen, uint32_t base, const char *want)
{
	char text[RH_IDMAP_TEXT_MAX] = "";

	ck_assert_int_eq(rh_idmap_text(disk, seen, base, text), (int)strlen(want));
	ck_assert_str_eq(text, want);
}

START_TEST(every_id_has_one_place)
{
	check_text(1001, 0, 100000, "1001 0 1\n100001 1 65535\n");
	check_text(0, 0, 100000, "0 0 1\n100001 1 65535\n");
	check_text(1001, 1000, 100000, "1001 1000 1\n100000 0 1000\n101001 1001 64535\n");
	check_text(1001, 65535, 100000, "1001 65535 1\n100000 0 65535\n");
	check_text(70000, 70000, 100000, "70000 70000 1\n100000 0 65536\n");
	check_text(5, 0, 4294901759u, "5 0 1\n4294901760 1 65535\n");
}
END_TEST

START_TEST(overlaps_are_refused)
{
	char text[RH_IDMAP_TEXT_MAX];

	ck_assert_int_eq(rh_idmap_text(100000, 0, 100000, text), -EINVAL);
	ck_assert_int_eq(rh_idmap_text(165535, 0, 100000, text), -EINVAL);
	ck_assert_int_gt(rh_idmap_text(165536, 0, 100000, text), 0);
	ck_assert_int_gt(rh_idmap_text(99999, 0, 100000, text), 0);
	/* Ids that people have. */
	ck_assert_int_eq(rh_idmap_text(1001, 0, 0, text), -EINVAL);
	ck_assert_int_eq(rh_idmap_text(1001, 0, 65535, text), -EINVAL);
	/* The end of the number space. */
	ck_assert_int_eq(rh_idmap_text(1001, 0, 4294901760u, text), -EINVAL);
	ck_assert_int_eq(rh_idmap_text(UINT32_MAX, 0, 100000, text), -EINVAL);
	ck_assert_int_eq(rh_idmap_text(1001, UINT32_MAX, 100000, text), -EINVAL);
}
END_TEST

START_TEST(only_the_runner_itself_needs_none)
{
	struct rh_idmap_key key = {1001, 1001, 1001, 1001, 100000};

	ck_assert(!rh_idmap_is_needed(&key));
	key.step_gid = 5;
	ck_assert(rh_idmap_is_needed(&key));
	key = (struct rh_idmap_key){0, 0, 0, 0, 100000};
	ck_assert(rh_idmap_is_needed(&key));
}
END_TEST

static ino_t inode_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return st.st_ino;
}

START_TEST(namespaces_are_kept_and_bounded)
{
	static struct rh_idmaps maps;
	struct rh_idmap_key key = {1001, 1001, 0, 0, 100000};
	struct rh_err err = {0};
	int fd = -1;

	ck_assert_msg(rh_idmaps_get(&maps, &key, &fd, &err) == 0, "%s", err.text);
	ino_t first = inode_of(fd);

	for (uint32_t i = 1; i <= RH_IDMAPS_MAX; i++) {
		key.step_uid = i;
		ck_assert_int_eq(rh_idmaps_get(&maps, &key, &fd, &err), 0);
		ck_assert_uint_ne(inode_of(fd), first);
		/* What is used stays. */
		key.step_uid = 0;
		ck_assert_int_eq(rh_idmaps_get(&maps, &key, &fd, &err), 0);
		ck_assert_uint_eq(inode_of(fd), first);
	}
	/* 2 is still there, 1 made room. */
	uint64_t clock = maps.clock;
	bool has_1 = false;

	for (size_t i = 0; i < RH_IDMAPS_MAX; i++)
		has_1 = has_1 || maps.slots[i].key.step_uid == 1;
	ck_assert(!has_1);
	ck_assert_uint_eq(maps.clock, clock);
	/* No child is left. */
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	rh_idmaps_deinit(&maps);
}
END_TEST

START_TEST(an_unsuitable_range_is_named)
{
	static struct rh_idmaps maps;
	const struct rh_idmap_key key = {100001, 100001, 0, 0, 100000};
	struct rh_err err = {0};
	int fd = -1;

	ck_assert_int_eq(rh_idmaps_get(&maps, &key, &fd, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "id_map_base"));
	ck_assert_int_eq(fd, -1);
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "text", every_id_has_one_place, overlaps_are_refused,
		only_the_runner_itself_needs_none);
	RH_ADD_TESTS(
		suite, "namespaces", namespaces_are_kept_and_bounded, an_unsuitable_range_is_named);
}

RH_TEST_MAIN("mount-idmap", tests);
