/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The network's texts: protocol.h, resolvers.h, port.h's file, netlink.h, watch.h.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/network/netlink.h"
#include "broker/daemon/network/port.h"
#include "broker/daemon/network/protocol.h"
#include "broker/daemon/network/resolvers.h"
#include "broker/daemon/network/watch.h"
#include "rh-test.h"

#define INSTANCE "00112233445566778899aabbccddeeff"

START_TEST(requests_go_and_come)
{
	struct rh_network_request out = {
		.op = RH_NETWORK_ADMIT, .seq = 7, .n_words = 3, .words = {INSTANCE, "", "allow"}};
	struct rh_network_request in;
	uint8_t packet[256];
	size_t size = 0;

	ck_assert_int_eq(rh_network_request_write(&out, packet, sizeof(packet), &size), 0);
	ck_assert_int_eq(rh_network_request_parse(packet, size, &in), 0);
	ck_assert_int_eq(in.op, RH_NETWORK_ADMIT);
	ck_assert_uint_eq(in.seq, 7);
	ck_assert_uint_eq(in.n_words, 3);
	ck_assert_str_eq(in.words[0], INSTANCE);
	ck_assert_str_eq(in.words[1], "");
	ck_assert_str_eq(in.words[2], "allow");
	ck_assert_int_eq(rh_network_request_write(&out, packet, size - 1, &size), -E2BIG);
	ck_assert_int_eq(rh_network_request_write(&out, packet, 3, &size), -E2BIG);
	/* Without its last NUL, of another kind, of another magic. */
	ck_assert_int_eq(rh_network_request_parse(packet, size - 1, &in), -EPROTO);
	ck_assert_int_eq(rh_network_request_parse(packet, 15, &in), -EPROTO);
	packet[4] = RH_NETWORK_OPS;
	ck_assert_int_eq(rh_network_request_parse(packet, size, &in), -EPROTO);
	packet[4] = RH_NETWORK_ADMIT;
	packet[0] ^= 1;
	ck_assert_int_eq(rh_network_request_parse(packet, size, &in), -EPROTO);
}
END_TEST

START_TEST(requests_have_so_many_words)
{
	static struct rh_network_request request = {.op = RH_NETWORK_ADMIT};
	uint8_t packet[16 + RH_NETWORK_WORDS_MAX + 1] = {0};
	size_t size = 0;

	ck_assert_int_eq(rh_network_request_write(&request, packet, sizeof(packet), &size), 0);
	ck_assert_int_eq(rh_network_request_parse(packet, sizeof(packet) - 1, &request), 0);
	ck_assert_uint_eq(request.n_words, RH_NETWORK_WORDS_MAX);
	ck_assert_int_eq(rh_network_request_parse(packet, sizeof(packet), &request), -EPROTO);
}
END_TEST

START_TEST(replies_are_bounded)
{
	struct rh_network_reply out;
	struct rh_network_reply in;

	rh_network_reply_init(&out, RH_NETWORK_FLOW);
	memset(out.text, 'x', sizeof(out.text));
	memset(out.instance, 'y', sizeof(out.instance));
	ck_assert_int_eq(rh_network_reply_parse((uint8_t *)&out, sizeof(out), &in), 0);
	ck_assert_uint_eq(strlen(in.text), sizeof(in.text) - 1);
	ck_assert_uint_eq(strlen(in.instance), sizeof(in.instance) - 1);
	ck_assert_int_eq(rh_network_reply_parse((uint8_t *)&out, sizeof(out) - 1, &in), -EPROTO);
	out.r = 1;
	ck_assert_int_eq(rh_network_reply_parse((uint8_t *)&out, sizeof(out), &in), -EPROTO);
	out.r = 0;
	out.kind = RH_NETWORK_REPLIES;
	ck_assert_int_eq(rh_network_reply_parse((uint8_t *)&out, sizeof(out), &in), -EPROTO);
}
END_TEST

START_TEST(resolvers)
{
	static const char conf[] =
		"# nameserver 192.0.2.1\nnameserver 192.0.2.53\n"
		"nameserver\t2001:db8::53\nnameserver 127.0.0.53\nnameserver ::1\n"
		"nameserver fe80::1%eth0\nnameserver192.0.2.9\nsearch x\n"
		"nameserver 192.0.2.53 # again\nnameserver 192.0.2.54";
	static const char engine[] = "{\"dns\": [\"192.0.2.60\", 7, \"nonsense\", \"127.0.0.1\"]}";
	struct rh_rules rules = {0};
	struct in_addr last;

	rh_resolvers_parse(&rules, conf, strlen(conf));
	ck_assert_uint_eq(rules.n_resolvers, 4);
	ck_assert_int_eq(rules.resolvers[1].family, AF_INET6);
	rh_resolvers_parse_engine(&rules, engine, strlen(engine));
	ck_assert_uint_eq(rules.n_resolvers, 5);
	memcpy(&last, rules.resolvers[4].bytes, sizeof(last));
	ck_assert_uint_eq(last.s_addr, inet_addr("192.0.2.60"));
	rh_resolvers_parse_engine(&rules, "{\"dns\"", 6);
	rh_resolvers_parse_engine(&rules, "[]", 2);
	rh_resolvers_parse_engine(&rules, "", 0);
	ck_assert_uint_eq(rules.n_resolvers, 5);
	for (int i = 0; i < 100; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "203.0.113.%d", i);
		(void)rh_resolvers_add(&rules, text);
	}
	ck_assert_uint_eq(rules.n_resolvers, RH_RULES_RESOLVERS_MAX);
}
END_TEST

static int parse_port(const char *text, struct rh_rules_port *port)
{
	char copy[1024];

	(void)snprintf(copy, sizeof(copy), "%s", text);
	return rh_port_parse(copy, port);
}

START_TEST(a_ports_file)
{
	static const char text[] =
		"name=veth0\nindex=7\nmac=02:42:ac:12:00:02\nip4=172.18.0.2\n"
		"ip6=fd00::2\nlink_local=fe80::42\negress=192.0.2.0/24:443\negress=*:80\n"
		"egress=*.example.org:443\ndns=192.0.2.53\ndns=2001:db8::53\n";
	static const char *const wrong[] = {"name=a b\n", "index=0\n", "index=x\n", "mac=02:42\n",
		"mac=02:42:ac:12:00:02:03\n", "mac=02-42-ac-12-00-02\n", "mac=0g:42:ac:12:00:02\n",
		"ip4=1\n", "ip6=1\n", "link_local=x\n", "egress=x\n", "dns=x\n", "what=ever\n",
		"name\n", ""};
	_cleanup_(rh_port_freep) struct rh_rules_port *port = rh_port_new(INSTANCE);
	char *written = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&written, &size);

	ck_assert_int_eq(parse_port(text, port), 0);
	ck_assert_int_eq(rh_port_write(out, port), 0);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_str_eq(written, text);
	free(written);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		_cleanup_(rh_port_freep) struct rh_rules_port *bad = rh_port_new(INSTANCE);

		ck_assert_msg(parse_port(wrong[i], bad) == -EINVAL, "%s", wrong[i]);
	}
}
END_TEST

START_TEST(words_of_a_request)
{
	_cleanup_(rh_port_freep) struct rh_rules_port *port = rh_port_new(INSTANCE);

	ck_assert_int_eq(rh_port_add_word(port, "github.com:443"), 0);
	ck_assert_int_eq(rh_port_add_word(port, "dns=192.0.2.53"), 0);
	ck_assert_int_eq(rh_port_add_word(port, "dns=github.com"), -EINVAL);
	ck_assert_int_eq(rh_port_add_word(port, "dns="), -EINVAL);
	ck_assert_int_eq(rh_port_add_word(port, "github"), -EINVAL);
	ck_assert_str_eq(port->egress[0], "github.com:443");
	ck_assert_ptr_null(port->egress[1]);
	ck_assert_str_eq(port->dns[0], "192.0.2.53");
	ck_assert_ptr_null(port->dns[1]);
}
END_TEST

START_TEST(names)
{
	ck_assert(rh_rules_is_table("runnerhub-a.b_C9"));
	ck_assert(!rh_rules_is_table(""));
	ck_assert(!rh_rules_is_table("9a"));
	ck_assert(!rh_rules_is_table("a b"));
	ck_assert(!rh_rules_is_table("a;"));
	ck_assert(!rh_rules_is_table(
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	ck_assert(rh_rules_is_interface("br-0123456789ab"));
	ck_assert(!rh_rules_is_interface("br-0123456789abc"));
	ck_assert(!rh_rules_is_interface("a\""));
	ck_assert(!rh_rules_is_interface(".."));
}
END_TEST

/* A change of a table, as nft's socket number @from makes the kernel tell of it. */
static void change(struct rh_netlink_request *request, const char *table, uint32_t from)
{
	struct nfgenmsg head = {.nfgen_family = 1};
	struct nlmsghdr message;

	rh_netlink_begin(
		request, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE, 0, &head, sizeof(head));
	rh_netlink_put(request, NFTA_TABLE_NAME, table, strlen(table) + 1);
	memcpy(&message, request->bytes, sizeof(message));
	message.nlmsg_len = (uint32_t)request->size;
	message.nlmsg_pid = from;
	memcpy(request->bytes, &message, sizeof(message));
}

START_TEST(changes_by_others)
{
	struct rh_netlink_request request;

	change(&request, "runnerhub", 77);
	ck_assert(rh_watch_is_foreign(request.bytes, request.size, "runnerhub", 7));
	ck_assert(!rh_watch_is_foreign(request.bytes, request.size, "runnerhub", 77));
	ck_assert(!rh_watch_is_foreign(request.bytes, request.size, "runnerhu", 7));
	ck_assert(!rh_watch_is_foreign(request.bytes, request.size, "runnerhub2", 7));
	ck_assert(!rh_watch_is_foreign(request.bytes, request.size - 1, "runnerhub", 7));
	ck_assert(!rh_watch_is_foreign(request.bytes, 0, "runnerhub", 7));
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "parts", requests_go_and_come, requests_have_so_many_words,
		replies_are_bounded, resolvers, a_ports_file, words_of_a_request, names,
		changes_by_others);
}

RH_TEST_MAIN("network-parts", tests);
