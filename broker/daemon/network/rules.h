/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The firewall's rules as nft(8) reads them. Pure functions: text from facts.
 *
 * Two tables, both ours alone and named as the network is. "bridge" looks at frames as they leave a
 * container's port: who it says that it is must be what the engine gave it, and nothing passes from
 * port to port. "inet" looks at packets that come from the bridge, by the bridge's name, so a
 * container that nobody has told us of yet is under it too: the host and the metadata services
 * first, on the address as it was sent (before anybody's NAT), then the container's egress policy;
 * a source without one gets nowhere. Who must ask us for names (rh_egress_asks()) reaches port 53
 * of the gateway, and no resolver.
 */

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "runnerhub/id.h"

#define RH_RULES_RESOLVERS_MAX 32
#define RH_RULES_UPSTREAMS_MAX 3

struct rh_rules_address {
	int family; /* AF_INET or AF_INET6 */
	uint8_t bytes[16];
};

/* The whole firewall's settings. */
struct rh_rules {
	char table[64]; /* the network's name */
	char bridge[IF_NAMESIZE];
	uint16_t log_group;
	struct rh_rules_address resolvers[RH_RULES_RESOLVERS_MAX];
	size_t n_resolvers;
	struct rh_rules_address upstreams[RH_RULES_UPSTREAMS_MAX]; /* the host's own resolvers */
	size_t n_upstreams;
	struct in_addr gateway; /* of the bridge, where names are looked up; 0: none */
};

/* A container's port of the bridge, as it was when no job had seen it. */
struct rh_rules_port {
	char instance[RH_ID_TEXT_SIZE];
	char name[IF_NAMESIZE];
	uint32_t index;
	uint8_t mac[6];
	struct in_addr ip4; /* 0: none */
	struct in6_addr ip6; /* ::, likewise */
	struct in6_addr link_local;
	char **egress;
	char **dns; /* who is asked for what it looks up with us; NULL: the resolvers */
	struct rh_learned *learned; /* dns/learned.h; NULL: nothing yet */
};

/*
 * What clouds answer a machine's secrets on, NULL-terminated. All of 169.254.0.0/16 and fe80::/10
 * is link-local (RFC 3927, RFC 4291); Alibaba, Oracle and Azure have one outside, EC2 and Google
 * one of IPv6.
 */
extern const char *const rh_rules_metadata4[];
extern const char *const rh_rules_metadata6[];

/* What messages about packets begin with: rh_flow_parse() reads them. */
#define RH_RULES_REFUSED "refused"
#define RH_RULES_SEEN    "seen"
#define RH_RULES_FORGED  "forged"

/* A name that nft takes unquoted, and file systems and Docker too. */
bool rh_rules_is_table(const char *name);
bool rh_rules_is_interface(const char *name);

/* Of a list: profiles that say the same share a chain. */
uint64_t rh_rules_hash(char *const *list);

/* Both tables anew in one transaction, whatever was in them. */
void rh_rules_write(FILE *out, const struct rh_rules *rules, struct rh_rules_port *const *ports,
	size_t n_ports);
/* Neither table, whether they were there or not. */
void rh_rules_write_none(FILE *out, const struct rh_rules *rules);
/* One port more, in tables that are there. */
void rh_rules_write_port(FILE *out, const struct rh_rules *rules, const struct rh_rules_port *port);
/* One port less; elements that are not there make nft refuse all of it. */
void rh_rules_write_gone(FILE *out, const struct rh_rules *rules, const struct rh_rules_port *port);
