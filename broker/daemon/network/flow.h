/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the rules tell of packets: through the kernel's NFLOG to whoever listens on their group.
 */

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rh_flow_verdict { RH_FLOW_REFUSED, RH_FLOW_SEEN, RH_FLOW_FORGED };

struct rh_flow {
	enum rh_flow_verdict verdict;
	uint32_t port_index; /* bridge port that it came in by; 0: not said */
	int family; /* AF_INET, AF_INET6; AF_UNSPEC: some other frame */
	uint8_t source[16];
	uint8_t destination[16];
	uint8_t protocol; /* IPPROTO_… */
	uint16_t to_port; /* 0: the protocol has none */
};

#define RH_FLOW_TEXT_SIZE 96

/**
 * rh_flow_parse() - one netlink message's body
 * Return: 0; -EPROTO. Pure: part of it is a packet that a job has written.
 */
int rh_flow_parse(const uint8_t *data, size_t size, struct rh_flow *ret_flow);
/* "tcp 192.0.2.7:443", for people. */
void rh_flow_format(const struct rh_flow *flow, char buf[RH_FLOW_TEXT_SIZE]);

/**
 * rh_flow_open() - listen on a group, the first free one from *@group on
 * Return: a descriptor that does not block; negative errno.
 */
int rh_flow_open(uint16_t *group);
