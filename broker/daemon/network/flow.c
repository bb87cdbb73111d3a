/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the rules tell of packets.
 */

#include "broker/daemon/network/flow.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/daemon/network/netlink.h"
#include "broker/daemon/network/rules.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"

#define GROUPS_TRIED 256
#define PACKET_MAX   128 /* of each: heads are enough */

static int verdict_of(const struct rh_netlink_attribute *prefix, enum rh_flow_verdict *ret_verdict)
{
	static const char *const words[] = {[RH_FLOW_REFUSED] = RH_RULES_REFUSED,
		[RH_FLOW_SEEN] = RH_RULES_SEEN,
		[RH_FLOW_FORGED] = RH_RULES_FORGED};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i]);

		if (prefix->size >= n && memcmp(prefix->data, words[i], n) == 0 &&
			(prefix->size == n || prefix->data[n] == '\0')) {
			*ret_verdict = i;
			return 0;
		}
	}
	return rh_origin(-EPROTO);
}

static bool has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
		protocol == IPPROTO_UDPLITE || protocol == IPPROTO_DCCP;
}

/* RFC 791, RFC 8200. What is cut short is told as far as it goes. */
static void read_packet(const uint8_t *data, size_t size, struct rh_flow *flow)
{
	size_t head = 0;
	bool first = true; /* later fragments have no ports */

	if (size >= 20 && data[0] >> 4 == 4) {
		flow->family = AF_INET;
		flow->protocol = data[9];
		memcpy(flow->source, data + 12, 4);
		memcpy(flow->destination, data + 16, 4);
		head = (size_t)(data[0] & 15) * 4;
		first = (data[6] & 0x1f) == 0 && data[7] == 0;
	} else if (size >= 40 && data[0] >> 4 == 6) {
		flow->family = AF_INET6;
		flow->protocol = data[6];
		memcpy(flow->source, data + 8, 16);
		memcpy(flow->destination, data + 24, 16);
		head = 40;
	}
	if (head >= 20 && first && has_ports(flow->protocol) && size >= head + 4)
		flow->to_port = (uint16_t)(data[head + 2] << 8 | data[head + 3]);
}

int rh_flow_parse(const uint8_t *data, size_t size, struct rh_flow *ret_flow)
{
	struct rh_netlink_attribute attribute;
	struct rh_flow flow = {.family = AF_UNSPEC};
	int r = -EPROTO;

	for (size_t at = NLMSG_ALIGN(sizeof(struct nfgenmsg));
		rh_netlink_next_attribute(data, size, &at, &attribute);) {
		if (attribute.type == NFULA_PREFIX)
			r = verdict_of(&attribute, &flow.verdict);
		else if (attribute.type == NFULA_PAYLOAD)
			read_packet(attribute.data, attribute.size, &flow);
		else if (attribute.type == NFULA_IFINDEX_PHYSINDEV &&
			rh_netlink_u32(&attribute, &flow.port_index))
			flow.port_index = ntohl(flow.port_index);
	}
	if (r == 0)
		*ret_flow = flow;
	return rh_trace(r);
}

static const char *protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmp6";
	default:
		return NULL;
	}
}

void rh_flow_format(const struct rh_flow *flow, char buf[RH_FLOW_TEXT_SIZE])
{
	char address[INET6_ADDRSTRLEN] = "";
	char protocol[16];
	char port[8] = "";
	const char *name = protocol_name(flow->protocol);
	bool brackets = flow->family == AF_INET6 && flow->to_port;

	if (flow->family == AF_UNSPEC ||
		!inet_ntop(flow->family, flow->destination, address, sizeof(address))) {
		(void)snprintf(buf, RH_FLOW_TEXT_SIZE, "a frame that is no packet");
		return;
	}
	(void)snprintf(protocol, sizeof(protocol), "protocol %u", (unsigned)flow->protocol);
	if (flow->to_port)
		(void)snprintf(port, sizeof(port), ":%u", (unsigned)flow->to_port);
	(void)snprintf(buf, RH_FLOW_TEXT_SIZE, "%s %s%s%s%s", name ? name : protocol,
		brackets ? "[" : "", address, brackets ? "]" : "", port);
}

static int configure(int fd, uint16_t group, uint16_t type, const void *data, size_t size)
{
	struct nfgenmsg head = {.version = NFNETLINK_V0, .res_id = htons(group)};
	struct rh_netlink_request request;

	rh_netlink_begin(&request, NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG, NLM_F_ACK, &head,
		sizeof(head));
	rh_netlink_put(&request, type, data, size);
	return rh_trace(rh_netlink_ask(fd, &request, NULL, NULL));
}

int rh_flow_open(uint16_t *group)
{
	struct nfulnl_msg_config_cmd bind = {.command = NFULNL_CFG_CMD_BIND};
	struct nfulnl_msg_config_mode mode = {
		.copy_range = htonl(PACKET_MAX), .copy_mode = NFULNL_COPY_PACKET};
	uint32_t at_once = htonl(1); /* no waiting for company */
	_cleanup_(rh_closep) int fd = rh_netlink_open(NETLINK_NETFILTER, 0);
	int r = -EBUSY;

	if (fd < 0)
		return rh_trace(fd);
	/* EPERM: somebody else listens there; EBUSY: they began in this very moment. */
	for (unsigned i = 0; i < GROUPS_TRIED && (r == -EBUSY || r == -EPERM); i++) {
		if (i > 0)
			++*group;
		if (*group == 0)
			*group = 1;
		r = configure(fd, *group, NFULA_CFG_CMD, &bind, sizeof(bind));
	}
	if (r == 0)
		r = configure(fd, *group, NFULA_CFG_MODE, &mode, sizeof(mode));
	if (r == 0)
		r = configure(fd, *group, NFULA_CFG_QTHRESH, &at_once, sizeof(at_once));
	if (r == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	return r < 0 ? rh_trace(r) : rh_steal_fd(&fd);
}
