/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/network/network.h with a real helper, which is this program, on a host of its own.
 */

#include "broker/daemon/network/network.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "broker/daemon/network/helper.h"
#include "namespace.h"
#include "rh-test.h"
#include "runnerhub/clock.h"

#define ONE      "00000000000000000000000000000001"
#define LIMIT_MS 10000

static const char *const firewalls[] = {"nftables", "iptables", "iptables-legacy"};
static const char *firewall = "nftables";
static struct stage stage;
static uv_loop_t loop;
static struct rh_log *log_;
static struct rh_network *network;
static bool closed;
static unsigned n_done, n_states, n_flows;
static int last_r;
static char last_flow[128];
static struct rh_err last_err;

static void on_state(void *arg)
{
	n_states++;
}

static void on_flow(void *arg, const char *instance, const char *kind, const char *text)
{
	ck_assert_str_eq(instance, ONE);
	if (strcmp(kind, "network.forged") == 0)
		return; /* the kernel itself speaks from an address that nobody gave */
	(void)snprintf(last_flow, sizeof(last_flow), "%s %s", kind, text);
	n_flows++;
}

static void on_done(void *arg, int r, const struct rh_err *err)
{
	n_done++;
	last_r = r;
	last_err = *err;
}

static void on_closed(void *arg)
{
	closed = true;
}

static void on_nothing(uv_timer_t *timer)
{
}

#define RUN_UNTIL(condition)                                      \
	do {                                                      \
		int64_t limit_ = rh_now_ms() + LIMIT_MS;          \
		uv_timer_t wake_;                                 \
                                                                  \
		(void)uv_timer_init(&loop, &wake_);               \
		(void)uv_timer_start(&wake_, on_nothing, 10, 10); \
		while (!(condition) && rh_now_ms() < limit_)      \
			(void)uv_run(&loop, UV_RUN_ONCE);         \
		uv_close((uv_handle_t *)&wake_, NULL);            \
		(void)uv_run(&loop, UV_RUN_NOWAIT);               \
		ck_assert_msg(condition, "%s", #condition);       \
	} while (0)

static void start(const char *program)
{
	struct rh_network_options options = {.loop = &loop,
		.log = log_,
		.name = "rhtest",
		.containers_dir = stage.dir,
		.firewall = firewall,
		.program = program,
		.on_state = on_state,
		.on_flow = on_flow};

	ck_assert_int_eq(rh_network_start(&options, &network), 0);
}

static void setup(void)
{
	stage_setup(&stage);
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	log_ = rh_log_new(STDERR_FILENO, RH_LOG_ERROR, RH_LOG_TEXT);
}

static void stop(void)
{
	rh_network_close(network, on_closed, NULL);
	rh_network_close(network, on_closed, NULL);
	RUN_UNTIL(closed);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	rh_log_free(log_);
	stage_teardown(&stage);
}

static void configure(void)
{
	unsigned n = n_done;

	ck_assert_int_eq(rh_network_configure(network, "br0", NULL, on_done, NULL), 0);
	RUN_UNTIL(n_done > n);
}

static void admit(pid_t pid, char *const *egress)
{
	unsigned n = n_done;

	ck_assert_int_eq(rh_network_admit(network, ONE, pid, egress, NULL, on_done, NULL), 0);
	RUN_UNTIL(n_done > n);
}

START_TEST(rules_are_put_back)
{
	pid_t one = stage_container(&stage, ONE, "vethone", 2);

	start(NULL);
	ck_assert_ptr_nonnull(rh_network_problem(network));
	configure();
	ck_assert_int_eq(last_r, 0);
	ck_assert_ptr_null(rh_network_problem(network));
	ck_assert_uint_eq(n_states, 1);
	admit(one, NULL);
	ck_assert_int_eq(last_r, 0);
	ck_assert(stage_runs("nft flush ruleset"));
	RUN_UNTIL(stage_runs("nft list set bridge rhtest ports | grep -q vethone"));
	ck_assert(stage_runs("nft insert rule inet rhtest guard accept"));
	RUN_UNTIL(!stage_runs("nft list chain inet rhtest guard | grep -qx '\t\taccept'"));
	ck_assert(stage_runs("nft delete table bridge rhtest"));
	RUN_UNTIL(stage_runs("nft list set bridge rhtest ports | grep -q vethone"));
	ck_assert_ptr_null(rh_network_problem(network));
	rh_network_dismiss(network, ONE);
	RUN_UNTIL(!stage_runs("nft list set bridge rhtest ports | grep -q vethone"));
	stop();
	/* They stay, whoever is not there. */
	ck_assert(!stage_runs("nft list table inet rhtest 2>/dev/null | grep -q vethone"));
}
END_TEST

/* Nothing tells of that: it is looked for. */
START_TEST(rules_of_iptables_are_put_back)
{
	pid_t one = stage_container(&stage, ONE, "vethone", 2);

	firewall = firewalls[1 + _i];
	start(NULL);
	ck_assert_str_eq(rh_network_firewall(network), "");
	configure();
	ck_assert_int_eq(last_r, 0);
	ck_assert_str_eq(rh_network_firewall(network), firewall);
	admit(one, NULL);
	ck_assert_int_eq(last_r, 0);
	ck_assert(stage_runs("%s -w 10 -F", firewall));
	RUN_UNTIL(stage_runs("%s -w 10 -S rhtest-fwd | grep -q 10.9.0.2/32", firewall));
	ck_assert(stage_runs("%s -w 10 -I FORWARD -j ACCEPT", firewall));
	RUN_UNTIL(stage_runs("%s -w 10 -S FORWARD 1 | grep -q rhtest-fwd", firewall));
	ck_assert_ptr_null(rh_network_problem(network));
	rh_network_dismiss(network, ONE);
	RUN_UNTIL(!stage_runs("%s -w 10 -S rhtest-fwd | grep -q 10.9.0.2/32", firewall));
	stop();
	ck_assert(stage_runs("%s -w 10 -S FORWARD 1 | grep -q rhtest-fwd", firewall));
}
END_TEST

START_TEST(what_is_refused_is_told)
{
	char *deny[] = {(char *)"deny", NULL};
	pid_t one = stage_container(&stage, ONE, "vethone", 2);

	firewall = firewalls[_i];
	start(NULL);
	configure();
	admit(one, deny);
	ck_assert(
		stage_runs("echo 1 >/proc/sys/net/ipv4/ip_forward; ip link add out0 type veth "
			   "peer name out1; ip address add 192.0.2.1/24 dev out0; ip link set out0 "
			   "up; ip link set out1 up"));
	ck_assert(!stage_runs("nsenter -t %d -n timeout 5 bash -c 'exec 3<>/dev/tcp/192.0.2.9/443' "
			      "2>/dev/null",
		(int)one));
	RUN_UNTIL(n_flows > 0);
	ck_assert_str_eq(last_flow, "network.refused tcp 192.0.2.9:443");
	stop();
}
END_TEST

START_TEST(a_helper_that_dies_is_replaced)
{
	pid_t one = stage_container(&stage, ONE, "vethone", 2);
	unsigned n = 0;

	start(NULL);
	configure();
	ck_assert_int_eq(last_r, 0);
	/* Its name is its process's; it is the only one in this network namespace. */
	ck_assert(
		stage_runs("for p in $(pgrep -x rh-network); do "
			   "[ \"$(readlink /proc/$p/ns/net)\" != \"$(readlink /proc/$$/ns/net)\" ] "
			   "|| kill -9 $p; done"));
	RUN_UNTIL(rh_network_problem(network));
	/* Nothing is admitted before the next one is configured; that goes first. */
	ck_assert_int_eq(rh_network_admit(network, ONE, one, NULL, NULL, on_done, NULL), 0);
	n = n_done;
	ck_assert_int_eq(rh_network_configure(network, "br0", NULL, on_done, NULL), 0);
	RUN_UNTIL(n_done == n + 2);
	ck_assert_int_eq(last_r, 0);
	ck_assert_ptr_null(rh_network_problem(network));
	ck_assert(stage_runs("nft list set bridge rhtest ports | grep -q vethone"));
	stop();
}
END_TEST

START_TEST(failures_are_told)
{
	pid_t one = stage_container(&stage, ONE, "vethone", 2);

	start(NULL);
	/* Waits for a configuration, which cannot be. */
	ck_assert_int_eq(rh_network_admit(network, ONE, one, NULL, NULL, on_done, NULL), 0);
	ck_assert_int_eq(rh_network_configure(network, "no bridge", NULL, on_done, NULL), 0);
	RUN_UNTIL(n_done == 2);
	ck_assert_int_eq(last_r, -EINVAL);
	ck_assert_ptr_nonnull(strstr(rh_network_problem(network), "cannot be used"));
	configure();
	ck_assert_int_eq(last_r, 0);
	admit(getpid(), NULL);
	ck_assert_int_eq(last_r, -ENODEV);
	stop();
}
END_TEST

START_TEST(a_helper_that_cannot_be)
{
	start("/bin/false");
	ck_assert_int_eq(rh_network_configure(network, "br0", NULL, on_done, NULL), 0);
	RUN_UNTIL(n_done == 1);
	ck_assert_int_eq(last_r, -EPIPE);
	ck_assert_int_eq(rh_network_configure(network, "br0", NULL, on_done, NULL), 0);
	stop();
	ck_assert_uint_eq(n_done, 2);
	ck_assert_int_eq(last_r, -ECANCELED);
}
END_TEST

START_TEST(no_program)
{
	start("/nowhere");
	RUN_UNTIL(strstr(rh_network_problem(network), "cannot be started"));
	stop();
}
END_TEST

static void tests(Suite *suite)
{
	const TTest *const all[] = {rules_are_put_back, a_helper_that_dies_is_replaced,
		failures_are_told, a_helper_that_cannot_be, no_program};
	TCase *networks = tcase_create("network");

	tcase_add_checked_fixture(networks, setup, NULL);
	tcase_set_timeout(networks, 60);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tcase_add_test(networks, all[i]);
	tcase_add_loop_test(networks, rules_of_iptables_are_put_back, 0, 2);
	tcase_add_loop_test(networks, what_is_refused_is_told, 0, 3);
	suite_add_tcase(suite, networks);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], RH_NETWORK_HELPER_OPTION) == 0)
		return rh_network_helper_main();
	return RH_TEST_RUN("network", tests);
}
