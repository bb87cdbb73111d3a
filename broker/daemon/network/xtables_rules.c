/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The firewall's rules as iptables-restore(8) reads them.
 */

#include <arpa/inet.h>
#include <stdarg.h>
#include <string.h>

#include "broker/daemon/config/egress.h"
#include "broker/daemon/network/dns/learned.h"
#include "broker/daemon/network/xtables.h"
#include "runnerhub/clock.h"
#include "runnerhub/weaken.h"

/* A family's rules being written. */
struct writer {
	FILE *out;
	int family;
	const struct rh_rules *rules;
	char base[RH_XTABLES_BASE_SIZE];
	size_t n_rules;
};

#define PACE        "-m limit --limit 20/second --limit-burst 40"
#define ESTABLISHED "-m conntrack --ctstate ESTABLISHED"

/* -A BASE-CHAIN RULE */
__attribute__((__format__(__printf__, 3, 4))) static void rule(
	struct writer *w, const char *chain, const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(w->out, "-A %s-%s ", w->base, chain);
	va_start(ap, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the line above, lost over files */
	(void)vfprintf(w->out, fmt, ap);
	va_end(ap);
	(void)fputc('\n', w->out);
	w->n_rules++;
}

/* "cINSTANCE" */
static const char *chain_of(char kind, const struct rh_rules_port *port, char buf[12])
{
	(void)snprintf(buf, 12, "%c%.10s", kind, port->instance);
	return buf;
}

static const char *address_text(int family, const void *bytes, char buf[INET6_ADDRSTRLEN])
{
	return inet_ntop(family, bytes, buf, INET6_ADDRSTRLEN) ? buf : "::";
}

/* The i-th address that a container may speak from. Return: false: it has no such. */
static bool source_of(const struct writer *w, const struct rh_rules_port *port, size_t i,
	char buf[INET6_ADDRSTRLEN])
{
	const struct in6_addr *ip6 = i == 0 ? &port->ip6 : &port->link_local;

	if (w->family == AF_INET) {
		(void)address_text(AF_INET, &port->ip4, buf);
		return i == 0 && port->ip4.s_addr != 0;
	}
	(void)address_text(AF_INET6, ip6, buf);
	return !IN6_IS_ADDR_UNSPECIFIED(ip6);
}

static bool is_in_family(const struct writer *w, const struct rh_rules_port *port)
{
	char text[INET6_ADDRSTRLEN];

	return source_of(w, port, 0, text);
}

static const char *mac_match(const struct rh_rules_port *port, char buf[48])
{
	const uint8_t *m = port->mac;

	buf[0] = '\0';
	if (!rh_weakened("network-source"))
		(void)snprintf(buf, 48, "-m mac --mac-source %02x:%02x:%02x:%02x:%02x:%02x ", m[0],
			m[1], m[2], m[3], m[4], m[5]);
	return buf;
}

static void log_rule(struct writer *w, const char *chain, const char *match, const char *prefix)
{
	rule(w, chain, "%s -j NFLOG --nflog-group %u --nflog-prefix %s", match,
		(unsigned)w->rules->log_group, prefix);
}

/* Lookups, as they were sent: whoever answers may be behind somebody's DNAT. */
static void resolver_rules(struct writer *w, const char *chain, const char *then)
{
	static const char *const protocols[] = {"udp", "tcp"};
	char text[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < w->rules->n_resolvers; i++) {
		const struct rh_rules_address *at = &w->rules->resolvers[i];

		for (size_t p = 0; p < 2 && at->family == w->family; p++)
			rule(w, chain, "-p %s -m conntrack --ctorigdst %s --ctorigdstport 53 %s",
				protocols[p], address_text(w->family, at->bytes, text), then);
	}
}

/* What no container may reach, whatever its profile says. */
static void guard_rules(struct writer *w, const char *chain, const char *refuse)
{
	const char *const *metadata =
		w->family == AF_INET ? rh_rules_metadata4 : rh_rules_metadata6;

	for (; *metadata && !rh_weakened("network-metadata"); metadata++)
		rule(w, chain, "-d %s -g %s", *metadata, refuse);
	if (rh_weakened("network-host"))
		return;
	/* The host's address may have been sent to, and another come out of somebody's DNAT. */
	rule(w, chain, "-m conntrack --ctstate DNAT -g %s", refuse);
	rule(w, chain, "-m addrtype --dst-type %s -g %s",
		w->family == AF_INET ? "LOCAL,BROADCAST,ANYCAST,MULTICAST"
				     : "LOCAL,ANYCAST,MULTICAST",
		refuse);
}

/* @to: "-d ADDRESS ", or "". */
static void ports_rules(
	struct writer *w, const char *chain, const char *to, uint16_t first, uint16_t last)
{
	static const char *const protocols[] = {"udp", "tcp"};

	if (!first)
		rule(w, chain, "%s-j RETURN", to);
	for (size_t p = 0; p < 2 && first; p++)
		rule(w, chain, "%s-p %s --dport %u:%u -j RETURN", to, protocols[p], (unsigned)first,
			(unsigned)last);
}

static void place_rules(struct writer *w, const char *chain, const char *text)
{
	struct rh_egress_place place;
	char address[INET6_ADDRSTRLEN];
	char to[INET6_ADDRSTRLEN + 16] = "";

	if (rh_egress_parse(text, &place) < 0 || place.name[0])
		return; /* the configuration was checked; what is not understood allows nothing */
	if (place.family != AF_UNSPEC && place.family != w->family)
		return;
	if (place.family != AF_UNSPEC)
		(void)snprintf(to, sizeof(to), "-d %s/%u ",
			address_text(place.family, place.address, address), place.prefix);
	ports_rules(w, chain, to, place.first_port, place.last_port);
}

/* What names of the list stood for when they were looked up. */
static void learned_rules(struct writer *w, const char *chain, const struct rh_rules_port *port)
{
	int64_t now_ms = rh_now_ms();

	for (size_t i = 0; port->learned && i < port->learned->n; i++) {
		const struct rh_learned_place *at = &port->learned->places[i];
		char address[INET6_ADDRSTRLEN];
		char to[INET6_ADDRSTRLEN + 16];

		if (at->family != w->family || at->until_ms <= now_ms)
			continue;
		(void)snprintf(
			to, sizeof(to), "-d %s ", address_text(at->family, at->address, address));
		ports_rules(w, chain, to, at->first_port, at->last_port);
	}
}

/* A container's own chains. */
static void port_rules(struct writer *w, const struct rh_rules_port *port)
{
	enum rh_egress_mode mode = rh_egress_mode(port->egress);
	char policy[12], refusing[12], noting[12];
	char refuse[RH_XTABLES_CHAIN_SIZE], pass[RH_XTABLES_CHAIN_SIZE + 8];

	(void)chain_of('c', port, policy);
	(void)chain_of('r', port, refusing);
	(void)chain_of('s', port, noting);
	(void)snprintf(refuse, sizeof(refuse), "%s-%s", w->base, refusing);
	(void)snprintf(pass, sizeof(pass), "-j RETURN");
	if (rh_weakened("network-egress"))
		mode = RH_EGRESS_ALLOW;
	if (mode == RH_EGRESS_AUDIT)
		(void)snprintf(pass, sizeof(pass), "-g %s-%s", w->base, noting);
	if (!rh_weakened("network-neighbour"))
		rule(w, policy, "-o %s -g %s", w->rules->bridge, refuse);
	rule(w, policy, ESTABLISHED " --ctdir REPLY -j RETURN");
	if (mode != RH_EGRESS_DENY && !rh_egress_asks(port->egress))
		resolver_rules(w, policy, pass);
	guard_rules(w, policy, refuse);
	rule(w, policy, "-m conntrack --ctstate ESTABLISHED,RELATED -j RETURN");
	for (char **at = port->egress; mode == RH_EGRESS_LIST && *at; at++)
		place_rules(w, policy, *at);
	if (mode == RH_EGRESS_LIST)
		learned_rules(w, policy, port);
	if (mode == RH_EGRESS_ALLOW || mode == RH_EGRESS_AUDIT)
		rule(w, policy, "%s", pass);
	else
		rule(w, policy, "-g %s", refuse);
	if (mode == RH_EGRESS_AUDIT)
		log_rule(w, noting, "-m conntrack ! --ctstate ESTABLISHED " PACE, RH_RULES_SEEN);
	log_rule(w, refusing, PACE, RH_RULES_REFUSED);
	rule(w, refusing, "-g %s-no", w->base);
}

static void forward_rules(struct writer *w, struct rh_rules_port *const *ports, size_t n_ports)
{
	const char *bridge = w->rules->bridge;

	rule(w, "fwd", "! -i %s -o %s -m conntrack --ctstate NEW -j DROP", bridge, bridge);
	rule(w, "fwd", "! -i %s -j RETURN", bridge);
	for (size_t i = 0; i < n_ports; i++) {
		char source[INET6_ADDRSTRLEN], mac[48], chain[12];

		if (source_of(w, ports[i], 0, source))
			rule(w, "fwd", "-s %s %s-g %s-%s", source, mac_match(ports[i], mac),
				w->base, chain_of('c', ports[i], chain));
	}
	if (!rh_weakened("network-source"))
		rule(w, "fwd", "-g %s-bad", w->base);
}

static void source_rules(struct writer *w, struct rh_rules_port *const *ports, size_t n_ports)
{
	for (size_t i = 0; i < n_ports; i++) {
		char source[INET6_ADDRSTRLEN], mac[48];

		for (size_t k = 0; k < 2; k++) {
			if (source_of(w, ports[i], k, source))
				rule(w, "src", "-s %s %s-j RETURN", source,
					mac_match(ports[i], mac));
		}
	}
	rule(w, "src", "-g %s-bad", w->base);
}

/* Who must ask us for names reaches our port 53 at the gateway, and no resolver of the host's. */
static void asking_rules(struct writer *w, struct rh_rules_port *const *ports, size_t n_ports)
{
	static const char *const protocols[] = {"udp", "tcp"};
	char gateway[INET6_ADDRSTRLEN];

	(void)address_text(AF_INET, &w->rules->gateway, gateway);
	for (size_t i = 0; i < n_ports; i++) {
		char source[INET6_ADDRSTRLEN], chain[12];

		if (!rh_egress_asks(ports[i]->egress) || !source_of(w, ports[i], 0, source))
			continue;
		for (size_t p = 0; p < 2 && w->family == AF_INET && w->rules->gateway.s_addr; p++)
			rule(w, "in",
				"-s %s -d %s -p %s --dport 53 -m limit --limit 400/second "
				"--limit-burst 800 -j RETURN",
				source, gateway, protocols[p]);
		for (size_t p = 0; p < 2; p++)
			rule(w, "in", "-s %s -p %s --dport 53 -g %s-%s", source, protocols[p],
				w->base, chain_of('r', ports[i], chain));
	}
}

static void input_rules(struct writer *w, struct rh_rules_port *const *ports, size_t n_ports)
{
	rule(w, "in", "! -i %s -j RETURN", w->rules->bridge);
	if (!rh_weakened("network-source"))
		rule(w, "in", "-j %s-src", w->base);
	rule(w, "in", ESTABLISHED " --ctdir REPLY -j RETURN");
	if (w->family == AF_INET6) /* neighbour solicitation (RFC 4861) */
		rule(w, "in", "-p ipv6-icmp --icmpv6-type 135 -j RETURN");
	asking_rules(w, ports, n_ports);
	resolver_rules(w, "in", "-j RETURN");
	if (rh_weakened("network-host"))
		return;
	for (size_t i = 0; i < n_ports; i++) {
		char source[INET6_ADDRSTRLEN], chain[12];

		for (size_t k = 0; k < 2 && is_in_family(w, ports[i]); k++) {
			if (source_of(w, ports[i], k, source))
				rule(w, "in", "-s %s -g %s-%s", source, w->base,
					chain_of('r', ports[i], chain));
		}
	}
	rule(w, "in", "-g %s-no", w->base);
}

static void verdict_rules(struct writer *w)
{
	rule(w, "no", "-p tcp -j REJECT --reject-with tcp-reset");
	rule(w, "no", "-j REJECT --reject-with %s",
		w->family == AF_INET ? "icmp-admin-prohibited" : "icmp6-adm-prohibited");
	log_rule(w, "bad", "-m limit --limit 5/second --limit-burst 10", RH_RULES_FORGED);
	rule(w, "bad", "-j DROP");
}

/* Declaring a chain makes it, or empties it. */
static void declare(struct writer *w, struct rh_rules_port *const *ports, size_t n_ports)
{
	static const char *const fixed[] = {"fwd", "in", "src", "no", "bad"};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		(void)fprintf(w->out, ":%s-%s - [0:0]\n", w->base, fixed[i]);
	for (size_t i = 0; i < n_ports; i++) {
		for (const char *kind = "crs"; *kind && is_in_family(w, ports[i]); kind++) {
			char chain[12];

			(void)fprintf(w->out, ":%s-%s - [0:0]\n", w->base,
				chain_of(*kind, ports[i], chain));
		}
	}
}

static bool is_needed(const struct writer *w, const char *instance,
	struct rh_rules_port *const *ports, size_t n_ports)
{
	if (!*instance)
		return true;
	for (size_t i = 0; i < n_ports; i++) {
		if (strncmp(ports[i]->instance, instance, strlen(instance)) == 0)
			return is_in_family(w, ports[i]);
	}
	return false;
}

/* @verb: ":" empties, "-X" takes away what no port needs. */
static void for_others(const struct writer *w, const char *before, const char *after,
	struct rh_rules_port *const *ports, size_t n_ports, const struct rh_xtables_seen *seen)
{
	char instance[11];

	for (char **at = seen->chains; at && *at; at++) {
		if (rh_xtables_is_own(w->base, *at, instance) &&
			!is_needed(w, instance, ports, n_ports))
			(void)fprintf(w->out, "%s%s%s\n", before, *at, after);
	}
}

void rh_xtables_write_unhook(FILE *out, const char *base, const struct rh_xtables_seen *seen)
{
	for (size_t i = 0; i < RH_XTABLES_HOOKS; i++) {
		for (unsigned n = 0; n < seen->n_jumps[i]; n++)
			(void)fprintf(out, "-D %s -j %s%s\n", rh_xtables_hooks[i], base,
				rh_xtables_suffix(i));
	}
}

size_t rh_xtables_write(FILE *out, int family, const struct rh_rules *rules,
	struct rh_rules_port *const *ports, size_t n_ports, const struct rh_xtables_seen *seen)
{
	struct writer w = {.out = out, .family = family, .rules = rules};

	rh_xtables_base(rules->table, w.base);
	(void)fputs("*filter\n", out);
	declare(&w, ports, n_ports);
	for_others(&w, ":", " - [0:0]", ports, n_ports, seen);
	rh_xtables_write_unhook(out, w.base, seen);
	for (size_t i = 0; i < RH_XTABLES_HOOKS; i++) {
		if (i != RH_XTABLES_DOCKER || seen->has[i])
			(void)fprintf(out, "-I %s 1 -j %s%s\n", rh_xtables_hooks[i], w.base,
				rh_xtables_suffix(i));
	}
	forward_rules(&w, ports, n_ports);
	source_rules(&w, ports, n_ports);
	input_rules(&w, ports, n_ports);
	verdict_rules(&w);
	for (size_t i = 0; i < n_ports; i++) {
		if (is_in_family(&w, ports[i]))
			port_rules(&w, ports[i]);
	}
	for_others(&w, "-X ", "", ports, n_ports, seen);
	(void)fputs("COMMIT\n", out);
	return w.n_rules;
}

void rh_xtables_write_none(FILE *out, const char *base, const struct rh_xtables_seen *seen)
{
	(void)fputs("*filter\n", out);
	for (char **at = seen->chains; at && *at; at++)
		(void)fprintf(out, ":%s - [0:0]\n", *at);
	rh_xtables_write_unhook(out, base, seen);
	for (char **at = seen->chains; at && *at; at++)
		(void)fprintf(out, "-X %s\n", *at);
	(void)fputs("COMMIT\n", out);
}
