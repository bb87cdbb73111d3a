/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/container/cgroups.c: both layouts.
 */

#include "broker/daemon/container/cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rh-test.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/fd.h"

static struct rh_cgroups cgroups;

START_TEST(version_1)
{
	const char text[] = "12:pids:/docker/abc\n11:cpu,cpuacct:/docker/abc\n"
			    "3:memory:/docker/abc\n1:name=systemd:/docker/abc\n0::/docker/abc\n";

	ck_assert_int_eq(rh_cgroups_parse("/cg", text, &cgroups), 0);
	ck_assert_int_eq(cgroups.version, 1);
	ck_assert_str_eq(cgroups.paths[RH_CONTROLLER_PIDS], "/cg/pids/docker/abc");
	ck_assert_str_eq(cgroups.paths[RH_CONTROLLER_CPU], "/cg/cpu/docker/abc");
	ck_assert_str_eq(cgroups.paths[RH_CONTROLLER_MEMORY], "/cg/memory/docker/abc");
}
END_TEST

START_TEST(version_2)
{
	ck_assert_int_eq(
		rh_cgroups_parse("/cg", "0::/system.slice/docker-abc.scope\n", &cgroups), 0);
	ck_assert_int_eq(cgroups.version, 2);
	for (int i = 0; i < RH_CONTROLLERS; i++)
		ck_assert_str_eq(cgroups.paths[i], "/cg/system.slice/docker-abc.scope");
}
END_TEST

START_TEST(neither)
{
	static const char *const rows[] = {"", "\n", "nonsense", "1:name=systemd:/x\n", "1:", "::"};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_int_eq(rh_cgroups_parse("/cg", rows[i], &cgroups), i == 5 ? 0 : -EPROTO);
	/* Not a controller that only ends, or begins, like one. */
	ck_assert_int_eq(rh_cgroups_parse("/cg", "2:xpids,cpuset:/x\n", &cgroups), -EPROTO);
}
END_TEST

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[128];
	_cleanup_(rh_closep) int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_eq(rh_write_all(fd, text, strlen(text)), 0);
}

START_TEST(numbers)
{
	char dir[] = "/tmp/rh-cgroups-XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(rh_cgroups_parse(dir, "0::/\n", &cgroups), 0);
	write_file(dir, "pids.max", "512\n");
	write_file(dir, "pids.events", "high 3\nmax 7\n");
	write_file(dir, "memory.max", "max\n");
	write_file(dir, "memory.limit_in_bytes", "9223372036854771712\n");
	write_file(dir, "cpu.max", "nonsense\n");
	ck_assert_uint_eq(rh_cgroup_number(&cgroups, RH_CONTROLLER_PIDS, "pids.max", ""), 512);
	ck_assert_uint_eq(rh_cgroup_number(&cgroups, RH_CONTROLLER_PIDS, "pids.events", "max "), 7);
	ck_assert_uint_eq(rh_cgroup_number(&cgroups, RH_CONTROLLER_MEMORY, "memory.max", ""),
		RH_CGROUP_UNLIMITED);
	ck_assert_uint_eq(
		rh_cgroup_number(&cgroups, RH_CONTROLLER_MEMORY, "memory.limit_in_bytes", ""),
		RH_CGROUP_UNLIMITED);
	ck_assert_uint_eq(
		rh_cgroup_number(&cgroups, RH_CONTROLLER_CPU, "cpu.max", ""), RH_CGROUP_UNKNOWN);
	ck_assert_uint_eq(
		rh_cgroup_number(&cgroups, RH_CONTROLLER_CPU, "absent", ""), RH_CGROUP_UNKNOWN);
	rh_test_remove_tree(dir);
}
END_TEST

START_TEST(own)
{
	ck_assert_int_eq(rh_cgroups_of(getpid(), &cgroups), 0);
	ck_assert_int_lt(rh_cgroups_of(-1, &cgroups), 0);
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "cgroups", version_1, version_2, neither, numbers, own);
}

RH_TEST_MAIN("cgroups", tests);
