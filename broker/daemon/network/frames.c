/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Frames at a container's port of the bridge: the filter.
 *
 * Loads beyond a frame's end would end the program with 0, which is to pass: its length is looked
 * at first. All jumps go forward, to labels that are filled in at the end.
 */

#include "broker/daemon/network/frames.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>

/* Offsets in a frame: Ethernet (14 bytes), then RFC 826, RFC 791, RFC 8200. */
#define AT_SENDER   6
#define AT_TYPE     12
#define AT_ARP      14
#define AT_IP4_FROM 26
#define AT_IP6_NEXT 20
#define AT_IP6_FROM 22
#define AT_ICMP6    54
#define ARP_SIZE    (AT_ARP + 28)
#define IP4_SIZE    (14 + 20)
#define IP6_SIZE    AT_ICMP6

enum label { NEXT, PASS, DROP, IS_IP4, IS_ARP, IS_IP6, IS_LINK_LOCAL, IS_OURS6, IS_ICMP6, LABELS };

struct program {
	struct sock_filter *steps;
	size_t n;
	size_t at[LABELS]; /* steps that labels stand for */
	uint8_t to[RH_FRAMES_STEPS_MAX][2]; /* labels of jumps */
};

static void step(struct program *p, uint16_t code, uint32_t k)
{
	p->steps[p->n++] = (struct sock_filter){.code = code, .k = k};
}

static void jump(struct program *p, uint16_t how, uint32_t k, enum label yes, enum label no)
{
	p->to[p->n][0] = (uint8_t)yes;
	p->to[p->n][1] = (uint8_t)no;
	step(p, BPF_JMP | BPF_K | how, k);
}

static void label(struct program *p, enum label which)
{
	p->at[which] = p->n;
}

/* Bytes of the frame must be these. */
static void expect(
	struct program *p, uint32_t offset, const uint8_t *bytes, size_t n, enum label otherwise)
{
	while (n > 0) {
		uint32_t wide = 0;
		uint16_t narrow = 0;

		if (n >= sizeof(wide)) {
			memcpy(&wide, bytes, sizeof(wide));
			step(p, BPF_LD | BPF_W | BPF_ABS, offset);
			jump(p, BPF_JEQ, ntohl(wide), NEXT, otherwise);
			bytes += sizeof(wide);
			offset += sizeof(wide);
			n -= sizeof(wide);
		} else {
			memcpy(&narrow, bytes, sizeof(narrow));
			step(p, BPF_LD | BPF_H | BPF_ABS, offset);
			jump(p, BPF_JEQ, ntohs(narrow), NEXT, otherwise);
			n -= sizeof(narrow);
		}
	}
}

static void expect_size(struct program *p, uint32_t size)
{
	step(p, BPF_LD | BPF_W | BPF_LEN, 0);
	jump(p, BPF_JGE, size, NEXT, DROP);
}

static void write_arp(struct program *p, const struct rh_rules_port *port)
{
	/* Of Ethernet, for IPv4, with addresses of 6 and 4 bytes. */
	static const uint8_t kind[] = {0, 1, 0x08, 0x00, 6, 4};

	label(p, IS_ARP);
	expect_size(p, ARP_SIZE);
	expect(p, AT_ARP, kind, sizeof(kind), DROP);
	expect(p, AT_ARP + 8, port->mac, sizeof(port->mac), DROP);
	expect(p, AT_ARP + 14, (const uint8_t *)&port->ip4, sizeof(port->ip4), DROP);
	step(p, BPF_RET | BPF_K, RH_FRAMES_PASS);
}

/* Behind a header that could hide them are neighbours' messages too: none of these is needed. */
static void write_ip6(struct program *p, const struct rh_rules_port *port)
{
	static const uint8_t hiding[] = {0 /* hop by hop */, 43 /* routing */, 60 /* destination */,
		51 /* authentication */, 135 /* mobility */};
	static const uint8_t said_by_routers[] = {134, 136, 137};

	label(p, IS_IP6);
	if (IN6_IS_ADDR_UNSPECIFIED(&port->ip6)) {
		step(p, BPF_RET | BPF_K, RH_FRAMES_DROP);
		return;
	}
	expect_size(p, IP6_SIZE);
	expect(p, AT_IP6_FROM, port->ip6.s6_addr, sizeof(port->ip6), IS_LINK_LOCAL);
	jump(p, BPF_JA, 0, IS_OURS6, IS_OURS6);
	label(p, IS_LINK_LOCAL);
	expect(p, AT_IP6_FROM, port->link_local.s6_addr, sizeof(port->link_local), DROP);
	label(p, IS_OURS6);
	step(p, BPF_LD | BPF_B | BPF_ABS, AT_IP6_NEXT);
	for (size_t i = 0; i < sizeof(hiding); i++)
		jump(p, BPF_JEQ, hiding[i], DROP, NEXT);
	jump(p, BPF_JEQ, IPPROTO_ICMPV6, IS_ICMP6, PASS);
	label(p, IS_ICMP6);
	expect_size(p, IP6_SIZE + 1);
	step(p, BPF_LD | BPF_B | BPF_ABS, AT_ICMP6);
	for (size_t i = 0; i < sizeof(said_by_routers); i++)
		jump(p, BPF_JEQ, said_by_routers[i], DROP, NEXT);
}

/* Where jumps go, now that it is known. */
static void link_up(struct program *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct sock_filter *at = &p->steps[i];
		size_t yes = p->to[i][0] == NEXT ? i + 1 : p->at[p->to[i][0]];
		size_t no = p->to[i][1] == NEXT ? i + 1 : p->at[p->to[i][1]];

		if (BPF_CLASS(at->code) != BPF_JMP)
			continue;
		if (BPF_OP(at->code) == BPF_JA) {
			at->k = (uint32_t)(yes - i - 1);
		} else {
			at->jt = (uint8_t)(yes - i - 1);
			at->jf = (uint8_t)(no - i - 1);
		}
	}
}

size_t rh_frames_program(
	const struct rh_rules_port *port, struct sock_filter steps[RH_FRAMES_STEPS_MAX])
{
	struct program p = {.steps = steps};

	/* A tag would hide what is behind it. */
	step(&p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT));
	jump(&p, BPF_JEQ, 0, NEXT, DROP);
	expect_size(&p, ETH_HLEN);
	expect(&p, AT_SENDER, port->mac, sizeof(port->mac), DROP);
	step(&p, BPF_LD | BPF_H | BPF_ABS, AT_TYPE);
	jump(&p, BPF_JEQ, ETH_P_IP, IS_IP4, NEXT);
	jump(&p, BPF_JEQ, ETH_P_ARP, IS_ARP, NEXT);
	jump(&p, BPF_JEQ, ETH_P_IPV6, IS_IP6, DROP);
	label(&p, IS_IP4);
	expect_size(&p, IP4_SIZE);
	expect(&p, AT_IP4_FROM, (const uint8_t *)&port->ip4, sizeof(port->ip4), DROP);
	step(&p, BPF_RET | BPF_K, RH_FRAMES_PASS);
	write_arp(&p, port);
	write_ip6(&p, port);
	label(&p, PASS);
	step(&p, BPF_RET | BPF_K, RH_FRAMES_PASS);
	label(&p, DROP);
	step(&p, BPF_RET | BPF_K, RH_FRAMES_DROP);
	link_up(&p);
	return p.n;
}
