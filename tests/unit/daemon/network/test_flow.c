/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/network/flow.h
 */

#include "broker/daemon/network/flow.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <string.h>

#include "broker/daemon/network/netlink.h"
#include "rh-test.h"

static const uint8_t tcp4[] = {0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 6, 0, 0, 172, 18, 0, 2, 192, 0, 2,
	7, 0x9c, 0x40, 0x01, 0xbb};
static const uint8_t udp6[] = {0x60, 0, 0, 0, 0, 8, 17, 64, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 2, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x9c, 0x40, 0, 53};

static int parse(const char *prefix, const void *packet, size_t size, struct rh_flow *ret_flow)
{
	struct nfgenmsg head = {.nfgen_family = AF_INET};
	struct rh_netlink_request request;
	uint32_t index = htonl(9);

	rh_netlink_begin(&request, 0, 0, &head, sizeof(head));
	rh_netlink_put(&request, NFULA_IFINDEX_PHYSINDEV, &index, sizeof(index));
	if (prefix)
		rh_netlink_put(&request, NFULA_PREFIX, prefix, strlen(prefix) + 1);
	rh_netlink_put(&request, NFULA_PAYLOAD, packet, size);
	return rh_flow_parse(request.bytes + sizeof(struct nlmsghdr),
		request.size - sizeof(struct nlmsghdr), ret_flow);
}

START_TEST(packets)
{
	struct rh_flow flow;
	char text[RH_FLOW_TEXT_SIZE];

	ck_assert_int_eq(parse("refused", tcp4, sizeof(tcp4), &flow), 0);
	ck_assert_int_eq(flow.verdict, RH_FLOW_REFUSED);
	ck_assert_uint_eq(flow.port_index, 9);
	ck_assert_int_eq(memcmp(flow.source, tcp4 + 12, 4), 0);
	rh_flow_format(&flow, text);
	ck_assert_str_eq(text, "tcp 192.0.2.7:443");
	ck_assert_int_eq(parse("seen", udp6, sizeof(udp6), &flow), 0);
	ck_assert_int_eq(flow.verdict, RH_FLOW_SEEN);
	rh_flow_format(&flow, text);
	ck_assert_str_eq(text, "udp [2001:db8::1]:53");
}
END_TEST

START_TEST(packets_cut_short)
{
	struct rh_flow flow;
	char text[RH_FLOW_TEXT_SIZE];
	uint8_t later[sizeof(tcp4)];

	ck_assert_int_eq(parse("forged", tcp4, 22, &flow), 0);
	rh_flow_format(&flow, text);
	ck_assert_str_eq(text, "tcp 192.0.2.7");
	ck_assert_int_eq(parse("forged", tcp4, 19, &flow), 0);
	ck_assert_int_eq(flow.family, AF_UNSPEC);
	rh_flow_format(&flow, text);
	ck_assert_str_eq(text, "a frame that is no packet");
	ck_assert_int_eq(parse("forged", udp6, 39, &flow), 0);
	ck_assert_int_eq(flow.family, AF_UNSPEC);
	/* A later fragment has no ports, a head that claims to be longer than it is neither. */
	memcpy(later, tcp4, sizeof(later));
	later[7] = 1;
	ck_assert_int_eq(parse("forged", later, sizeof(later), &flow), 0);
	ck_assert_uint_eq(flow.to_port, 0);
	memcpy(later, tcp4, sizeof(later));
	later[0] = 0x4f;
	ck_assert_int_eq(parse("forged", later, sizeof(later), &flow), 0);
	ck_assert_uint_eq(flow.to_port, 0);
	memcpy(later, tcp4, sizeof(later));
	later[9] = 253;
	ck_assert_int_eq(parse("forged", later, sizeof(later), &flow), 0);
	rh_flow_format(&flow, text);
	ck_assert_str_eq(text, "protocol 253 192.0.2.7");
}
END_TEST

START_TEST(other_messages)
{
	struct rh_flow flow;

	ck_assert_int_eq(parse(NULL, tcp4, sizeof(tcp4), &flow), -EPROTO);
	ck_assert_int_eq(parse("other", tcp4, sizeof(tcp4), &flow), -EPROTO);
	ck_assert_int_eq(parse("refused2", tcp4, sizeof(tcp4), &flow), -EPROTO);
	ck_assert_int_eq(rh_flow_parse(tcp4, 3, &flow), -EPROTO);
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "flow", packets, packets_cut_short, other_messages);
}

RH_TEST_MAIN("network-flow", tests);
