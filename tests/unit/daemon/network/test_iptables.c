/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/network/xtables.c by way of table.h, on a host of its own: what the rules of either
 * iptables do is tried, not read.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <unistd.h>

#include "broker/daemon/network/program.h"
#include "broker/daemon/network/table.h"
#include "namespace.h"
#include "rh-test.h"

#define ONE "00000000000000000000000000000001"
#define TWO "00000000010000000000000000000002"

static const char *const kinds[] = {"iptables", "iptables-legacy"};
static struct stage stage;
static struct rh_table *table;
static struct rh_err err;

static void setup(void)
{
	/* Their lock is the whole machine's, as far as /run is. */
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("tmpfs", "/run", "tmpfs", 0, NULL), 0);
	stage_setup(&stage);
	table = calloc(1, sizeof(*table));
	ck_assert_ptr_nonnull(table);
}

static void teardown(void)
{
	rh_table_deinit(table);
	free(table);
	stage_teardown(&stage);
}

static void configure(const char *kind)
{
	int r = stage_configure(&stage, table, kind, &err);

	ck_assert_msg(r == 0, "%s: %s", kind, err.text);
}

static void admit(const char *instance, pid_t pid, const char *egress)
{
	int r = stage_admit(table, instance, pid, egress, &err);

	ck_assert_msg(r == 0, "%s", err.text);
}

/* Whether the rules of IPv4 have that line. */
static bool has(const char *kind, const char *line)
{
	return stage_runs("%s-save -t filter | grep -qF -e '%s'", kind, line);
}

/* Whether the container gets an answer from the host's port 53, speaking from that address. */
static bool is_answered(pid_t pid, const char *from)
{
	return stage_runs("nsenter -t %d -n timeout 5 python3 -c 'import socket\n"
			  "socket.create_connection((\"10.9.0.1\", 53), 2, (\"%s\", 0))' "
			  "2>/dev/null",
		(int)pid, from);
}

START_TEST(the_host_is_out_of_reach)
{
	const char *kind = kinds[_i];
	pid_t one = stage_container(&stage, ONE, "vethone", 2);

	stage_serve("", 4001);
	stage_serve("", 53);
	ck_assert(stage_connects(one, "10.9.0.1", 4001));
	configure(kind);
	ck_assert_str_eq(table->firewall.backend->name, kind);
	/* Before anybody told of it, too. */
	ck_assert(stage_loses(one, "10.9.0.1", 4001));
	admit(ONE, one, "allow");
	ck_assert(!stage_connects(one, "10.9.0.1", 4001));
	ck_assert(stage_connects(one, "10.9.0.1", 53));
	ck_assert(stage_runs("ip address add 10.77.0.1/32 dev lo"));
	ck_assert(!stage_connects(one, "10.77.0.1", 4001));
	/* The host itself reaches everything, itself included. */
	ck_assert(stage_runs("timeout 5 bash -c 'exec 3<>/dev/tcp/10.9.0.1/4001'"));
}
END_TEST

START_TEST(neighbours_are_out_of_reach)
{
	pid_t one = stage_container(&stage, ONE, "vethone", 2);
	pid_t two = stage_container(&stage, TWO, "vethtwo", 3);
	char where[64];

	(void)snprintf(where, sizeof(where), "nsenter -t %d -n", (int)two);
	stage_serve(where, 4002);
	ck_assert(stage_connects(one, "10.9.0.3", 4002));
	configure(kinds[_i]);
	admit(ONE, one, "allow");
	admit(TWO, two, "allow");
	ck_assert(stage_loses(one, "10.9.0.3", 4002));
	/* Not by way of the host either: it has a route there, and forwards. */
	ck_assert(stage_runs("sysctl -qw net.ipv4.ip_forward=1 && nsenter -t %d -n "
			     "ip route replace 10.9.0.3/32 via 10.9.0.1",
		(int)one));
	ck_assert(stage_loses(one, "10.9.0.3", 4002));
}
END_TEST

START_TEST(nobody_speaks_in_anothers_name)
{
	pid_t one = stage_container(&stage, ONE, "vethone", 2);
	pid_t two = stage_container(&stage, TWO, "vethtwo", 3);

	stage_serve("", 53);
	configure(kinds[_i]);
	admit(ONE, one, "allow");
	admit(TWO, two, "allow");
	ck_assert(is_answered(one, "10.9.0.2"));
	ck_assert(stage_runs("nsenter -t %d -n ip address add 10.9.0.3/24 dev eth0", (int)one));
	ck_assert(!is_answered(one, "10.9.0.3"));
	ck_assert(is_answered(one, "10.9.0.2"));
	ck_assert(stage_runs(
		"nsenter -t %d -n ip link set eth0 address 02:00:00:00:00:09", (int)one));
	ck_assert(!is_answered(one, "10.9.0.2"));
	/* What the host believes of the other one's address is what the other one says. */
	ck_assert(is_answered(two, "10.9.0.3"));
}
END_TEST

START_TEST(changes_are_noticed)
{
	static const char *const changes[] = {"-F rhtest-fwd", "-D FORWARD -j rhtest-fwd",
		"-I INPUT -j ACCEPT", "-I rhtest-in -j RETURN", "-F",
		"-N what && iptables -A rhtest-no -j what", "-I DOCKER-USER -s 10.9.0.2 -j ACCEPT"};
	const char *kind = kinds[_i];

	ck_assert(stage_runs("%s -N DOCKER-USER && %s -I FORWARD -j DOCKER-USER", kind, kind));
	configure(kind);
	ck_assert(rh_table_needs_looks(table));
	ck_assert(rh_table_look(table));
	ck_assert(has(kind, "-A DOCKER-USER -j rhtest-fwd"));
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		ck_assert(stage_runs(
			"iptables() { command %s \"$@\"; }; iptables %s", kind, changes[i]));
		ck_assert_msg(!rh_table_look(table), "%s", changes[i]);
		ck_assert_int_eq(rh_table_restore(table, &err), 0);
		ck_assert_msg(rh_table_look(table), "%s", changes[i]);
	}
	/* IPv6 likewise. */
	ck_assert(stage_runs("ip6%s -F rhtest-in", kind + 2));
	ck_assert(!rh_table_look(table));
	ck_assert_int_eq(rh_table_restore(table, &err), 0);
	/* Another one of us before us, and what comes after us, change nothing. */
	ck_assert(stage_runs("%s -N other-fwd && %s -I FORWARD -j other-fwd && "
			     "%s -A FORWARD -j ACCEPT",
		kind, kind, kind));
	ck_assert(rh_table_look(table));
}
END_TEST

START_TEST(ports_come_and_go)
{
	const char *kind = kinds[_i];
	pid_t one = stage_container(&stage, ONE, "vethone", 2);
	pid_t two = stage_container(&stage, TWO, "vethtwo", 3);

	configure(kind);
	admit(ONE, one, "deny");
	admit(TWO, two, "192.0.2.0/24:443");
	ck_assert(has(kind, "-A rhtest-c0000000001 -d 192.0.2.0/24 -p tcp -m tcp --dport 443"));
	ck_assert(has(kind, ":rhtest-r0000000000 "));
	ck_assert_int_eq(stage_dismiss(table, ONE, &err), 0);
	rh_table_tidy(table);
	ck_assert(!has(kind, "rhtest-r0000000000"));
	ck_assert(!has(kind, "10.9.0.2"));
	ck_assert(has(kind, "rhtest-r0000000001"));
	ck_assert(rh_table_look(table));
	/* The next helper takes them over. */
	rh_table_deinit(table);
	*table = (struct rh_table){0};
	ck_assert(stage_runs("%s -F", kind));
	configure(kind);
	ck_assert_uint_eq(table->n_ports, 1);
	ck_assert(has(kind, "-A rhtest-c0000000001 -d 192.0.2.0/24 -p tcp -m tcp --dport 443"));
	ck_assert_int_eq(stage_dismiss(table, TWO, &err), 0);
}
END_TEST

START_TEST(whoever_takes_over_sweeps)
{
	const char *kind = kinds[_i];

	ck_assert(stage_runs("%s -N rhtest-other && %s -A FORWARD -j ACCEPT", kind, kind));
	configure(kind);
	*table = (struct rh_table){0};
	configure("nftables");
	ck_assert(!has(kind, "rhtest-fwd"));
	ck_assert(has(kind, ":rhtest-other "));
	ck_assert(has(kind, "-A FORWARD -j ACCEPT"));
	ck_assert(stage_runs("nft list table inet rhtest >/dev/null"));
	*table = (struct rh_table){0};
	configure(kind);
	ck_assert(!stage_runs("nft list table inet rhtest >/dev/null 2>&1"));
	ck_assert(!stage_runs("nft list table bridge rhtest >/dev/null 2>&1"));
	*table = (struct rh_table){0};
	configure("auto");
	ck_assert_str_eq(table->firewall.backend->name, "nftables");
	ck_assert_int_eq(stage_configure(&stage, &(struct rh_table){0}, "what", &err), -EINVAL);
}
END_TEST

START_TEST(what_cannot_be_put_is_told)
{
	const char *kind = kinds[_i];
	pid_t one = stage_container(&stage, ONE, "vethone", 2);

	configure(kind);
	admit(ONE, one, "allow");
	/* Somebody else uses a chain of ours, which so cannot go: nothing changes. */
	ck_assert(stage_runs("%s -N other && %s -A other -j rhtest-c0000000000", kind, kind));
	ck_assert_int_eq(stage_dismiss(table, ONE, &err), 0);
	rh_table_tidy(table);
	ck_assert(!table->in_force);
	ck_assert_int_eq(rh_table_restore(table, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "refuses the rules"));
	ck_assert(has(kind, "-s 10.9.0.2/32"));
	ck_assert(stage_runs("%s -F other", kind));
	ck_assert_int_eq(rh_table_restore(table, &err), 0);
	ck_assert(table->in_force);
	ck_assert(!has(kind, "-s 10.9.0.2/32"));
}
END_TEST

START_TEST(no_two_share_a_chain)
{
	static const char twin[] = "00000000000000000000000000000003";
	pid_t one = stage_container(&stage, ONE, "vethone", 2);
	pid_t three = stage_container(&stage, twin, "veththree", 4);

	configure(kinds[_i]);
	admit(ONE, one, "allow");
	ck_assert_int_eq(stage_admit(table, twin, three, "allow", &err), -EEXIST);
	ck_assert(!table->in_force);
	ck_assert_int_eq(stage_dismiss(table, twin, &err), 0);
	rh_table_tidy(table);
	ck_assert(table->in_force);
}
END_TEST

START_TEST(a_lock_that_is_held)
{
	int fd = open("/run/xtables.lock", O_RDONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(stage_configure(&stage, table, "iptables-legacy", &err), -EBUSY);
	ck_assert_ptr_nonnull(strstr(err.text, "holds the lock"));
	ck_assert(!table->in_force);
	(void)close(fd);
	configure("iptables-legacy");
}
END_TEST

START_TEST(programs)
{
	static const char *const none[] = {"rh-no-such-program", NULL};
	static const char *const env[] = {"env", NULL};
	static const char *const cat[] = {"cat", NULL};
	static const char *const both[] = {"sh", NULL};
	struct rh_program_result result;
	char line[16];

	ck_assert_int_eq(rh_program_run(none, "", 0, &result, &err), -ENOENT);
	ck_assert_str_eq(err.text, "the program rh-no-such-program is not installed");
	ck_assert_int_eq(rh_program_run(cat, "one\ttwo three four\nfive", 22, &result, &err), 0);
	ck_assert_int_eq(result.status, 0);
	ck_assert_str_eq(result.output, "one\ttwo three four\nfiv");
	rh_program_first_line(&result, line, sizeof(line));
	ck_assert_str_eq(line, "one two three f");
	free(result.output);
	/* What it complains of is told if it fails, and is in nobody's way if not. */
	ck_assert_int_eq(rh_program_run(both, "echo out; echo err >&2", 22, &result, &err), 0);
	ck_assert_str_eq(result.output, "out\n");
	free(result.output);
	ck_assert_int_eq(
		rh_program_run(both, "echo out; echo err >&2; exit 3", 30, &result, &err), 0);
	ck_assert_int_eq(result.status, 3);
	ck_assert_str_eq(result.output, "err\n");
	free(result.output);
	/* Nothing of our environment. */
	ck_assert_int_eq(setenv("RH_TEST_SECRET", "1", 1), 0);
	ck_assert_int_eq(rh_program_run(env, "", 0, &result, &err), 0);
	ck_assert_ptr_null(strstr(result.output, "RH_TEST"));
	free(result.output);
}
END_TEST

static void tests(Suite *suite)
{
	const TTest *const both[] = {the_host_is_out_of_reach, neighbours_are_out_of_reach,
		nobody_speaks_in_anothers_name, changes_are_noticed, ports_come_and_go,
		whoever_takes_over_sweeps, what_cannot_be_put_is_told, no_two_share_a_chain};
	TCase *rules = tcase_create("iptables");

	tcase_add_checked_fixture(rules, setup, teardown);
	tcase_set_timeout(rules, 90);
	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
		tcase_add_loop_test(rules, both[i], 0, 2);
	tcase_add_test(rules, a_lock_that_is_held);
	tcase_add_test(rules, programs);
	suite_add_tcase(suite, rules);
}

RH_TEST_MAIN("network-iptables", tests);
