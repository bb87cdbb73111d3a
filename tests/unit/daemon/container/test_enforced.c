/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/container/enforced*.c: read back, compared, told.
 */

#include "broker/daemon/container/enforced.h"

#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "broker/daemon/container/cgroups.h"
#include "rh-test.h"
#include "runnerhub/limits.h"

static char isolated[] = "isolated", standard[] = "default";
static char *cap_add[] = {(char[]){"SYS_PTRACE"}, NULL};
static char *ulimits[] = {(char[]){"fsize=2097152"}, NULL};
static struct rh_profile profile;
static struct rh_enforced enforced;
static struct rh_enforced_wanted wanted;

static void add_mount(const char *target, const char *options)
{
	struct rh_enforced_mount *mount = &enforced.mounts[enforced.n_mounts++];

	(void)snprintf(mount->target, sizeof(mount->target), "%s", target);
	(void)snprintf(mount->options, sizeof(mount->options), "%s", options);
	(void)snprintf(mount->type, sizeof(mount->type), "ext4");
}

/* All as it should be. */
static void make(void)
{
	profile = (struct rh_profile){
		.network = isolated,
		.apparmor = standard,
		.cpus = 0.5,
		.memory_bytes = 1 << 20,
		.pids = 100,
	};
	enforced = (struct rh_enforced){
		.cap_bounding = UINT64_C(1) << rh_capability_number("CHOWN"),
		.seccomp = 2,
		.n_filters = 2,
		.no_new_privs = true,
		.own = {true, true, true, true, true, true, false},
		.memory = 1 << 20,
		.memory_swap = RH_CGROUP_UNKNOWN,
		.pids = 100,
		.cpus = 0.5,
		.n_links = 2,
		.links = {"lo", "eth0"},
	};
	add_mount("/proc/sys", "ro,nosuid");
	add_mount("/proc/1", "ro");
	add_mount(RH_AGENT_PATH, "ro,relatime");
	add_mount("/work/demo", "rw");
	add_mount("/work/demo", "rw,nosuid,nodev,idmapped");
	wanted = (struct rh_enforced_wanted){
		.profile = &profile, .workspace = "/work/demo", .id_mapped = true};
}

static const char *check(void)
{
	static char text[512];
	int n = rh_enforced_check(&enforced, &wanted, text, sizeof(text));

	ck_assert_int_eq(n > 0, text[0] != '\0');
	return text;
}

START_TEST(what_is_asked_for_is_no_difference)
{
	make();
	ck_assert_str_eq(check(), "");
	/* Nor is more than that. */
	enforced.memory = 4096;
	enforced.pids = 10;
	enforced.n_filters = -1;
	ck_assert_str_eq(check(), "");
	profile.cap_add = cap_add;
	enforced.cap_bounding |= UINT64_C(1) << rh_capability_number("SYS_PTRACE");
	ck_assert_str_eq(check(), "");
}
END_TEST

START_TEST(whatever_is_less_is_named)
{
	make();
	enforced.cap_effective |= UINT64_C(1) << rh_capability_number("SYS_ADMIN");
	ck_assert_str_eq(check(), "capability SYS_ADMIN is there");
	make();
	enforced.seccomp = 0;
	enforced.no_new_privs = false;
	ck_assert_str_eq(check(), "no system call filter; no_new_privs is not set");
	make();
	enforced.n_filters = 1;
	ck_assert_str_eq(check(), "only one of two system call filters");
	make();
	enforced.own[RH_NS_NET] = false;
	enforced.own[RH_NS_CGROUP] = false;
	ck_assert_str_eq(
		check(), "no network namespace of its own; no control group namespace of its own");
	make();
	enforced.memory = RH_CGROUP_UNLIMITED;
	enforced.pids = 101;
	enforced.cpus = 1;
	ck_assert_str_eq(check(),
		"memory is not limited; the number of processes is limited to 101, not 100; "
		"processor time is limited to 1, not 0.5");
	make();
	profile.disk_bytes = 1 << 20;
	enforced.fsize_max = RH_CGROUP_UNLIMITED;
	ck_assert_str_eq(check(), "the size of a file is not limited");
	enforced.fsize_max = 1 << 20;
	ck_assert_str_eq(check(), "");
	/* The profile's own word goes before that. */
	enforced.fsize_max = 2 << 20;
	profile.ulimits = ulimits;
	ck_assert_str_eq(check(), "");
	make();
	(void)strcpy(enforced.mounts[0].options, "rw,nosuid");
	(void)strcpy(enforced.mounts[4].options, "rw,nosuid");
	ck_assert_str_eq(check(),
		"/proc/sys is not read-only; the workspace is mounted without nodev; the "
		"workspace is mounted without its id map");
	make();
	enforced.n_mounts = 3;
	add_mount(RH_AGENT_SOCKET_DIR, "rw");
	ck_assert_str_eq(
		check(), "the agent's socket is still mounted; the workspace is not mounted");
	make();
	(void)strcpy(enforced.links[enforced.n_links++], "eth1");
	ck_assert_str_eq(check(), "2 network interfaces, not 1");
}
END_TEST

START_TEST(text_that_does_not_fit_is_cut)
{
	char text[40];

	make();
	enforced.cap_bounding = UINT64_MAX;
	ck_assert_int_gt(rh_enforced_check(&enforced, &wanted, text, sizeof(text)), 40);
	ck_assert_uint_lt(strlen(text), sizeof(text));
}
END_TEST

START_TEST(a_process_is_read)
{
	struct json_object *json = NULL;
	struct json_object *value = NULL;

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(rh_enforced_read(getpid(), &enforced), 0);
	ck_assert(enforced.no_new_privs);
	ck_assert(!enforced.own[RH_NS_PID]);
	ck_assert_uint_gt(enforced.namespaces[RH_NS_PID], 0);
	ck_assert_uint_gt(enforced.n_mounts, 0);
	ck_assert_uint_gt(enforced.n_links, 0);
	ck_assert_uint_gt(enforced.nofile_max, 0);
	ck_assert_ptr_nonnull(strstr(enforced.uid_map, "0"));
	(void)snprintf(enforced.firewall, sizeof(enforced.firewall), "iptables");
	json = rh_enforced_to_json(&enforced);
	ck_assert(json_object_object_get_ex(json, "network", &value));
	ck_assert_str_eq(
		json_object_get_string(json_object_object_get(value, "firewall")), "iptables");
	ck_assert(json_object_object_get_ex(json, "mounts", &value));
	ck_assert_uint_eq(json_object_array_length(value), enforced.n_mounts);
	ck_assert(json_object_object_get_ex(json, "privileges", &value));
	ck_assert(json_object_get_boolean(json_object_object_get(value, "noNewPrivileges")));
	(void)json_object_put(json);
	ck_assert_int_lt(rh_enforced_read(0x3fffffff, &enforced), 0);
}
END_TEST

START_TEST(capabilities_have_names_and_numbers)
{
	ck_assert_int_eq(rh_capability_number("CHOWN"), 0);
	ck_assert_int_eq(rh_capability_number("CHECKPOINT_RESTORE"), 40);
	ck_assert_int_eq(rh_capability_number("NONE"), -1);
	ck_assert_str_eq(rh_capability_name(21), "SYS_ADMIN");
	ck_assert_ptr_null(rh_capability_name(41));
	ck_assert_ptr_null(rh_capability_name(-1));
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "enforced", what_is_asked_for_is_no_difference,
		whatever_is_less_is_named, text_that_does_not_fit_is_cut, a_process_is_read,
		capabilities_have_names_and_numbers);
}

RH_TEST_MAIN("enforced", tests);
