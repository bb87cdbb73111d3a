/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/network/table.h, on a host of its own: what the rules do is tried, not read.
 */

#include "broker/daemon/network/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "namespace.h"
#include "rh-test.h"

#define ONE "00000000000000000000000000000001"
#define TWO "00000000000000000000000000000002"

static struct stage stage;
static struct rh_table *table;
static struct rh_err err;

static void setup(void)
{
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

static int configure(void)
{
	return stage_configure(&stage, table, "nftables", &err);
}

static int admit(const char *instance, pid_t pid, const char *egress)
{
	return stage_admit(table, instance, pid, egress, &err);
}

static int dismiss(const char *instance)
{
	return stage_dismiss(table, instance, &err);
}

static bool routes(const char *what)
{
	return stage_runs("nft list table inet rhtest | grep -qF '%s'", what);
}

/* By the set of ports alone: another one remembers for a minute who sent what is dropped. */
static bool guards(const char *interface)
{
	return stage_runs("nft list set bridge rhtest ports | grep -qF '\"%s\"'", interface);
}

START_TEST(the_host_is_out_of_reach)
{
	pid_t one = stage_container(&stage, ONE, "vethone", 2);

	stage_serve("", 4001);
	stage_serve("", 53);
	ck_assert(stage_connects(one, "10.9.0.1", 4001));
	ck_assert_int_eq(configure(), 0);
	/* Before anybody told of it, too. */
	ck_assert(!stage_connects(one, "10.9.0.1", 4001));
	ck_assert_int_eq(admit(ONE, one, "allow"), 0);
	ck_assert(!stage_connects(one, "10.9.0.1", 4001));
	ck_assert(stage_connects(one, "10.9.0.1", 53));
	ck_assert(stage_runs("ip address add 10.77.0.1/32 dev lo"));
	ck_assert(!stage_connects(one, "10.77.0.1", 4001));
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
	ck_assert_int_eq(configure(), 0);
	ck_assert_int_eq(admit(ONE, one, "allow"), 0);
	ck_assert_int_eq(admit(TWO, two, "allow"), 0);
	ck_assert(stage_loses(one, "10.9.0.3", 4002));
	ck_assert(stage_runs("bridge -d link show dev vethone | grep -q 'isolated on'"));
	/* The bridge's own isolation and the rules each suffice. */
	ck_assert(stage_runs("bridge link set dev vethone isolated off"));
	ck_assert(stage_loses(one, "10.9.0.3", 4002));
}
END_TEST

START_TEST(ports_come_and_go)
{
	pid_t one = stage_container(&stage, ONE, "vethone", 2);
	pid_t two = stage_container(&stage, TWO, "vethtwo", 3);

	ck_assert_int_eq(admit(ONE, one, "allow"), -EAGAIN);
	ck_assert_int_eq(configure(), 0);
	ck_assert_int_eq(configure(), 0);
	ck_assert_int_eq(admit(ONE, one, "deny"), 0);
	ck_assert_int_eq(admit(ONE, one, "deny"), 0);
	ck_assert_uint_eq(table->n_ports, 1);
	ck_assert(guards("vethone"));
	ck_assert(routes("10.9.0.2 : goto egress-"));
	ck_assert_int_eq(admit("nonsense", one, "allow"), -EINVAL);
	ck_assert_int_eq(admit(TWO, two, "no place"), -EINVAL);
	ck_assert_int_eq(admit(TWO, getpid(), "allow"), -ENODEV);
	ck_assert_int_eq(admit(TWO, two, "*:443"), 0);
	ck_assert_int_eq(dismiss(ONE), 0);
	ck_assert_int_eq(dismiss(ONE), 0);
	rh_table_tidy(table);
	ck_assert(!guards("vethone"));
	ck_assert(guards("vethtwo"));
	ck_assert_uint_eq(table->n_ports, 1);
	/* Its address, and somebody else took its elements out: all is made anew. */
	ck_assert(stage_runs("nft flush map inet rhtest policy4"));
	ck_assert_int_eq(dismiss(TWO), 0);
	ck_assert_int_eq(admit(ONE, one, "allow"), 0);
	ck_assert(routes("10.9.0.2 : goto egress-"));
	ck_assert(!routes("10.9.0.3 : goto egress-"));
}
END_TEST

START_TEST(an_address_is_its_new_owners)
{
	pid_t one = stage_container(&stage, ONE, "vethone", 2);
	pid_t two = stage_container(&stage, TWO, "vethtwo", 2);

	ck_assert_int_eq(configure(), 0);
	ck_assert_int_eq(admit(ONE, one, "allow"), 0);
	ck_assert_int_eq(admit(TWO, two, "allow"), 0);
	ck_assert(!guards("vethone"));
	ck_assert(guards("vethtwo"));
	ck_assert_int_eq(dismiss(ONE), 0);
	rh_table_tidy(table);
	ck_assert(routes("10.9.0.2 : goto egress-"));
}
END_TEST

START_TEST(the_next_helper_knows_them)
{
	pid_t one = stage_container(&stage, ONE, "vethone", 2);
	pid_t two = stage_container(&stage, TWO, "vethtwo", 3);

	ck_assert_int_eq(configure(), 0);
	ck_assert_int_eq(admit(ONE, one, "deny"), 0);
	ck_assert_int_eq(admit(TWO, two, "deny"), 0);
	rh_table_deinit(table);
	*table = (struct rh_table){0};
	/* One has gone meanwhile, and has left its file; some are none. */
	ck_assert(stage_runs("ip link delete vethtwo && mkdir %s/what", stage.dir));
	ck_assert(stage_runs("nft flush ruleset"));
	ck_assert_int_eq(configure(), 0);
	ck_assert_uint_eq(table->n_ports, 1);
	ck_assert_str_eq(table->ports[0]->port->egress[0], "deny");
	ck_assert(guards("vethone"));
	ck_assert(!guards("vethtwo"));
}
END_TEST

START_TEST(other_peoples_rules_stay)
{
	ck_assert(stage_runs("nft add table inet other && nft add table ip rhtest"));
	ck_assert_int_eq(configure(), 0);
	ck_assert_int_eq(rh_table_restore(table, &err), 0);
	ck_assert(stage_runs(
		"nft list table inet other >/dev/null && nft list table ip rhtest >/dev/null"));
}
END_TEST

START_TEST(flows_are_told_once)
{
	pid_t one = stage_container(&stage, ONE, "vethone", 2);
	struct rh_flow flow = {.family = AF_INET,
		.source = {10, 9, 0, 2},
		.destination = {1, 2, 3, 4},
		.protocol = 6};
	unsigned n = 0;

	ck_assert_int_eq(configure(), 0);
	ck_assert_ptr_null(rh_table_new_flow(table, &flow));
	ck_assert_int_eq(admit(ONE, one, "audit"), 0);
	ck_assert_ptr_eq(rh_table_new_flow(table, &flow), table->ports[0]);
	ck_assert_ptr_null(rh_table_new_flow(table, &flow));
	for (flow.to_port = 1; flow.to_port < 1000; flow.to_port++)
		n += rh_table_new_flow(table, &flow) ? 1 : 0;
	ck_assert_uint_eq(n, RH_TABLE_FLOWS_MAX - 1);
	/* What is forged has no source to believe. */
	table->ports[0]->n_flows = 0;
	flow.verdict = RH_FLOW_FORGED;
	ck_assert_ptr_null(rh_table_new_flow(table, &flow));
	flow.port_index = table->ports[0]->port->index;
	flow.source[0] = 99;
	ck_assert_ptr_eq(rh_table_new_flow(table, &flow), table->ports[0]);
}
END_TEST

static void tests(Suite *suite)
{
	const TTest *const all[] = {the_host_is_out_of_reach, neighbours_are_out_of_reach,
		ports_come_and_go, an_address_is_its_new_owners, the_next_helper_knows_them,
		other_peoples_rules_stay, flows_are_told_once};
	TCase *tables = tcase_create("table");

	tcase_add_checked_fixture(tables, setup, teardown);
	tcase_set_timeout(tables, 60);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tcase_add_test(tables, all[i]);
	suite_add_tcase(suite, tables);
}

RH_TEST_MAIN("network-table", tests);
