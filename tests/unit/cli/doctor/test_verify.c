/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/cli/doctor/verify: each kind of difference, planted; and nothing where all agrees.
 */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../capture.h"
#include "broker/cli/doctor/verify/verify.h"
#include "rh-test.h"

#define ID_A     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B     "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define RECORD_A "{\"instance\":\"a1\",\"engineId\":\"" ID_A "\",\"state\":\"%s\"}"

static struct rh_doctor doctor;
static struct rh_doctor_runner runner;
static struct rh_verify verify;
static struct rh_cli cli;
static char runner_name[] = "r1", runner_root[] = "/r";
static char state_dir[256];
static char work[256];

static void setup(void)
{
	(void)snprintf(state_dir, sizeof(state_dir), "%s/state", test_dir());
	(void)snprintf(work, sizeof(work), "%s/work", test_dir());
	runner = (struct rh_doctor_runner){.name = runner_name, .root = runner_root, .work = work};
	doctor = (struct rh_doctor){.host = test_dir(),
		.state_dir = state_dir,
		.runtime_dir = test_dir(),
		.libexec_dir = "/x",
		.docker_socket = "/none",
		.runners = &runner,
		.n_runners = 1};
	cli = (struct rh_cli){.socket = "/none", .connection = -1};
	verify = (struct rh_verify){.doctor = &doctor, .cli = &cli, .area = "x"};
	verify.found = json_object_new_array();
}

static void teardown(void)
{
	rh_verify_forget(&verify);
}

/* The engine has one container of ours, @engine_state, the broker a record of it, @recorded. */
static void given(const char *engine_state, const char *recorded)
{
	char text[2048];

	(void)snprintf(text, sizeof(text),
		"[{\"Id\":\"" ID_A "\",\"Names\":[\"/one\"],\"State\":\"%s\",\"Labels\":"
		"{\"runnerhub.hub\":\"%s\",\"runnerhub.instance\":\"a1\"}},"
		"{\"Id\":\"cc\",\"Names\":[\"/foreign\"],\"State\":\"exited\",\"Labels\":{}}]",
		engine_state, state_dir);
	verify.listed = json_tokener_parse(text);
	(void)snprintf(text, sizeof(text), "[" RECORD_A "]", recorded);
	verify.records = json_tokener_parse(text);
	verify.open_jobs = json_tokener_parse("[{\"id\":\"j1\",\"state\":\"running\"}]");
	(void)snprintf(text, sizeof(text),
		"{\"broker\":{\"pid\":100},\"engine\":{\"up\":true},\"store\":{},\"jobs\":[{"
		"\"id\":\"j1\",\"runner\":\"r1\",\"container\":\"one\",\"workerPid\":%d}]}",
		(int)getpid());
	verify.status = json_tokener_parse(text);
	ck_assert(verify.listed && verify.records && verify.status);
}

/* There is one difference, whose message and fix hold these. */
static void expect_one(const char *message, const char *fix)
{
	struct json_object *row = json_object_array_get_idx(verify.found, 0);

	ck_assert_msg(
		rh_json_length(verify.found) == 1, "%s", json_object_to_json_string(verify.found));
	ck_assert_msg(strstr(rh_json_text(row, "message"), message) != NULL, "%s",
		rh_json_text(row, "message"));
	ck_assert_msg(
		strstr(rh_json_text(row, "fix"), fix) != NULL, "%s", rh_json_text(row, "fix"));
	(void)json_object_put(verify.found);
	verify.found = json_object_new_array();
}

static void expect_none(void)
{
	ck_assert_msg(
		rh_json_length(verify.found) == 0, "%s", json_object_to_json_string(verify.found));
	ck_assert_uint_gt(verify.n_compared, 0);
}

START_TEST(what_agrees_is_not_named)
{
	given("running", "leased");
	rh_verify_store(&verify);
	rh_verify_containers(&verify);
	rh_verify_cgroups(&verify);
	expect_none();
}
END_TEST

START_TEST(containers_and_records)
{
	static const struct {
		const char *state, *recorded, *message, *fix;
	} rows[] = {
		{"exited", "leased", "container one is exited, and recorded as leased",
			"rm -f 'one'"},
		{"running", "removed", "no record", "docker rm -f 'one'"},
		{"running", "stopping", "was to be removed", "docker rm -f 'one'"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		given(rows[i].state, rows[i].recorded);
		rh_verify_containers(&verify);
		expect_one(rows[i].message, rows[i].fix);
		teardown();
		verify.found = json_object_new_array();
	}
	given("running", "warm");
	(void)json_object_put(verify.records);
	verify.records = json_tokener_parse(
		"[{\"instance\":\"a1\",\"engineId\":\"" ID_A "\",\"state\":\"warm\"},"
		"{\"instance\":\"b1\",\"engineId\":\"" ID_B "\",\"state\":\"warm\"}]");
	rh_verify_containers(&verify);
	expect_one("container bbbbbbbbbbbb is recorded as warm", "restart");
}
END_TEST

START_TEST(jobs_and_records)
{
	given("running", "leased");
	(void)json_object_put(verify.open_jobs);
	verify.open_jobs = json_object_new_array();
	rh_verify_store(&verify);
	expect_one("job j1 runs, and has no open record", "");
	(void)json_object_put(verify.open_jobs);
	verify.open_jobs = json_tokener_parse("[{\"id\":\"j1\"},{\"id\":\"j2\"}]");
	rh_verify_store(&verify);
	expect_one("job j2 has an open record", "restart");
	(void)json_object_object_add(
		json_object_array_get_idx(rh_json_member(verify.status, "jobs"), 0), "workerPid",
		json_object_new_int(0x7ffffff0));
	(void)json_object_array_del_idx(verify.open_jobs, 1, 1);
	rh_verify_store(&verify);
	expect_one("its Worker 2147483632 is gone", "restart");
}
END_TEST

START_TEST(endpoints_and_control_groups)
{
	given("running", "leased");
	verify.network =
		json_tokener_parse("{\"Containers\":{\"" ID_A "\":{\"Name\":\"one\"},\"" ID_B
				   "\":{\"Name\":\"two\"}}}");
	rh_verify_networks(&verify);
	expect_one("(two) is gone", "docker network disconnect -f runnerhub 'two'");

	test_file("sys/fs/cgroup/memory/docker/" ID_A "/tasks", "");
	test_file("sys/fs/cgroup/memory/docker/" ID_B "/tasks", "");
	rh_verify_cgroups(&verify);
	expect_none(); /* of the other one nobody says that it was ours */
	(void)json_object_put(verify.records);
	verify.records = json_tokener_parse("[{\"engineId\":\"" ID_B "\",\"state\":\"removed\"}]");
	rh_verify_cgroups(&verify);
	expect_one("bbbbbbbbbbbb is gone, and its control group", "rmdir");
}
END_TEST

/* A process of the fixture: /proc/PID/{stat,exe,cgroup}. */
static void process(int pid, int parent, const char *exe, const char *container)
{
	char name[64], text[256], path[512];

	(void)snprintf(name, sizeof(name), "proc/%d/stat", pid);
	(void)snprintf(text, sizeof(text),
		"%d (a) b) S %d 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0", pid, parent);
	test_file(name, text);
	(void)snprintf(name, sizeof(name), "proc/%d/cgroup", pid);
	(void)snprintf(text, sizeof(text), "4:memory:/docker/%s\n", container);
	test_file(name, text);
	(void)snprintf(path, sizeof(path), "%s/proc/%d/exe", test_dir(), pid);
	(void)unlink(path);
	ck_assert_int_eq(symlink(exe, path), 0);
}

/* Container a1 is on the network, behind port veth0. */
static void given_a_port(void)
{
	char path[512];

	given("running", "leased");
	verify.network = json_tokener_parse("{\"Containers\":{\"" ID_A "\":{}}}");
	(void)snprintf(path, sizeof(path), "%s/containers", state_dir);
	(void)mkdir(state_dir, 0755);
	(void)mkdir(path, 0755);
	test_file("state/containers/a1/network",
		"name=veth0\nindex=7\nmac=02:42:ac:12:00:02\nip4=172.18.0.2\nip6=::\n"
		"link_local=::\n");
}

static void rules(const char *firewall, const char *text)
{
	char copy[2048];

	(void)snprintf(copy, sizeof(copy), "%s", text);
	rh_verify_rules(&verify, firewall, copy);
}

START_TEST(rules_of_nftables)
{
	given_a_port();
	rules("nftables", "set ports { elements = { \"veth0\" } }");
	expect_none();
	rules("nftables", "set ports { elements = { \"veth0\", \"veth00\" } }");
	expect_one("port veth00 has rules", "restart");
	rules("nftables", "set ports { }");
	expect_one("container a1 is on network runnerhub, and has no rules", "restart");
}
END_TEST

#define JUMPS                                                                                 \
	"-A FORWARD -j runnerhub-fwd\n-A INPUT -j runnerhub-in\n:runnerhub-ca100000000 - x\n" \
	":runnerhub-fwd - x\n"

START_TEST(rules_of_iptables)
{
	given_a_port();
	(void)json_object_object_add(json_object_array_get_idx(verify.records, 0), "instance",
		json_object_new_string("a100000000ff"));
	rules("iptables", JUMPS);
	expect_one("has no rules", "restart"); /* no file of its port */
	test_file("state/containers/a100000000ff/network",
		"name=veth0\nindex=7\nmac=02:42:ac:12:00:02\nip4=172.18.0.2\nip6=::\n"
		"link_local=::\n");
	rules("iptables", JUMPS);
	expect_none();
	rules("iptables-legacy", JUMPS ":runnerhub-rb100000000 - x\n");
	expect_one("chain runnerhub-rb100000000 is in iptables", "restart");
	rules("iptables", "-A FORWARD -j ACCEPT\n" JUMPS);
	expect_one("does not come to the rules", "restart");
	rules("iptables", "-A FORWARD -j runnerhub-fwd\n-A INPUT -j runnerhub-in\n");
	expect_one("container a100000000ff is on network", "restart");
	/* Nothing is known of a firewall that the broker has not told of. */
	rh_verify_firewall(&verify);
	expect_none();
}
END_TEST

START_TEST(processes_have_somebody_above_them)
{
	given("running", "leased");
	process(100, 1, "/x/runnerhubd", "");
	process(101, 100, "/x/runnerhubd", "");
	process(102, 101, "/x/runnerhubd (deleted)", "");
	process(200, 1, "/r/bin.2.3/Runner.Worker", "");
	process(201, 200, "/x/runnerhub-hook", "");
	process(300, 1, "/.runnerhub/agent", ID_A);
	process(400, 1, "/bin/true", "");
	rh_verify_processes(&verify);
	expect_none();

	process(102, 1, "/x/runnerhubd", "");
	rh_verify_processes(&verify);
	expect_one("process 102 is of /x/runnerhubd, and not the broker's (100)", "kill -KILL 102");
	process(102, 101, "/x/runnerhubd", "");

	process(200, 1, "/elsewhere/bin/Runner.Worker", "");
	rh_verify_processes(&verify);
	expect_one("hook process 201 is no child", "kill -KILL 201");
	process(200, 1, "/r/bin/Runner.Worker", "");

	(void)json_object_put(verify.listed);
	verify.listed = json_object_new_array();
	rh_verify_processes(&verify);
	expect_one("agent 300 of container aaaaaaaaaaaa lives", "kill -KILL 300");
}
END_TEST

START_TEST(mounts_on_the_host)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
		"21 1 8:1 / / rw - ext4 /dev/a rw\n"
		"22 21 0:5 / %s/containers/a\\040b rw - tmpfs none rw\n"
		"23 21 0:5 / %s-other rw - tmpfs none rw\n",
		state_dir, work);
	test_file("proc/self/mountinfo", text);
	rh_verify_mounts(&verify);
	expect_one("/containers/a b", "umount -l '");
}
END_TEST

static void given_slot(const char *recorded)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "22 21 0:5 / %s/containers/a1/slot rw - tmpfs slot rw\n",
		state_dir);
	test_file("proc/self/mountinfo", text);
	given("running", recorded);
	rh_verify_mounts(&verify);
}

/* What a warm container waits with on an old kernel, and a leased one has no more. */
START_TEST(slot_of_a_warm_container)
{
	given_slot("warm");
	expect_none();
}
END_TEST

START_TEST(slot_of_a_leased_container)
{
	given_slot("leased");
	expect_one("/containers/a1/slot", "umount -l '");
}
END_TEST

START_TEST(directories_and_markers)
{
	given("running", "leased");
	test_file("state/containers/a1/socket/x", "");
	test_file("work/_runnerhub/leased-demo", "");
	test_file("work/_runnerhub/marker", "");
	rh_verify_files(&verify);
	expect_none();

	test_file("state/containers/it's/x", "");
	rh_verify_files(&verify);
	expect_one("it's is of no container", "it'\\''s'");
	rh_test_remove_tree(test_path("state"));

	(void)json_object_object_add(verify.status, "jobs", json_object_new_array());
	rh_verify_files(&verify);
	expect_one("workspace demo of runner r1 is leased", "/work/demo' '");
	rh_test_remove_tree(test_path("work"));

	test_file("work/_runnerhub/trash/7/x", "");
	rh_verify_files(&verify);
	expect_one("/trash/7 was set aside", "rm -rf --one-file-system '");
}
END_TEST

START_TEST(nobody_answers)
{
	struct rh_verify_wish wish = {.n_looks = 2};
	const char *text = NULL;

	capture_begin();
	ck_assert_int_eq(rh_verify_run(&doctor, &cli, &wish), RH_EXIT_FAILURE);
	text = capture_end(NULL);
	ck_assert_ptr_nonnull(strstr(text, "container engine at /none does not answer"));
	ck_assert_ptr_nonnull(strstr(text, "no broker answers on /none"));
	ck_assert_ptr_nonnull(strstr(text, "2 differences"));
	cli.json = true;
	capture_begin();
	ck_assert_int_eq(rh_verify_run(&doctor, &cli, &wish), RH_EXIT_FAILURE);
	ck_assert_ptr_nonnull(strstr(capture_end(NULL), "\"ok\": false"));
	cli.json = false;
	wish.fix = true;
	capture_begin();
	ck_assert_int_eq(rh_verify_run(&doctor, &cli, &wish), RH_EXIT_FAILURE);
	ck_assert_ptr_nonnull(strstr(capture_end(NULL), "\nsystemctl start runnerhubd\n"));
}
END_TEST

void tests_of_verify(Suite *suite);
void tests_of_verify(Suite *suite)
{
	const TTest *const all[] = {what_agrees_is_not_named, containers_and_records,
		jobs_and_records, endpoints_and_control_groups, rules_of_nftables,
		rules_of_iptables, processes_have_somebody_above_them, mounts_on_the_host,
		slot_of_a_warm_container, slot_of_a_leased_container, directories_and_markers,
		nobody_answers};
	TCase *cases = tcase_create("verify");

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 60);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tcase_add_test(cases, all[i]);
	suite_add_tcase(suite, cases);
}
