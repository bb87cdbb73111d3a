/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Checks of the host, given trees of their own.
 */

#include <string.h>

#include "../capture.h"
#include "broker/cli/doctor/doctor.h"
#include "rh-test.h"
#include "run.h"

static struct rh_doctor doctor;
static struct rh_config config;
static struct rh_profile profile;

static void setup(void)
{
	doctor = (struct rh_doctor){.host = test_dir()};
	profile = (struct rh_profile){.nofile = 65536};
	config = (struct rh_config){.profiles = &profile, .n_profiles = 1};
}

#define V1(memory)                                          \
	"#subsys_name\thierarchy\tnum_cgroups\tenabled\n"   \
	"cpuset\t3\t6\t1\ncpu\t1\t6\t1\ncpuacct\t2\t6\t1\n" \
	"memory\t" memory "\npids\t8\t6\t1\n"

START_TEST(cgroup_v1)
{
	test_file("proc/cgroups", V1("4\t41\t1"));
	expect(rh_checks_cgroup, "cgroup.layout", RH_HEALTH_OK, "v1", &doctor, NULL);
	expect(rh_checks_cgroup, "cgroup.controllers", RH_HEALTH_OK, "memory", &doctor, NULL);
	test_file("proc/cgroups", V1("0\t41\t0"));
	expect(rh_checks_cgroup, "cgroup.controllers", RH_HEALTH_FAILURE, "missing: memory;",
		&doctor, NULL);
	test_file("sys/fs/cgroup/unified/cgroup.procs", "1\n");
	expect(rh_checks_cgroup, "cgroup.layout", RH_HEALTH_OK, "hybrid", &doctor, NULL);
}
END_TEST

START_TEST(cgroup_v2)
{
	test_file("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
	expect(rh_checks_cgroup, "cgroup.layout", RH_HEALTH_OK, "v2", &doctor, NULL);
	expect(rh_checks_cgroup, "cgroup.controllers", RH_HEALTH_OK, "memory", &doctor, NULL);
	test_file("sys/fs/cgroup/cgroup.controllers", "cpuset io memory\n");
	expect(rh_checks_cgroup, "cgroup.controllers", RH_HEALTH_FAILURE, "missing: pids, cpu;",
		&doctor, NULL);
}
END_TEST

START_TEST(no_cgroups)
{
	expect(rh_checks_cgroup, "cgroup.layout", RH_HEALTH_FAILURE, "no control groups", &doctor,
		NULL);
	expect(rh_checks_cgroup, "cgroup.controllers", RH_HEALTH_SKIPPED, "", &doctor, NULL);
}
END_TEST

static void program(const char *name)
{
	char path[256];

	test_file(name, "x");
	(void)snprintf(path, sizeof(path), "%s/%s", doctor.host, name);
	ck_assert_int_eq(chmod(path, 0755), 0);
}

START_TEST(firewall_programs)
{
	expect(rh_checks_network, "network.programs", RH_HEALTH_FAILURE, "nft is not there",
		&doctor, NULL);
	program("usr/sbin/iptables-restore");
	program("usr/sbin/iptables-save");
	program("sbin/ip6tables-restore");
	expect(rh_checks_network, "network.programs", RH_HEALTH_FAILURE, "nft is not there",
		&doctor, NULL);
	program("sbin/ip6tables-save");
	expect(rh_checks_network, "network.programs", RH_HEALTH_OK, "iptables (iptables-restore)",
		&doctor, NULL);
	program("usr/sbin/nft");
	expect(rh_checks_network, "network.programs", RH_HEALTH_OK, "nftables (nft)", &doctor,
		NULL);
	/* What the configuration says counts. */
	doctor.config = &config;
	profile.network = (char[]){"isolated"};
	config.network_firewall = 2;
	expect(rh_checks_network, "network.programs", RH_HEALTH_OK, "iptables (", &doctor, NULL);
	config.network_firewall = 3;
	expect(rh_checks_network, "network.programs", RH_HEALTH_FAILURE, "iptables-legacy-restore",
		&doctor, NULL);
	config.network_firewall = 0;
}
END_TEST

START_TEST(firewall_and_forwarding)
{
	expect(rh_checks_network, "network.rules", RH_HEALTH_SKIPPED, "", &doctor, NULL);
	doctor.status = json_tokener_parse(
		"{\"network\":{\"name\":\"n\",\"firewall\":\"nftables\",\"inForce\":true}}");
	expect(rh_checks_network, "network.rules", RH_HEALTH_OK, "by nftables, under the name n",
		&doctor, NULL);
	json_object_put(doctor.status);
	doctor.status = json_tokener_parse(
		"{\"network\":{\"name\":\"n\",\"inForce\":false,\"problem\":\"no nft\"}}");
	expect(rh_checks_network, "network.rules", RH_HEALTH_FAILURE, "no nft", &doctor, NULL);
	json_object_put(doctor.status);
	doctor.status = NULL;
	expect(rh_checks_network, "network.ip_forward", RH_HEALTH_WARNING, "", &doctor, NULL);
	test_file("proc/sys/net/ipv4/ip_forward", "1\n");
	expect(rh_checks_network, "network.ip_forward", RH_HEALTH_OK, "", &doctor, NULL);
	/* Only isolated ones need it. */
	profile.network = (char[]){"none"};
	doctor.config = &config;
	expect(rh_checks_network, "network.programs", RH_HEALTH_SKIPPED, "", &doctor, NULL);
	expect(rh_checks_network, "network.rules", RH_HEALTH_SKIPPED, "", &doctor, NULL);
}
END_TEST

static const struct {
	const char *id;
	const char *info;
	enum rh_health health;
	const char *message;
} engines[] = {
	{"engine.userns", "{\"SecurityOptions\":[\"name=seccomp,profile=default\"]}", RH_HEALTH_OK,
		"runs as root"},
	{"engine.userns", "{\"SecurityOptions\":[\"name=seccomp\",\"name=userns\"]}",
		RH_HEALTH_FAILURE, "userns-remap"},
	{"engine.userns", "{\"SecurityOptions\":[\"name=rootless\"]}", RH_HEALTH_FAILURE,
		"rootless"},
	{"engine.userns", "{\"SecurityOptions\":[1,null]}", RH_HEALTH_OK, ""},
	{"engine.storage", "{\"Driver\":\"overlay2\"}", RH_HEALTH_OK, "overlay2"},
	{"engine.storage", "{\"Driver\":\"vfs\"}", RH_HEALTH_WARNING, "vfs"},
	{"engine.cgroups",
		"{\"CgroupDriver\":\"systemd\",\"CgroupVersion\":\"2\",\"MemoryLimit\":true,"
		"\"SwapLimit\":true,\"PidsLimit\":true,\"CpuCfsQuota\":true}",
		RH_HEALTH_OK, "driver systemd, v2"},
	{"engine.cgroups",
		"{\"CgroupDriver\":\"cgroupfs\",\"CgroupVersion\":\"1\",\"MemoryLimit\":true,"
		"\"PidsLimit\":true,\"CpuCfsQuota\":true}",
		RH_HEALTH_WARNING, "cannot set: SwapLimit"},
};

START_TEST(engines_differ)
{
	doctor.engine_info = json_tokener_parse(engines[_i].info);
	expect(rh_checks_engine, engines[_i].id, engines[_i].health, engines[_i].message, &doctor,
		NULL);
	json_object_put(doctor.engine_info);
}
END_TEST

START_TEST(api_versions)
{
	static const char *const bad[] = {"1.40", "1", "x", "2.50"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		doctor.engine_version = json_object_new_object();
		(void)json_object_object_add(
			doctor.engine_version, "ApiVersion", json_object_new_string(bad[i]));
		expect(rh_checks_engine, "engine.api", RH_HEALTH_FAILURE, "1.41", &doctor, NULL);
		json_object_put(doctor.engine_version);
	}
	doctor.engine_version = json_tokener_parse("{\"ApiVersion\":\"1.41\"}");
	expect(rh_checks_engine, "engine.api", RH_HEALTH_OK, "version 1.41", &doctor, NULL);
	json_object_put(doctor.engine_version);
}
END_TEST

/* Without the engine's own answer the broker's word counts. */
START_TEST(the_broker_speaks_for_the_engine)
{
	doctor.engine_r = -EACCES;
	doctor.status = json_tokener_parse(
		"{\"engine\":{\"up\":true,\"version\":\"20.10\",\"apiVersion\":\"1.41\","
		"\"storageDriver\":\"overlay2\"}}");
	expect(rh_checks_engine, "engine.answer", RH_HEALTH_OK, "as the broker says", &doctor,
		NULL);
	expect(rh_checks_engine, "engine.api", RH_HEALTH_OK, "1.41", &doctor, NULL);
	expect(rh_checks_engine, "engine.storage", RH_HEALTH_OK, "overlay2", &doctor, NULL);
	expect(rh_checks_engine, "engine.userns", RH_HEALTH_SKIPPED, "only root", &doctor, NULL);
	json_object_put(doctor.status);
	doctor.status = json_tokener_parse("{\"engine\":{\"up\":false,\"problem\":\"gone\"}}");
	expect(rh_checks_engine, "engine.answer", RH_HEALTH_FAILURE, "gone", &doctor, NULL);
	json_object_put(doctor.status);
	doctor.status = NULL;
	expect(rh_checks_engine, "engine.answer", RH_HEALTH_SKIPPED, "", &doctor, NULL);
	doctor.engine_r = -ECONNREFUSED;
	expect(rh_checks_engine, "engine.answer", RH_HEALTH_FAILURE, "", &doctor, NULL);
}
END_TEST

START_TEST(reserved_ids_are_nobody_elses)
{
	config.id_map_base = 0x70000000;
	doctor.config = &config;
	test_file("etc/subuid", "a:100000:65536\nb:165536:65536\n");
	expect(rh_checks_config, "config.ids", RH_HEALTH_OK, "1879048192 to 1879113727", &doctor,
		NULL);
	test_file("etc/subgid", "a:100000:65536\nb:1879113727:1\n");
	expect(rh_checks_config, "config.ids", RH_HEALTH_FAILURE,
		"etc/subgid gives ids of the range from 1879048192 to others: b:1879113727:1",
		&doctor, NULL);
}
END_TEST

START_TEST(what_the_broker_knows)
{
	struct rh_runner runner = {.name = (char[]){"r1"}};

	config.path = (char[]){"/etc/x.yaml"};
	config.runners = &runner;
	config.n_runners = 1;
	doctor.config = &config;
	expect(rh_checks_config, "config.used", RH_HEALTH_SKIPPED, "", &doctor, NULL);
	doctor.status = json_tokener_parse(
		"{\"broker\":{\"config\":\"/etc/x.yaml\"},\"runners\":[{\"name\":\"r1\"}]}");
	expect(rh_checks_config, "config.used", RH_HEALTH_OK, "", &doctor, NULL);
	json_object_put(doctor.status);
	doctor.status =
		json_tokener_parse("{\"broker\":{\"config\":\"/etc/x.yaml\"},\"runners\":[]}");
	expect(rh_checks_config, "config.used", RH_HEALTH_FAILURE, "runner r1", &doctor, NULL);
	json_object_put(doctor.status);
	doctor.status = json_tokener_parse("{\"broker\":{\"config\":\"/other\"}}");
	expect(rh_checks_config, "config.used", RH_HEALTH_WARNING, "/other", &doctor, NULL);
	json_object_put(doctor.status);
}
END_TEST

START_TEST(late_mounts_are_reported)
{
	doctor.probe_r = -EPERM;
	expect(rh_checks_kernel, "kernel.mounts", RH_HEALTH_SKIPPED, "only root", &doctor, NULL);
	doctor.probe_r = 0;
	(void)strcpy(doctor.probed, "/state");
	expect(rh_checks_kernel, "kernel.mounts", RH_HEALTH_OK, "/state", &doctor, NULL);
	doctor.probe.id_map = -EINVAL;
	expect(rh_checks_kernel, "kernel.mounts", RH_HEALTH_FAILURE, "id map", &doctor, NULL);
	doctor.probe.user_namespace = -ENOSPC;
	test_file("proc/sys/user/max_user_namespaces", "0\n");
	expect(rh_checks_kernel, "kernel.userns", RH_HEALTH_FAILURE, "cannot be made", &doctor,
		NULL);
	doctor.probe.no_symlinks = -EINVAL;
	expect(rh_checks_kernel, "kernel.nosymfollow", RH_HEALTH_WARNING, "", &doctor, NULL);
	doctor.probe.overlay = -ENODEV;
	expect(rh_checks_kernel, "kernel.overlay", RH_HEALTH_FAILURE, "", &doctor, NULL);
	doctor.probe.slots = true;
	expect(rh_checks_kernel, "kernel.mounts", RH_HEALTH_WARNING, "Lost: id maps", &doctor,
		NULL);
	expect(rh_checks_kernel, "kernel.userns", RH_HEALTH_SKIPPED, "", &doctor, NULL);
}
END_TEST

START_TEST(late_mounts_are_tried)
{
	struct rh_probe probe = {.clone = 1};

	ck_assert_msg(geteuid() == 0, "this test needs root");
	ck_assert_int_eq(rh_probe_run(test_dir(), &probe), 0);
	ck_assert_int_eq(probe.clone, 0);
	ck_assert_int_eq(probe.user_namespace, 0);
	ck_assert_int_eq(rh_probe_run("/nowhere", &probe), 0);
	ck_assert_int_eq(probe.clone, -ENOENT);
}
END_TEST

void tests_of_host(Suite *suite);
void tests_of_host(Suite *suite)
{
	TCase *host = tcase_create("host");

	tcase_add_checked_fixture(host, setup, NULL);
	tcase_add_test(host, cgroup_v1);
	tcase_add_test(host, cgroup_v2);
	tcase_add_test(host, no_cgroups);
	tcase_add_test(host, firewall_programs);
	tcase_add_test(host, firewall_and_forwarding);
	tcase_add_loop_test(host, engines_differ, 0, sizeof(engines) / sizeof(engines[0]));
	tcase_add_test(host, api_versions);
	tcase_add_test(host, the_broker_speaks_for_the_engine);
	tcase_add_test(host, reserved_ids_are_nobody_elses);
	tcase_add_test(host, what_the_broker_knows);
	tcase_add_test(host, late_mounts_are_reported);
	tcase_add_test(host, late_mounts_are_tried);
	suite_add_tcase(suite, host);
}
