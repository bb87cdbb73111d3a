/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/agent/cgroup.c, both layouts as trees of files.
 */

#include "broker/agent/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rh-test.h"
#include "runnerhub/fd.h"

static char dir[] = "/tmp/rh-cgroup-XXXXXX";
static struct rh_cgroup cgroup;

static void make_tree(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_tree(void)
{
	rh_cgroup_deinit(&cgroup);
	rh_test_remove_tree(dir);
}

static void make_dir(const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void write_file(const char *name, const char *text)
{
	char path[256];
	int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(rh_write_all(fd, text, strlen(text)), 0);
	(void)close(fd);
}

START_TEST(version_2)
{
	write_file("memory.events", "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n");
	write_file("memory.max", "268435456\n");
	write_file("memory.peak", "267386880\n");
	rh_cgroup_init(&cgroup, dir, "0::/\n");
	ck_assert_uint_eq(rh_cgroup_oom_kills(&cgroup), 2);
	ck_assert_uint_eq(rh_cgroup_limit(&cgroup), 268435456);
	ck_assert_uint_eq(rh_cgroup_peak(&cgroup), 267386880);
	write_file("memory.events", "oom_kill 7\n");
	ck_assert_uint_eq(rh_cgroup_oom_kills(&cgroup), 7);
	write_file("memory.max", "max\n");
	ck_assert_uint_eq(rh_cgroup_limit(&cgroup), RH_CGROUP_NONE);
}
END_TEST

START_TEST(version_2_in_the_hosts_namespace)
{
	make_dir("docker");
	make_dir("docker/0123");
	write_file("docker/0123/memory.events", "oom_kill 5\n");
	rh_cgroup_init(&cgroup, dir, "1:name=systemd:/x\n0::/docker/0123\n");
	ck_assert_uint_eq(rh_cgroup_oom_kills(&cgroup), 5);
	ck_assert_uint_eq(rh_cgroup_peak(&cgroup), RH_CGROUP_NONE);
}
END_TEST

START_TEST(version_1)
{
	make_dir("memory");
	write_file("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
	write_file("memory/memory.limit_in_bytes", "9223372036854771712\n");
	write_file("memory/memory.max_usage_in_bytes", "4096\n");
	rh_cgroup_init(&cgroup, dir, "4:memory:/docker/0123\n0::/\n");
	ck_assert_uint_eq(rh_cgroup_oom_kills(&cgroup), 4);
	ck_assert_uint_eq(rh_cgroup_limit(&cgroup), RH_CGROUP_NONE);
	ck_assert_uint_eq(rh_cgroup_peak(&cgroup), 4096);
}
END_TEST

START_TEST(neither)
{
	rh_cgroup_init(&cgroup, dir, "");
	ck_assert_uint_eq(rh_cgroup_oom_kills(&cgroup), 0);
	ck_assert_uint_eq(rh_cgroup_limit(&cgroup), RH_CGROUP_NONE);
	ck_assert_uint_eq(rh_cgroup_peak(&cgroup), RH_CGROUP_NONE);
}
END_TEST

START_TEST(an_oom_kill_is_explained)
{
	char text[384];

	write_file("memory.events", "oom_kill 1\n");
	write_file("memory.max", "268435456\n");
	write_file("memory.peak", "267386880\n");
	rh_cgroup_init(&cgroup, dir, "0::/\n");
	rh_cgroup_explain_oom(&cgroup, text, sizeof(text));
	ck_assert_str_eq(text,
		"runnerhub: killed by the kernel's OOM killer: the container's memory limit is "
		"256 MiB (peak 255 MiB); raise `memory` of its profile\n");
	write_file("memory.max", "max\n");
	rh_cgroup_explain_oom(&cgroup, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "the host ran out of memory (peak 255 MiB)"));
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
}
END_TEST

static void tests(Suite *suite)
{
	TCase *trees = tcase_create("trees");

	tcase_add_checked_fixture(trees, make_tree, remove_tree);
	tcase_add_test(trees, version_2);
	tcase_add_test(trees, version_2_in_the_hosts_namespace);
	tcase_add_test(trees, version_1);
	tcase_add_test(trees, neither);
	tcase_add_test(trees, an_oom_kill_is_explained);
	suite_add_tcase(suite, trees);
}

RH_TEST_MAIN("cgroup", tests);
