/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/network/dns/names.h and book.h, on a host of its own with a resolver and a world of
 * the test's: what a lookup opens is tried, not read.
 */

#include "broker/daemon/network/dns/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../namespace.h"
#include "broker/daemon/network/dns/book.h"
#include "broker/daemon/network/dns/elements.h"
#include "broker/daemon/network/dns/learned.h"
#include "broker/daemon/network/dns/wire.h"
#include "rh-test.h"
#include "runnerhub/clock.h"

#define ONE      "00000000000000000000000000000001"
#define TWO      "10000000000000000000000000000002"
#define WORLD    "00000000000000000000000000000003"
#define LIMIT_MS 10000
#define LIST     "*.example.org:4003"

static struct stage stage;
static struct rh_table *table;
static struct rh_names names;
static struct rh_err err;
static int resolver = -1;
static pid_t one, two;
static unsigned n_refused;
static char last_refused[256];

static void on_refused(void *arg, const char *instance, const char *text)
{
	ck_assert_str_eq(instance, ONE);
	(void)snprintf(last_refused, sizeof(last_refused), "%s", text);
	n_refused++;
}

static void configure(void)
{
	struct rh_network_request request = {.op = RH_NETWORK_CONFIGURE,
		.n_words = 4,
		.words = {"rhtest", "br0", stage.dir, "nftables"}};

	ck_assert_int_eq(rh_table_configure(table, &request, &err), 0);
	rh_names_update(&names);
	ck_assert_int_eq(rh_names_check(&names, (char *[]){(char *)LIST, NULL}, &err), 0);
}

static void admit(const char *instance, pid_t pid, const char *egress)
{
	char number[16];
	struct rh_network_request request = {.op = RH_NETWORK_ADMIT,
		.n_words = 4,
		.words = {instance, number, egress, "dns=127.0.0.2"}};

	(void)snprintf(number, sizeof(number), "%d", (int)pid);
	ck_assert_msg(rh_table_admit(table, &request, &err) == 0, "%s", err.text);
}

static void dismiss(const char *instance)
{
	struct rh_network_request request = {
		.op = RH_NETWORK_DISMISS, .n_words = 1, .words = {instance}};

	ck_assert_int_eq(rh_table_dismiss(table, &request, &err), 0);
}

static void serve(pid_t where, unsigned port)
{
	ck_assert(stage_runs("nsenter -t %d -n python3 -c '\n"
			     "import os, socket\n"
			     "server = socket.create_server((\"0.0.0.0\", %u))\n"
			     "if os.fork() == 0:\n"
			     "    os.closerange(0, 3)\n"
			     "    server.settimeout(15)\n"
			     "    while True: server.accept()\n'",
		(int)where, port));
}

static bool connects(pid_t from, const char *to, unsigned port)
{
	return stage_runs("nsenter -t %d -n timeout 5 bash -c 'exec 3<>/dev/tcp/%s/%u' 2>/dev/null",
		(int)from, to, port);
}

static bool has(const char *what)
{
	return stage_runs("nft list table inet rhtest | grep -q '%s'", what);
}

static void setup(void)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(53)};
	pid_t world = -1;

	stage_setup(&stage);
	table = calloc(1, sizeof(*table));
	ck_assert_ptr_nonnull(table);
	names = (struct rh_names){.table = table, .refused = on_refused};
	name.sin_addr.s_addr = inet_addr("127.0.0.2");
	resolver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(resolver, (struct sockaddr *)&name, sizeof(name)), 0);
	one = stage_container(&stage, ONE, "vethone", 2);
	two = stage_container(&stage, TWO, "vethtwo", 3);
	/* It has an interface of the bridge's, too, which goes. */
	world = stage_container(&stage, WORLD, "vethw", 4);
	ck_assert(stage_runs("ip link delete vethw; echo 1 >/proc/sys/net/ipv4/ip_forward; "
			     "ip link add out0 type veth peer name out1 netns %d && "
			     "ip address add 192.0.2.1/24 dev out0 && ip link set out0 up",
		(int)world));
	ck_assert(stage_runs("nsenter -t %d -n sh -c 'ip address add 192.0.2.7/24 dev out1; ip "
			     "address add 192.0.2.8/24 dev out1; ip link set out1 up; "
			     "ip route add default via 192.0.2.1'",
		(int)world));
	serve(world, 4003);
	serve(world, 4004);
	configure();
}

static void teardown(void)
{
	rh_names_deinit(&names);
	rh_table_deinit(table);
	free(table);
	(void)close(resolver);
	stage_teardown(&stage);
}

/* A socket stays in the network namespace that it was made in. */
static int socket_in(pid_t pid)
{
	char path[64];
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(53)};
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int there = -1;
	int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	there = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(setns(there, CLONE_NEWNET), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(setns(here, CLONE_NEWNET), 0);
	(void)close(here);
	(void)close(there);
	name.sin_addr.s_addr = inet_addr("10.9.0.1");
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

/* To the question that has come: this address. */
static void resolve(const char *address)
{
	uint8_t data[1024];
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	ssize_t n = recvfrom(resolver, data, 512, 0, (struct sockaddr *)&from, &size);
	struct rh_dns_head head = {
		.id = rh_dns_u16(data), .flags = RH_DNS_IS_REPLY, .n_questions = 1, .n_answers = 1};
	/* RFC 1035, 4.1.3: the question's name, A, IN, 5 s, four bytes. */
	static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4};
	struct in_addr ip = {.s_addr = inet_addr(address)};

	ck_assert_int_gt(n, 0);
	rh_dns_head_write(data, &head);
	memcpy(data + n, record, sizeof(record));
	memcpy(data + n + 12, &ip, 4);
	ck_assert_int_eq(sendto(resolver, data, (size_t)n + 16, 0, (struct sockaddr *)&from, size),
		(int)n + 16);
}

/* Return: the reply's code; negative: none within a moment, as if nobody had sent it. */
static int look_up(pid_t from, const char *wire, size_t size, const char *address)
{
	uint8_t data[RH_DNS_QUESTION_MAX + 1];
	struct rh_dns_name name = {.size = size};
	int fd = socket_in(from);
	int64_t limit_ms = rh_now_ms() + LIMIT_MS;
	int r = -1;

	memcpy(name.wire, wire, size);
	size = rh_dns_query_write(data, 1, &name, RH_DNS_A);
	ck_assert_int_eq(send(fd, data, size, 0), (int)size);
	while (r < 0 && rh_now_ms() < limit_ms) {
		struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
			{.fd = rh_names_fd(&names), .events = POLLIN},
			{.fd = resolver, .events = POLLIN}};

		(void)poll(fds, 3, 100);
		if (fds[1].revents)
			rh_names_turn(&names);
		if (fds[2].revents)
			resolve(address);
		if (fds[0].revents) {
			if (recv(fd, data, sizeof(data), 0) < RH_DNS_HEAD_SIZE)
				break;
			r = data[3] & RH_DNS_RCODE;
		}
	}
	(void)close(fd);
	return r;
}

#define LOOK_UP(from, wire, address) look_up(from, wire, sizeof(wire), address)
#define WWW                          "\3www\7example\3org"

/* The same by another firewall. */
static void use(int kind)
{
	static const char *const kinds[] = {"nftables", "iptables", "iptables-legacy"};

	table->firewall = (struct rh_firewall){0};
	(void)snprintf(table->wanted, sizeof(table->wanted), "%s", kinds[kind]);
	ck_assert_msg(rh_table_restore(table, &err) == 0, "%s", err.text);
}

START_TEST(a_lookup_opens_the_way)
{
	use(_i);
	admit(ONE, one, LIST);
	admit(TWO, two, LIST);
	ck_assert(!connects(one, "192.0.2.7", 4003));
	ck_assert_int_eq(LOOK_UP(one, WWW, "192.0.2.7"), RH_DNS_NOERROR);
	ck_assert(connects(one, "192.0.2.7", 4003));
	/* Another port, another address, another container. */
	ck_assert(!connects(one, "192.0.2.7", 4004));
	ck_assert(!connects(one, "192.0.2.8", 4003));
	ck_assert(!connects(two, "192.0.2.7", 4003));
	ck_assert(_i > 0 || has("10.9.0.2 . 192.0.2.7 .*expires"));
	ck_assert(_i > 0 || !has("10.9.0.3 . 192.0.2.7"));
	/* It moves: both for a while. */
	ck_assert_int_eq(LOOK_UP(one, WWW, "192.0.2.8"), RH_DNS_NOERROR);
	ck_assert(connects(one, "192.0.2.8", 4003));
	ck_assert_int_eq(LOOK_UP(one, WWW, "192.0.2.8"), RH_DNS_NOERROR);
	ck_assert_uint_eq(table->ports[0]->port->learned->n, 2);
	/* Nobody's clock but ours ends it in iptables. */
	ck_assert_int_eq(table->ends_ms > 0, _i > 0);
	table->ports[0]->port->learned->places[0].until_ms = rh_now_ms() - 1;
	table->ends_ms = _i > 0 ? rh_now_ms() - 1 : 0;
	ck_assert_int_eq(rh_table_has_ended(table), _i > 0);
	ck_assert_int_eq(rh_table_restore(table, &err), 0);
	ck_assert(!connects(one, "192.0.2.7", 4003));
	ck_assert(connects(one, "192.0.2.8", 4003));
}
END_TEST

START_TEST(what_is_refused_is_told_once)
{
	admit(ONE, one, LIST);
	admit(TWO, two, "deny");
	ck_assert_int_eq(LOOK_UP(one, "\1a\4evil\3net", NULL), RH_DNS_NXDOMAIN);
	ck_assert_str_eq(last_refused, "dns a.evil.net");
	ck_assert_int_eq(LOOK_UP(one, "\1x\1a\4evil\3net", NULL), RH_DNS_NXDOMAIN);
	ck_assert_str_eq(last_refused, "dns *.a.evil.net");
	ck_assert_int_eq(LOOK_UP(one, "\1y\1a\4evil\3net", NULL), RH_DNS_NXDOMAIN);
	ck_assert_uint_eq(n_refused, 2);
	/* The name above is not below. */
	ck_assert_int_eq(LOOK_UP(one, "\7example\3org", NULL), RH_DNS_NXDOMAIN);
	ck_assert_uint_eq(n_refused, 3);
	for (int c = 0; c < 26; c++) {
		for (int d = 0; d < 3; d++) {
			char name[] = "\1x\2cd\3net";

			name[3] = (char)('a' + c);
			name[4] = (char)('a' + d);
			ck_assert_int_eq(look_up(one, name, sizeof(name), NULL), RH_DNS_NXDOMAIN);
		}
	}
	ck_assert_uint_eq(n_refused, RH_TABLE_FLOWS_MAX);
	ck_assert_ptr_nonnull(strstr(last_refused, "no more"));
}
END_TEST

START_TEST(resolvers_are_for_those_who_need_none_of_us)
{
	use(_i);
	admit(ONE, one, LIST);
	admit(TWO, two, "192.0.2.7");
	/* The gateway is no resolver of theirs. */
	ck_assert(!connects(two, "10.9.0.1", 53));
	ck_assert(connects(one, "10.9.0.1", 53));
	ck_assert(_i > 0 || !has("chain egress-.*resolvers"));
}
END_TEST

START_TEST(no_name_stands_for_the_host_or_a_neighbour)
{
	use(_i);
	serve(getpid(), 4003);
	serve(two, 4003);
	admit(ONE, one, LIST);
	admit(TWO, two, LIST);
	ck_assert_int_eq(LOOK_UP(one, WWW, "10.9.0.1"), RH_DNS_NOERROR);
	ck_assert_int_eq(LOOK_UP(one, WWW, "192.0.2.1"), RH_DNS_NOERROR);
	ck_assert_int_eq(LOOK_UP(one, WWW, "10.9.0.3"), RH_DNS_NOERROR);
	ck_assert_int_eq(LOOK_UP(one, WWW, "100.100.100.200"), RH_DNS_NOERROR);
	ck_assert_uint_eq(table->ports[0]->port->learned->n, 4);
	ck_assert_int_eq(LOOK_UP(one, WWW, "169.254.169.254"), RH_DNS_NOERROR);
	ck_assert_int_eq(LOOK_UP(one, WWW, "127.0.0.1"), RH_DNS_NOERROR);
	ck_assert_int_eq(LOOK_UP(one, WWW, "224.0.0.1"), RH_DNS_NOERROR);
	ck_assert_uint_eq(table->ports[0]->port->learned->n, 4);
	ck_assert(!connects(one, "10.9.0.1", 4003));
	ck_assert(!connects(one, "192.0.2.1", 4003));
	ck_assert(!connects(one, "100.100.100.200", 4003));
	ck_assert(!stage_runs("nsenter -t %d -n timeout 1 bash -c 'exec "
			      "3<>/dev/tcp/10.9.0.3/4003' 2>/dev/null",
		(int)one));
}
END_TEST

START_TEST(what_was_learned_is_kept)
{
	admit(ONE, one, LIST);
	ck_assert_int_eq(LOOK_UP(one, WWW, "192.0.2.7"), RH_DNS_NOERROR);
	ck_assert(stage_runs("nft flush ruleset"));
	ck_assert_int_eq(rh_table_restore(table, &err), 0);
	ck_assert(connects(one, "192.0.2.7", 4003));
	ck_assert(has("10.9.0.2 . 192.0.2.7 .*expires"));
	/* The next helper finds it in the kernel. */
	rh_names_deinit(&names);
	rh_table_deinit(table);
	*table = (struct rh_table){0};
	configure();
	ck_assert_uint_eq(table->n_ports, 1);
	ck_assert_ptr_nonnull(table->ports[0]->port->learned);
	ck_assert_uint_eq(table->ports[0]->port->learned->n, 1);
	ck_assert(connects(one, "192.0.2.7", 4003));
	ck_assert_str_eq(table->ports[0]->port->dns[0], "127.0.0.2");
	/* Nothing is left anywhere: it is looked up anew. */
	rh_names_deinit(&names);
	rh_table_deinit(table);
	*table = (struct rh_table){0};
	ck_assert(stage_runs("nft flush ruleset"));
	configure();
	ck_assert_uint_eq(table->n_ports, 1);
	ck_assert(!connects(one, "192.0.2.7", 4003));
	ck_assert_int_eq(LOOK_UP(one, WWW, "192.0.2.7"), RH_DNS_NOERROR);
	ck_assert(connects(one, "192.0.2.7", 4003));
}
END_TEST

START_TEST(what_was_learned_goes_with_its_container)
{
	admit(ONE, one, LIST);
	ck_assert_int_eq(LOOK_UP(one, WWW, "192.0.2.7"), RH_DNS_NOERROR);
	dismiss(ONE);
	/* The next container has its address. */
	ck_assert(stage_runs("ip link delete vethone && nsenter -t %d -n sh -c 'ip address del "
			     "10.9.0.3/24 dev eth0; ip address add 10.9.0.2/24 dev eth0; "
			     "ip route add default via 10.9.0.1'",
		(int)two));
	admit(TWO, two, LIST);
	ck_assert(!has("10.9.0.2 . 192.0.2.7"));
	ck_assert(!connects(two, "192.0.2.7", 4003));
	ck_assert_int_eq(LOOK_UP(two, WWW, "192.0.2.7"), RH_DNS_NOERROR);
	ck_assert(connects(two, "192.0.2.7", 4003));
	dismiss(TWO);
	rh_table_tidy(table);
	ck_assert(!has("10.9.0.2 . 192.0.2.7"));
}
END_TEST

START_TEST(it_ends_by_itself)
{
	uint8_t key[32];
	size_t size = 0;
	char set[RH_LEARNED_SET_SIZE];
	int64_t limit_ms = rh_now_ms() + LIMIT_MS;
	char *list[] = {(char *)LIST, NULL};
	struct in_addr ip = {.s_addr = inet_addr("192.0.2.7")};

	admit(ONE, one, LIST);
	ck_assert_int_eq(LOOK_UP(one, WWW, "192.0.2.7"), RH_DNS_NOERROR);
	rh_learned_set_name(set, list, AF_INET, 4003, 4003);
	size = rh_learned_key(key, table->ports[0]->port, AF_INET, (const uint8_t *)&ip);
	/* Its time is what was said last. */
	ck_assert_int_eq(rh_elements_put(table->elements_fd, "rhtest", set, key, size, 300), 0);
	while (connects(one, "192.0.2.7", 4003) && rh_now_ms() < limit_ms)
		(void)usleep(20000);
	ck_assert(!connects(one, "192.0.2.7", 4003));
	ck_assert_int_eq(rh_elements_remove(table->elements_fd, "rhtest", set, key, size), 0);
	ck_assert_int_eq(
		rh_elements_put(table->elements_fd, "rhtest", "nowhere", key, size, 300), -ENOENT);
	ck_assert_int_ne(rh_elements_put(table->elements_fd, "rhtest", set, key, 5, 300), 0);
}
END_TEST

START_TEST(there_is_an_end_to_it)
{
	struct rh_dns_answer answer = {.family = AF_INET};
	struct rh_rules_port *port = NULL;
	unsigned n = 0;

	admit(ONE, one, LIST);
	port = table->ports[0]->port;
	for (unsigned i = 0; i < RH_LEARNED_MAX + 64; i += RH_DNS_ADDRESSES_MAX) {
		answer.n = RH_DNS_ADDRESSES_MAX;
		answer.ttl_s = 1000000;
		for (unsigned j = 0; j < answer.n; j++) {
			const uint8_t ip[] = {10, 1, (uint8_t)((i + j) >> 8), (uint8_t)(i + j)};

			memcpy(answer.addresses[j], ip, 4);
		}
		ck_assert_int_eq(rh_book_learn(table, port, "www.example.org", &answer), 0);
		ck_assert_uint_eq(answer.ttl_s, RH_LEARNED_MAX_S);
	}
	ck_assert_uint_eq(port->learned->n, RH_LEARNED_MAX);
	ck_assert(stage_runs("[ \"$(nft list table inet rhtest | grep -o '10.9.0.2 . 10.1.' | "
			     "wc -l)\" = %d ]",
		RH_LEARNED_MAX));
	for (size_t i = 0; i < port->learned->n; i++)
		n += port->learned->places[i].until_ms > rh_now_ms() ? 1 : 0;
	ck_assert_uint_eq(n, RH_LEARNED_MAX);
	/* Tables that are not in force are not learned into. */
	table->in_force = false;
	ck_assert_int_eq(rh_book_learn(table, port, "www.example.org", &answer), -EAGAIN);
}
END_TEST

START_TEST(where_nobody_can_look_up)
{
	char *list[] = {(char *)LIST, NULL};
	char *deny[] = {(char *)"deny", NULL};

	ck_assert(stage_runs("ip address del 10.9.0.1/24 dev br0"));
	table->rules.gateway.s_addr = 0;
	rh_names_update(&names);
	ck_assert_int_eq(rh_names_check(&names, list, &err), -EADDRNOTAVAIL);
	ck_assert_ptr_nonnull(strstr(err.text, "cannot be looked up"));
	ck_assert_int_eq(rh_names_check(&names, deny, &err), 0);
}
END_TEST

static void tests(Suite *suite)
{
	const TTest *const each[] = {a_lookup_opens_the_way,
		resolvers_are_for_those_who_need_none_of_us,
		no_name_stands_for_the_host_or_a_neighbour};
	const TTest *const all[] = {what_is_refused_is_told_once, what_was_learned_is_kept,
		what_was_learned_goes_with_its_container, it_ends_by_itself, there_is_an_end_to_it,
		where_nobody_can_look_up};
	TCase *cases = tcase_create("names");

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 60);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tcase_add_test(cases, all[i]);
	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++)
		tcase_add_loop_test(cases, each[i], 0, 3);
	suite_add_tcase(suite, cases);
}

RH_TEST_MAIN("network-names", tests);
