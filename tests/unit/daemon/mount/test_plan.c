/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/mount/plan.h and protocol.h: pure.
 */

#include "broker/daemon/mount/plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/daemon/mount/protocol.h"
#include "rh-test.h"

static struct rh_plan plan;
static struct rh_err err;

static struct rh_mount_attach request(void)
{
	return (struct rh_mount_attach){
		.root = "/srv/r",
		.work = "/srv/r/_work",
		.repo = "demo",
		.workspace = "/srv/r/_work/demo/demo",
		.state_dir = "/var/lib/runnerhub/containers/1",
		.runner_uid = 7,
	};
}

static int make(const struct rh_mount_attach *attach)
{
	const struct rh_plan_names names = {.bin = "bin", .externals = "externals"};

	return rh_plan_make(attach, &names, &plan, &err);
}

static const struct rh_plan_entry *entry(const char *target)
{
	for (size_t i = 0; i < plan.n_entries; i++) {
		if (strcmp(plan.entries[i].target, target) == 0)
			return &plan.entries[i];
	}
	ck_abort_msg("%s is not in the plan", target);
	return NULL;
}

START_TEST(a_plain_runner)
{
	const struct rh_mount_attach attach = request();

	ck_assert_int_eq(make(&attach), 0);
	ck_assert_uint_eq(plan.n_entries, 6);
	ck_assert(!entry("/srv/r/_work/demo")->read_only);
	ck_assert(!entry("/srv/r/_work/_temp")->read_only);
	ck_assert(entry("/srv/r/_work/_actions")->read_only);
	ck_assert(entry("/srv/r/_work/_temp/_github_workflow")->read_only);
	ck_assert_int_eq(entry("/srv/r/_work/_temp/_github_workflow")->below, 1);
	ck_assert_str_eq(plan.entries[1].target, "/srv/r/_work/_temp");
	ck_assert(!entry("/srv/r/externals")->create);
	ck_assert(entry("/srv/r/bin/hashFiles")->map_optional);
	ck_assert_int_eq(plan.tools_kind, RH_PLAN_TOOLS_NONE);
	ck_assert_str_eq(plan.workspace, "demo/demo");
}
END_TEST

START_TEST(after_an_update_both_names_are_there)
{
	const struct rh_plan_names names = {.bin = "bin.2.336.0", .externals = "externals.2.336.0"};
	const struct rh_mount_attach attach = request();

	ck_assert_int_eq(rh_plan_make(&attach, &names, &plan, &err), 0);
	ck_assert_uint_eq(plan.n_entries, RH_PLAN_MAX);
	ck_assert_str_eq(entry("/srv/r/bin/hashFiles")->source, "bin.2.336.0/hashFiles");
	ck_assert_str_eq(entry("/srv/r/bin.2.336.0/hashFiles")->source, "bin.2.336.0/hashFiles");
	ck_assert_str_eq(entry("/srv/r/externals")->source, "externals.2.336.0");
	ck_assert_str_eq(entry("/srv/r/externals.2.336.0")->source, "externals.2.336.0");
}
END_TEST

START_TEST(repositories_are_one_safe_component)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "_temp", "_actions", "_runnerhub",
		"_tool", "_update", "_PipelineMapping"};
	struct rh_mount_attach attach = request();
	char name[NAME_MAX + 2];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		attach.repo = bad[i];
		ck_assert_int_eq(make(&attach), -EINVAL);
	}
	memset(name, 'x', sizeof(name));
	name[201] = '\0';
	ck_assert_int_eq(rh_plan_check_repo(name, &err), -EINVAL);
	name[200] = '\0';
	ck_assert_int_eq(rh_plan_check_repo(name, &err), 0);
	ck_assert_int_eq(rh_plan_check_repo("_mine", &err), 0);
}
END_TEST

START_TEST(workspaces_lie_below_their_repository)
{
	static const char *const bad[] = {"/srv/r/_work/demo", "/srv/r/_work/other/other",
		"/srv/r/_work/demo/../other", "/etc", "/srv/r/_work/demo2/x", "relative",
		"/srv/r/_work/demo//x"};
	struct rh_mount_attach attach = request();

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		attach.workspace = bad[i];
		ck_assert_int_eq(make(&attach), -EINVAL);
	}
	attach.workspace = "/srv/r/_work/demo/s p/\xc3\xa4/";
	ck_assert_int_eq(make(&attach), 0);
	ck_assert_str_eq(plan.workspace, "demo/s p/\xc3\xa4");
}
END_TEST

START_TEST(tool_caches_are_directories_of_their_own)
{
	static const char *const bad[] = {"/etc", "/etc/tools", "/proc", "/proc/1/root", "/sys/x",
		"/dev/shm", "/run/x", "/usr", "/home", "/opt", "/var/lib", "/srv", "/srv/r",
		"/srv/r/_work", "/srv/r/_work/demo", "/srv/r/_work/demo/t", "/srv/r/_work/_temp",
		"/srv/r/_work/_temp/t", "/srv/r/_work/_actions/t", "/srv/r/_work/_runnerhub",
		"/srv/r/_diag", "/srv/r/.ssh", "/srv/r/bin.2", "/srv/r/externals/x", "/var",
		"/var/lib/runnerhub/containers/1", "/var/lib/runnerhub", "/.runnerhub/x"};
	static const char *const good[] = {"/opt/hostedtoolcache", "/srv/r/_work/_tool",
		"/srv/r/_work/_tool/deep", "/srv/r/tools", "/srv/tools", "/home/r/tools",
		"/usr/local/toolcache"};
	struct rh_mount_attach attach = request();

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		attach.tool_cache = bad[i];
		ck_assert_msg(make(&attach) == -EPERM, "%s", bad[i]);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		attach.tool_cache = good[i];
		ck_assert_msg(make(&attach) == 0, "%s: %s", good[i], err.text);
	}
	attach.tool_cache = "/";
	ck_assert_int_eq(make(&attach), -EINVAL);
	attach.tool_cache = "relative/tools";
	ck_assert_int_eq(make(&attach), -EINVAL);
	attach.tool_cache = "/srv/r/_work/x/../_tool";
	ck_assert_int_eq(make(&attach), -EINVAL);
	attach.tool_cache = "/srv/r/_work/_tool//";
	ck_assert_int_eq(make(&attach), 0);
	ck_assert_int_eq(plan.tools_kind, RH_PLAN_TOOLS_BELOW_WORK);
	ck_assert_str_eq(plan.tools, "_tool");
	ck_assert_str_eq(plan.tools_target, "/srv/r/_work/_tool");
}
END_TEST

START_TEST(long_paths_are_refused)
{
	static char long_root[PATH_MAX + 10];
	struct rh_mount_attach attach = request();

	for (size_t i = 0; i < sizeof(long_root) - 1; i++)
		long_root[i] = i % 200 == 0 ? '/' : 'x';
	attach.root = long_root;
	ck_assert_int_eq(make(&attach), -EINVAL);
	long_root[PATH_MAX - 2] = '\0';
	ck_assert_int_eq(make(&attach), -ENAMETOOLONG);
}
END_TEST

static uint8_t packet[RH_MOUNT_PACKET_MAX];

START_TEST(requests_travel_whole)
{
	struct rh_mount_request in = {.op = RH_MOUNT_ATTACH, .seq = 77, .attach = request()};
	struct rh_mount_request out;
	int n = 0;

	in.attach.container_pid = 12;
	in.attach.worker_started_ms = -1;
	in.attach.id_map_base = 4000000000u;
	n = rh_mount_request_encode(&in, packet, sizeof(packet));
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(rh_mount_request_decode(packet, (size_t)n, &out), 0);
	ck_assert_int_eq(out.op, RH_MOUNT_ATTACH);
	ck_assert_uint_eq(out.seq, 77);
	ck_assert_ptr_null(out.attach.tool_cache);
	ck_assert_str_eq(out.attach.workspace, in.attach.workspace);
	ck_assert_str_eq(out.attach.state_dir, in.attach.state_dir);
	ck_assert_int_eq(out.attach.worker_started_ms, -1);
	ck_assert_uint_eq(out.attach.id_map_base, 4000000000u);
	/* Any cut or tail is refused. */
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(rh_mount_request_decode(packet, (size_t)i, &out), -EBADMSG);
	packet[n] = 0;
	ck_assert_int_eq(rh_mount_request_decode(packet, (size_t)n + 1, &out), -EBADMSG);
	packet[n - 1] = 'x'; /* not terminated */
	ck_assert_int_eq(rh_mount_request_decode(packet, (size_t)n, &out), -EBADMSG);
}
END_TEST

START_TEST(requests_are_checked_when_written)
{
	struct rh_mount_request in = {.op = RH_MOUNT_ATTACH, .attach = request()};
	static char name[PATH_MAX + 1];

	in.attach.repo = NULL;
	ck_assert_int_eq(rh_mount_request_encode(&in, packet, sizeof(packet)), -EINVAL);
	memset(name, 'x', sizeof(name) - 1);
	in.attach.repo = name;
	ck_assert_int_eq(rh_mount_request_encode(&in, packet, sizeof(packet)), -ENAMETOOLONG);
	in.attach.repo = "demo";
	ck_assert_int_eq(rh_mount_request_encode(&in, packet, 100), -EMSGSIZE);
	ck_assert_int_eq(rh_mount_request_encode(&in, packet, 10), -EMSGSIZE);
	in.op = RH_MOUNT_OPS;
	ck_assert_int_eq(rh_mount_request_encode(&in, packet, sizeof(packet)), -EINVAL);
}
END_TEST

START_TEST(replies_are_checked)
{
	struct rh_mount_reply reply = {.kind = RH_MOUNT_DONE, .r = -EPERM, .text = "no"};
	struct rh_mount_reply out;
	const uint8_t *bytes = (const uint8_t *)&reply;

	ck_assert_int_eq(rh_mount_reply_decode(bytes, sizeof(reply), &out), -EBADMSG);
	rh_mount_reply_seal(&reply);
	ck_assert_int_eq(rh_mount_reply_decode(bytes, sizeof(reply), &out), 0);
	ck_assert_int_eq(rh_mount_reply_decode(bytes, sizeof(reply) - 1, &out), -EBADMSG);
	reply.r = 1;
	ck_assert_int_eq(rh_mount_reply_decode(bytes, sizeof(reply), &out), -EBADMSG);
	reply.r = 0;
	reply.kind = 9;
	ck_assert_int_eq(rh_mount_reply_decode(bytes, sizeof(reply), &out), -EBADMSG);
	reply.kind = RH_MOUNT_DONE;
	reply.text[sizeof(reply.text) - 1] = 'x';
	ck_assert_int_eq(rh_mount_reply_decode(bytes, sizeof(reply), &out), -EBADMSG);
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "plan", a_plain_runner, after_an_update_both_names_are_there,
		repositories_are_one_safe_component, workspaces_lie_below_their_repository,
		tool_caches_are_directories_of_their_own, long_paths_are_refused);
	RH_ADD_TESTS(suite, "protocol", requests_travel_whole, requests_are_checked_when_written,
		replies_are_checked);
}

RH_TEST_MAIN("mount-plan", tests);
