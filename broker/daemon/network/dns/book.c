/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What containers have learned.
 */

#include "broker/daemon/network/dns/book.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "broker/daemon/network/dns/elements.h"
#include "broker/daemon/network/dns/learned.h"
#include "runnerhub/clock.h"
#include "runnerhub/weaken.h"

/* nftables has sets whose elements end by themselves. Elsewhere all rules are written anew. */
static bool has_sets(const struct rh_table *table)
{
	return !table->firewall.backend || table->firewall.backend == &rh_firewall_nft;
}

int64_t rh_book_ends_ms(const struct rh_table *table)
{
	int64_t now_ms = rh_now_ms();
	int64_t first_ms = 0;

	for (size_t i = 0; i < table->n_ports && !has_sets(table); i++) {
		const struct rh_learned *learned = table->ports[i]->port->learned;

		for (size_t k = 0; learned && k < learned->n; k++) {
			int64_t until_ms = learned->places[k].until_ms;

			if (until_ms > now_ms && (first_ms == 0 || until_ms < first_ms))
				first_ms = until_ms;
		}
	}
	return first_ms;
}

static int open_socket(struct rh_table *table)
{
	if (!table->has_elements_fd) {
		int fd = rh_elements_open(&table->own_socket);

		if (fd < 0)
			return rh_trace(fd);
		table->elements_fd = fd;
		table->has_elements_fd = true;
	}
	return 0;
}

static int put(struct rh_table *table, const struct rh_rules_port *port,
	const struct rh_learned_place *place, int64_t timeout_ms)
{
	char set[RH_LEARNED_SET_SIZE];
	uint8_t key[32];
	size_t size = rh_learned_key(key, port, place->family, place->address);

	rh_learned_set_name(set, port->egress, place->family, place->first_port, place->last_port);
	if (size == 0)
		return 0;
	if (timeout_ms > 0)
		return rh_trace(rh_elements_put(table->elements_fd, table->rules.table, set, key,
			size, (uint64_t)timeout_ms));
	return rh_trace(rh_elements_remove(table->elements_fd, table->rules.table, set, key, size));
}

bool rh_book_has_name(char *const *egress, const char *name)
{
	struct rh_egress_place place;

	for (; egress && *egress; egress++) {
		if (rh_egress_parse(*egress, &place) == 0 && rh_egress_has_name(&place, name))
			return true;
	}
	return rh_weakened("network-names");
}

static bool is_public(int family, const uint8_t *a)
{
	struct in6_addr ip6;

	if (family == AF_INET)
		return a[0] != 0 && a[0] != 127 && a[0] < 224 && !(a[0] == 169 && a[1] == 254);
	memcpy(&ip6, a, sizeof(ip6));
	return !IN6_IS_ADDR_UNSPECIFIED(&ip6) && !IN6_IS_ADDR_LOOPBACK(&ip6) &&
		!IN6_IS_ADDR_MULTICAST(&ip6) && !IN6_IS_ADDR_LINKLOCAL(&ip6) &&
		!IN6_IS_ADDR_V4MAPPED(&ip6);
}

static void drop_what_is_not_public(struct rh_dns_answer *answer)
{
	size_t n = 0;

	for (size_t i = 0; i < answer->n; i++) {
		if (is_public(answer->family, answer->addresses[i]))
			memmove(answer->addresses[n++], answer->addresses[i],
				sizeof(answer->addresses[i]));
	}
	answer->n = n;
}

/* One address, with the ports of one place. */
static int learn_place(struct rh_table *table, struct rh_rules_port *port,
	const struct rh_learned_place *place, bool *changed)
{
	int64_t now_ms = rh_now_ms();
	struct rh_learned_place lost;
	bool covered = false;
	int r = rh_learned_add(port, place, now_ms, &covered, &lost);

	*changed = *changed || (r == 0 && !covered);
	if (r < 0 || !has_sets(table))
		return rh_trace(r);
	if (lost.family != AF_UNSPEC && lost.until_ms > now_ms)
		r = put(table, port, &lost, 0);
	if (r < 0 || covered)
		return rh_trace(r);
	return rh_trace(put(table, port, place, place->until_ms - now_ms));
}

int rh_book_learn(struct rh_table *table, struct rh_rules_port *port, const char *name,
	struct rh_dns_answer *answer)
{
	uint32_t granted_s = answer->ttl_s < RH_LEARNED_MIN_S ? RH_LEARNED_MIN_S : answer->ttl_s;
	int64_t until_ms = 0;
	struct rh_err err;
	bool changed = false;
	int r = has_sets(table) ? open_socket(table) : 0;

	if (granted_s > RH_LEARNED_MAX_S)
		granted_s = RH_LEARNED_MAX_S;
	if (answer->ttl_s > granted_s)
		answer->ttl_s = granted_s;
	until_ms = rh_now_ms() + (int64_t)(granted_s + RH_LEARNED_GRACE_S) * 1000;
	drop_what_is_not_public(answer);
	if (!table->in_force)
		return rh_origin(-EAGAIN);
	for (char **at = port->egress; at && *at && r == 0; at++) {
		struct rh_egress_place place;

		if (rh_egress_parse(*at, &place) < 0 || !rh_egress_has_name(&place, name))
			continue;
		for (size_t i = 0; i < answer->n && r == 0; i++) {
			struct rh_learned_place learned = {.family = answer->family,
				.first_port = place.first_port,
				.last_port = place.last_port,
				.until_ms = until_ms};

			memcpy(learned.address, answer->addresses[i], sizeof(learned.address));
			r = learn_place(table, port, &learned, &changed);
		}
	}
	if (r == 0 && changed && !has_sets(table))
		r = rh_table_restore(table, &err);
	return rh_trace(r);
}

int rh_book_forget(struct rh_table *table, const struct rh_rules_port *port)
{
	int r = 0;

	for (size_t i = 0; has_sets(table) && port->learned && i < port->learned->n && r == 0;
		i++) {
		r = open_socket(table);
		if (r == 0)
			r = put(table, port, &port->learned->places[i], 0);
	}
	return rh_trace(r);
}

struct recalling {
	struct rh_rules_port *port;
	int family;
	const struct rh_egress_place *range;
};

static void on_element(void *arg, const uint8_t *key, size_t size, uint64_t left_ms)
{
	const struct recalling *recalling = arg;
	size_t half = recalling->family == AF_INET ? 4 : 16;
	struct rh_learned_place place = {.family = recalling->family,
		.first_port = recalling->range->first_port,
		.last_port = recalling->range->last_port,
		.until_ms = rh_now_ms() + (int64_t)left_ms};
	struct rh_learned_place lost;
	uint8_t own[32];
	bool covered = false;

	if (size != half * 2 || left_ms > (RH_LEARNED_MAX_S + RH_LEARNED_GRACE_S) * UINT64_C(1000))
		return;
	memcpy(place.address, key + half, half);
	if (rh_learned_key(own, recalling->port, place.family, place.address) == size &&
		memcmp(own, key, size) == 0)
		(void)rh_learned_add(recalling->port, &place, rh_now_ms(), &covered, &lost);
}

struct recall {
	struct rh_table *table;
	struct rh_rules_port *port;
};

static void recall_range(void *arg, const struct rh_egress_place *range)
{
	const struct recall *recall = arg;
	const int families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; i < 2; i++) {
		struct recalling recalling = {
			.port = recall->port, .family = families[i], .range = range};
		char set[RH_LEARNED_SET_SIZE];

		rh_learned_set_name(set, recall->port->egress, families[i], range->first_port,
			range->last_port);
		/* Where there is none any more, they are looked up anew. */
		(void)rh_elements_list(recall->table->elements_fd, recall->table->rules.table, set,
			on_element, &recalling);
	}
}

void rh_book_recall(struct rh_table *table, struct rh_rules_port *port)
{
	struct recall recall = {.table = table, .port = port};

	if (rh_egress_has_names(port->egress) && open_socket(table) == 0)
		rh_learned_each_range(port->egress, recall_range, &recall);
}
