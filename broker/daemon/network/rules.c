/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The firewall's rules as nft(8) reads them.
 */

#include "broker/daemon/network/rules.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "broker/daemon/config/egress.h"
#include "broker/daemon/network/dns/learned.h"
#include "runnerhub/clock.h"
#include "runnerhub/weaken.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

/* Priorities: NF_BR_PRI_NAT_DST_BRIDGED and NF_IP_PRI_MANGLE (before anybody's DNAT) are the
 * kernel's (linux/netfilter_bridge.h, linux/netfilter_ipv4.h); -10 is before everybody's filters.
 */
#define FRAMES_PRIORITY "-300"
#define BEFORE_DNAT     "-150"
#define BEFORE_FILTER   "-10"

const char *const rh_rules_metadata4[] = {
	"169.254.0.0/16", "100.100.100.200", "168.63.129.16", "192.0.0.192", NULL};
const char *const rh_rules_metadata6[] = {"fe80::/10", "fd00:ec2::254", "fd20:ce::254", NULL};

bool rh_rules_is_table(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n < sizeof(((struct rh_rules *)NULL)->table) && strchr(LETTERS, name[0]) &&
		strspn(name, LETTERS DIGITS "_.-") == n;
}

bool rh_rules_is_interface(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n < IF_NAMESIZE && name[0] != '.' &&
		strspn(name, LETTERS DIGITS "_.-") == n;
}

static const char *address_text(int family, const void *bytes, char buf[INET6_ADDRSTRLEN])
{
	return inet_ntop(family, bytes, buf, INET6_ADDRSTRLEN) ? buf : "::";
}

static void write_resolvers(FILE *out, const struct rh_rules *rules, int family)
{
	char text[INET6_ADDRSTRLEN];
	const char *before = "elements = { ";

	(void)fprintf(out, "\tset resolvers%d {\n\t\ttype ipv%d_addr\n", family == AF_INET ? 4 : 6,
		family == AF_INET ? 4 : 6);
	for (size_t i = 0; i < rules->n_resolvers; i++) {
		const struct rh_rules_address *at = &rules->resolvers[i];

		if (at->family != family)
			continue;
		(void)fprintf(out, "%s%s", before[0] == 'e' ? "\t\telements = { " : ", ",
			address_text(family, at->bytes, text));
		before = ", ";
	}
	(void)fprintf(out, "%s\t}\n", before[0] == 'e' ? "" : " }\n");
}

static void write_metadata(FILE *out, int version, const char *const *places)
{
	(void)fprintf(out,
		"\tset metadata%d {\n\t\ttype ipv%d_addr\n\t\tflags interval\n"
		"\t\telements = { %s",
		version, version, *places++);
	for (; *places; places++)
		(void)fprintf(out, ", %s", *places);
	(void)fputs(" }\n\t}\n", out);
}

static void write_sets(FILE *out, const struct rh_rules *rules)
{
	write_resolvers(out, rules, AF_INET);
	write_resolvers(out, rules, AF_INET6);
	write_metadata(out, 4, rh_rules_metadata4);
	write_metadata(out, 6, rh_rules_metadata6);
	(void)fputs(/* Of each container so many messages, whatever it sends. */
		"\tset pace4 {\n\t\ttype ipv4_addr\n\t\tsize 4096\n\t\tflags dynamic\n"
		"\t\ttimeout 1m\n\t}\n"
		"\tset pace6 {\n\t\ttype ipv6_addr\n\t\tsize 4096\n\t\tflags dynamic\n"
		"\t\ttimeout 1m\n\t}\n"
		"\tset asking4 {\n\t\ttype ipv4_addr\n\t}\n"
		"\tset asking6 {\n\t\ttype ipv6_addr\n\t}\n"
		"\tset lookups4 {\n\t\ttype ipv4_addr\n\t\tsize 4096\n\t\tflags dynamic\n"
		"\t\ttimeout 1m\n\t}\n"
		"\tmap policy4 {\n\t\ttype ipv4_addr : verdict\n\t}\n"
		"\tmap policy6 {\n\t\ttype ipv6_addr : verdict\n\t}\n",
		out);
}

static void write_log(FILE *out, const struct rh_rules *rules, const char *prefix)
{
	for (int version = 4; version <= 6; version += 2)
		(void)fprintf(out,
			"\t\tmeta nfproto ipv%d update @pace%d { %s saddr limit rate 20/second "
			"burst 40 packets } log prefix \"%s\" group %u snaplen 128\n",
			version, version, version == 4 ? "ip" : "ip6", prefix,
			(unsigned)rules->log_group);
}

/* What is refused is refused at once: whoever waits for a time-out blames the network. */
static void write_verdicts(FILE *out, const struct rh_rules *rules)
{
	(void)fputs("\tchain refuse {\n", out);
	write_log(out, rules, RH_RULES_REFUSED);
	(void)fputs("\t\tmeta l4proto tcp reject with tcp reset\n"
		    "\t\treject with icmpx admin-prohibited\n\t}\n"
		    "\tchain see {\n",
		out);
	write_log(out, rules, RH_RULES_SEEN);
	(void)fputs("\t}\n", out);
}

/* Lookups with us, of who must, and so many of each: more would keep us from other work. */
static void write_lookups(FILE *out, const struct rh_rules *rules)
{
	char gateway[INET6_ADDRSTRLEN];

	(void)fputs("\tchain lookup {\n"
		    "\t\tupdate @lookups4 { ip saddr limit rate over 400/second "
		    "burst 800 packets } drop\n\t\taccept\n\t}\n\tchain lookups {\n",
		out);
	if (rules->gateway.s_addr != 0)
		(void)fprintf(out,
			"\t\tip saddr @asking4 ip daddr %s meta l4proto { tcp, udp } "
			"th dport 53 goto lookup\n",
			address_text(AF_INET, &rules->gateway, gateway));
	(void)fputs("\t}\n", out);
}

/* On the address that was sent, before anybody rewrites it. */
static void write_guard(FILE *out, const struct rh_rules *rules)
{
	const char *resolvers = "\t\tip saddr != @asking4 meta l4proto { tcp, udp } th dport 53 "
				"ip daddr @resolvers4 accept\n"
				"\t\tip6 saddr != @asking6 meta l4proto { tcp, udp } th dport 53 "
				"ip6 daddr @resolvers6 accept\n";
	const char *always = "\t\tct state established ct direction reply accept\n"
			     "\t\ticmpv6 type nd-neighbor-solicit accept\n";

	write_lookups(out, rules);
	(void)fprintf(out, "\tchain guard {\n%s\t\tjump lookups\n%s", always, resolvers);
	if (!rh_weakened("network-metadata"))
		(void)fputs("\t\tip daddr @metadata4 goto refuse\n"
			    "\t\tip6 daddr @metadata6 goto refuse\n",
			out);
	if (!rh_weakened("network-host"))
		(void)fputs("\t\tfib daddr type { local, broadcast, anycast, multicast } "
			    "goto refuse\n",
			out);
	(void)fprintf(out,
		"\t}\n\tchain prerouting {\n"
		"\t\ttype filter hook prerouting priority " BEFORE_DNAT "; policy accept;\n"
		"\t\tiifname \"%s\" jump guard\n\t}\n",
		rules->bridge);
	/* Whatever way it came to be for the host. */
	(void)fprintf(out,
		"\tchain input {\n"
		"\t\ttype filter hook input priority " BEFORE_FILTER "; policy accept;\n"
		"\t\tiifname \"%s\" jump host\n\t}\n\tchain host {\n%s\t\tjump lookups\n%s%s\t}\n",
		rules->bridge, always, resolvers,
		rh_weakened("network-host") ? "" : "\t\tgoto refuse\n");
}

static void write_forward(FILE *out, const struct rh_rules *rules)
{
	(void)fprintf(out,
		"\tchain forward {\n"
		"\t\ttype filter hook forward priority " BEFORE_FILTER "; policy accept;\n"
		"\t\tiifname \"%s\" jump from_job\n"
		"\t\toifname \"%s\" ct state new drop\n\t}\n"
		"\tchain from_job {\n",
		rules->bridge, rules->bridge);
	if (!rh_weakened("network-neighbour"))
		(void)fprintf(out, "\t\toifname \"%s\" goto refuse\n", rules->bridge);
	(void)fprintf(out,
		"\t\tct state established,related accept\n"
		"\t\tip saddr vmap @policy4\n"
		"\t\tip6 saddr vmap @policy6\n"
		"%s\t}\n",
		rh_weakened("network-source") ? "" : "\t\tdrop\n");
}

/* Frames as they leave a container's port. */
static void write_frames(FILE *out, const struct rh_rules *rules)
{
	(void)fprintf(out,
		"table bridge %s {\n"
		"\tset ports {\n\t\ttype ifname\n\t}\n"
		"\tset senders4 {\n\t\ttype ifname . ether_addr . ipv4_addr\n\t}\n"
		"\tset senders6 {\n\t\ttype ifname . ether_addr . ipv6_addr\n\t}\n"
		"\tset claims4 {\n\t\ttype ifname . ether_addr . ether_addr . ipv4_addr\n\t}\n"
		"\tset pace {\n\t\ttype ifname\n\t\tsize 4096\n\t\tflags dynamic\n"
		"\t\ttimeout 1m\n\t}\n"
		"\tchain sender {\n"
		/* Routers and neighbours are what the host says, not what a job says. */
		"\t\ticmpv6 type { nd-router-advert, nd-neighbor-advert, nd-redirect } goto "
		"forged\n"
		"\t\tiifname . ether saddr . ip saddr @senders4 return\n"
		"\t\tiifname . ether saddr . ip6 saddr @senders6 return\n"
		"\t\tiifname . ether saddr . arp saddr ether . arp saddr ip @claims4 return\n"
		"\t\tgoto forged\n\t}\n"
		"\tchain forged {\n"
		"\t\tupdate @pace { iifname limit rate 5/second burst 10 packets } "
		"log prefix \"" RH_RULES_FORGED "\" group %u snaplen 128\n"
		"\t\tdrop\n\t}\n"
		"\tchain prerouting {\n"
		"\t\ttype filter hook prerouting priority " FRAMES_PRIORITY "; policy accept;\n",
		rules->table, (unsigned)rules->log_group);
	if (!rh_weakened("network-source"))
		(void)fputs("\t\tiifname @ports jump sender\n", out);
	(void)fputs("\t}\n\tchain forward {\n"
		    "\t\ttype filter hook forward priority " BEFORE_FILTER "; policy accept;\n",
		out);
	if (!rh_weakened("network-neighbour"))
		(void)fputs("\t\tiifname @ports drop\n\t\toifname @ports drop\n", out);
	(void)fputs("\t}\n}\n", out);
}

/* FNV-1a, 64 bits. */
uint64_t rh_rules_hash(char *const *list)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; list && *list; list++) {
		for (const char *at = *list; at == *list || at[-1]; at++)
			hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
	}
	return hash;
}

static void write_place(FILE *out, const char *table, uint64_t chain, const char *text)
{
	struct rh_egress_place place;
	char address[INET6_ADDRSTRLEN];

	if (rh_egress_parse(text, &place) < 0 || place.name[0])
		return; /* the configuration was checked; what is not understood allows nothing */
	(void)fprintf(out, "add rule inet %s egress-%016" PRIx64, table, chain);
	if (place.family != AF_UNSPEC)
		(void)fprintf(out, " %s daddr %s/%u", place.family == AF_INET ? "ip" : "ip6",
			address_text(place.family, place.address, address), place.prefix);
	if (place.first_port)
		(void)fprintf(out, " meta l4proto { tcp, udp } th dport %u-%u",
			(unsigned)place.first_port, (unsigned)place.last_port);
	(void)fputs(" accept\n", out);
}

static void write_policy(FILE *out, const char *table, char *const *egress)
{
	char name[40];
	uint64_t chain = rh_rules_hash(egress);
	enum rh_egress_mode mode = rh_egress_mode(egress);

	(void)fprintf(out,
		"add chain inet %s egress-%016" PRIx64 "\nflush chain inet %s egress-%016" PRIx64
		"\n",
		table, chain, table, chain);
	(void)snprintf(name, sizeof(name), "egress-%016" PRIx64, chain);
	/* Without names it writes nothing. */
	rh_learned_write_policy(out, table, name, egress);
	if (rh_weakened("network-egress"))
		mode = RH_EGRESS_ALLOW;
	if (mode == RH_EGRESS_LIST && !rh_egress_asks(egress)) {
		/* Names must be looked up to be reached: lookups that leave the host pass. */
		for (int version = 4; version <= 6; version += 2)
			(void)fprintf(out,
				"add rule inet %s egress-%016" PRIx64
				" meta l4proto { tcp, udp } th dport 53 %s daddr @resolvers%d "
				"accept\n",
				table, chain, version == 4 ? "ip" : "ip6", version);
	}
	for (; mode == RH_EGRESS_LIST && *egress; egress++)
		write_place(out, table, chain, *egress);
	if (mode == RH_EGRESS_AUDIT)
		(void)fprintf(
			out, "add rule inet %s egress-%016" PRIx64 " jump see\n", table, chain);
	(void)fprintf(out, "add rule inet %s egress-%016" PRIx64 " %s\n", table, chain,
		mode == RH_EGRESS_ALLOW || mode == RH_EGRESS_AUDIT ? "accept" : "goto refuse");
}

/* @verb: "add" or "delete". */
static void write_elements(
	FILE *out, const char *verb, const struct rh_rules *rules, const struct rh_rules_port *port)
{
	const uint8_t *m = port->mac;
	uint64_t chain = rh_rules_hash(port->egress);
	char mac[18];
	char ip4[INET6_ADDRSTRLEN];
	const struct in6_addr *ip6s[] = {&port->ip6, &port->link_local};

	(void)snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3],
		m[4], m[5]);
	(void)fprintf(
		out, "%s element bridge %s ports { \"%s\" }\n", verb, rules->table, port->name);
	if (port->ip4.s_addr != 0) {
		(void)address_text(AF_INET, &port->ip4, ip4);
		(void)fprintf(out, "%s element bridge %s senders4 { \"%s\" . %s . %s }\n", verb,
			rules->table, port->name, mac, ip4);
		(void)fprintf(out, "%s element bridge %s claims4 { \"%s\" . %s . %s . %s }\n", verb,
			rules->table, port->name, mac, mac, ip4);
		(void)fprintf(out,
			"%s element inet %s policy4 { %s : goto egress-%016" PRIx64 " }\n", verb,
			rules->table, ip4, chain);
		if (rh_egress_asks(port->egress))
			(void)fprintf(out, "%s element inet %s asking4 { %s }\n", verb,
				rules->table, ip4);
	}
	for (size_t i = 0; i < 2; i++) {
		char ip6[INET6_ADDRSTRLEN];

		if (IN6_IS_ADDR_UNSPECIFIED(ip6s[i]))
			continue;
		(void)address_text(AF_INET6, ip6s[i], ip6);
		(void)fprintf(out, "%s element bridge %s senders6 { \"%s\" . %s . %s }\n", verb,
			rules->table, port->name, mac, ip6);
		if (rh_egress_asks(port->egress))
			(void)fprintf(out, "%s element inet %s asking6 { %s }\n", verb,
				rules->table, ip6);
		if (i == 0)
			(void)fprintf(out,
				"%s element inet %s policy6 { %s : goto egress-%016" PRIx64 " }\n",
				verb, rules->table, ip6, chain);
	}
}

void rh_rules_write_port(FILE *out, const struct rh_rules *rules, const struct rh_rules_port *port)
{
	write_policy(out, rules->table, port->egress);
	write_elements(out, "add", rules, port);
	rh_learned_write(out, rules->table, port, rh_now_ms());
}

void rh_rules_write_gone(FILE *out, const struct rh_rules *rules, const struct rh_rules_port *port)
{
	write_elements(out, "delete", rules, port);
}

void rh_rules_write_none(FILE *out, const struct rh_rules *rules)
{
	/* "add" first: "delete" alone fails where there is none. */
	(void)fprintf(out,
		"add table bridge %s\ndelete table bridge %s\n"
		"add table inet %s\ndelete table inet %s\n",
		rules->table, rules->table, rules->table, rules->table);
}

void rh_rules_write(
	FILE *out, const struct rh_rules *rules, struct rh_rules_port *const *ports, size_t n_ports)
{
	rh_rules_write_none(out, rules);
	write_frames(out, rules);
	(void)fprintf(out, "table inet %s {\n", rules->table);
	write_sets(out, rules);
	write_verdicts(out, rules);
	write_guard(out, rules);
	write_forward(out, rules);
	(void)fputs("}\n", out);
	for (size_t i = 0; i < n_ports; i++)
		rh_rules_write_port(out, rules, ports[i]);
}
