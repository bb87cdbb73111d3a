/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Addresses that names stood for.
 */

#include "broker/daemon/network/dns/learned.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runnerhub/err.h"

static bool is_named(const char *text, struct rh_egress_place *ret_place)
{
	return rh_egress_parse(text, ret_place) == 0 && ret_place->name[0] != '\0';
}

void rh_learned_each_range(char *const *egress,
	void (*visit)(void *arg, const struct rh_egress_place *place), void *arg)
{
	for (size_t i = 0; egress && egress[i]; i++) {
		struct rh_egress_place place;
		struct rh_egress_place before;
		bool is_new = is_named(egress[i], &place);

		for (size_t j = 0; j < i && is_new; j++)
			is_new = !is_named(egress[j], &before) ||
				before.first_port != place.first_port ||
				before.last_port != place.last_port;
		if (is_new)
			visit(arg, &place);
	}
}

void rh_learned_set_name(char buf[RH_LEARNED_SET_SIZE], char *const *egress, int family,
	uint16_t first_port, uint16_t last_port)
{
	(void)snprintf(buf, RH_LEARNED_SET_SIZE, "names%d-%016" PRIx64 "-%u-%u",
		family == AF_INET ? 4 : 6, rh_rules_hash(egress), (unsigned)first_port,
		(unsigned)last_port);
}

size_t rh_learned_key(
	uint8_t key[32], const struct rh_rules_port *port, int family, const uint8_t *address)
{
	size_t size = family == AF_INET ? 4 : 16;

	if (family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&port->ip6))
		return 0;
	if (family == AF_INET)
		memcpy(key, &port->ip4, size);
	else
		memcpy(key, &port->ip6, size);
	memcpy(key + size, address, size);
	return size * 2;
}

static bool is_same(const struct rh_learned_place *a, const struct rh_learned_place *b)
{
	return a->family == b->family && a->first_port == b->first_port &&
		a->last_port == b->last_port &&
		memcmp(a->address, b->address, a->family == AF_INET ? 4 : 16) == 0;
}

/* Its own place, or a new one, or that of the one that ends first. */
static struct rh_learned_place *place_for(
	struct rh_learned *learned, const struct rh_learned_place *place, int64_t now_ms)
{
	struct rh_learned_place *first = learned->places;

	for (size_t i = 0; i < learned->n; i++) {
		if (is_same(&learned->places[i], place))
			return &learned->places[i];
		if (learned->places[i].until_ms < first->until_ms)
			first = &learned->places[i];
	}
	if (learned->n == RH_LEARNED_MAX || (learned->n > 0 && first->until_ms <= now_ms))
		return first;
	learned->places[learned->n].family = AF_UNSPEC;
	return &learned->places[learned->n++];
}

int rh_learned_add(struct rh_rules_port *port, const struct rh_learned_place *place, int64_t now_ms,
	bool *ret_covered, struct rh_learned_place *ret_lost)
{
	struct rh_learned_place *at = NULL;

	if (!port->learned)
		port->learned = calloc(1, sizeof(*port->learned));
	if (!port->learned)
		return rh_origin(-ENOMEM);
	at = place_for(port->learned, place, now_ms);
	ret_lost->family = AF_UNSPEC;
	*ret_covered = false;
	if (at->family != AF_UNSPEC && is_same(at, place)) {
		*ret_covered = at->until_ms >= place->until_ms;
		if (*ret_covered)
			return 0;
	} else if (at->family != AF_UNSPEC) {
		*ret_lost = *at;
	}
	*at = *place;
	return 0;
}

struct writing {
	FILE *out;
	const char *table;
	const char *chain;
	char *const *egress;
};

static void write_range(void *arg, const struct rh_egress_place *place)
{
	const struct writing *w = arg;

	for (int version = 4; version <= 6; version += 2) {
		char set[RH_LEARNED_SET_SIZE];
		const char *ip = version == 4 ? "ip" : "ip6";

		rh_learned_set_name(set, w->egress, version == 4 ? AF_INET : AF_INET6,
			place->first_port, place->last_port);
		(void)fprintf(w->out,
			"add set inet %s %s { type ipv%d_addr . ipv%d_addr; size 65536; "
			"flags timeout; }\nadd rule inet %s %s",
			w->table, set, version, version, w->table, w->chain);
		if (place->first_port)
			(void)fprintf(w->out, " meta l4proto { tcp, udp } th dport %u-%u",
				(unsigned)place->first_port, (unsigned)place->last_port);
		(void)fprintf(w->out, " %s saddr . %s daddr @%s accept\n", ip, ip, set);
	}
}

void rh_learned_write_policy(FILE *out, const char *table, const char *chain, char *const *egress)
{
	struct writing w = {.out = out, .table = table, .chain = chain, .egress = egress};

	rh_learned_each_range(egress, write_range, &w);
}

void rh_learned_write(
	FILE *out, const char *table, const struct rh_rules_port *port, int64_t now_ms)
{
	for (size_t i = 0; port->learned && i < port->learned->n; i++) {
		const struct rh_learned_place *place = &port->learned->places[i];
		int64_t left_s = (place->until_ms - now_ms) / 1000;
		char set[RH_LEARNED_SET_SIZE];
		char from[INET6_ADDRSTRLEN];
		char to[INET6_ADDRSTRLEN];
		uint8_t key[32];
		size_t size = rh_learned_key(key, port, place->family, place->address) / 2;

		if (left_s < 1 || size == 0 || !inet_ntop(place->family, key, from, sizeof(from)) ||
			!inet_ntop(place->family, key + size, to, sizeof(to)))
			continue;
		rh_learned_set_name(
			set, port->egress, place->family, place->first_port, place->last_port);
		(void)fprintf(out, "add element inet %s %s { %s . %s timeout %llds }\n", table, set,
			from, to, (long long)left_s);
	}
}
