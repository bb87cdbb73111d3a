/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The forwarder on behalf of the containers of a table.
 */

#include "broker/daemon/network/dns/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "broker/daemon/config/egress.h"
#include "broker/daemon/network/dns/book.h"
#include "runnerhub/clock.h"

/* Its own resolvers, if it was given some, or the host's; never ourselves. */
static void find_upstreams(
	const struct rh_names *names, const struct rh_rules_port *port, struct rh_dns_asker *asker)
{
	static struct rh_rules_address own[RH_RULES_UPSTREAMS_MAX]; /* until the next question */
	const struct rh_rules *rules = &names->table->rules;

	asker->upstreams = rules->upstreams;
	asker->n_upstreams = rules->n_upstreams;
	if (!port->dns)
		return;
	asker->upstreams = own;
	asker->n_upstreams = 0;
	for (char **at = port->dns; *at && asker->n_upstreams < RH_RULES_UPSTREAMS_MAX; at++) {
		struct rh_rules_address address = {.family = strchr(*at, ':') ? AF_INET6 : AF_INET};

		if (inet_pton(address.family, *at, address.bytes) == 1 &&
			(address.family != AF_INET ||
				memcmp(address.bytes, &rules->gateway, sizeof(rules->gateway)) !=
					0))
			own[asker->n_upstreams++] = address;
	}
}

static bool who(void *arg, struct in_addr from, struct rh_dns_asker *ret_asker)
{
	const struct rh_names *names = arg;

	for (size_t i = 0; i < names->table->n_ports; i++) {
		const struct rh_table_port *entry = names->table->ports[i];

		if (entry->gone || entry->port->ip4.s_addr != from.s_addr ||
			!rh_egress_asks(entry->port->egress))
			continue;
		ret_asker->instance = entry->port->instance;
		ret_asker->egress = entry->port->egress;
		ret_asker->ip6 = !IN6_IS_ADDR_UNSPECIFIED(&entry->port->ip6);
		find_upstreams(names, entry->port, ret_asker);
		return true;
	}
	return false;
}

static bool may(void *arg, char *const *egress, const char *name)
{
	return rh_book_has_name(egress, name);
}

static int learn(void *arg, const char *instance, const char *name, struct rh_dns_answer *answer)
{
	struct rh_names *names = arg;
	struct rh_table_port *entry = rh_table_find(names->table, instance);

	return entry ? rh_trace(rh_book_learn(names->table, entry->port, name, answer))
		     : rh_origin(-ENOENT);
}

/* FNV-1a, 64 bits. */
static uint64_t hash_of(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return hash;
}

static void refused(void *arg, const char *instance, const struct rh_dns_name *name)
{
	struct rh_names *names = arg;
	struct rh_table_port *entry = rh_table_find(names->table, instance);
	char shown[RH_DNS_SHORT_SIZE];
	char text[RH_DNS_SHORT_SIZE + 64];
	uint64_t hash = 0;

	if (!entry || entry->n_lookups == RH_TABLE_FLOWS_MAX)
		return;
	rh_dns_name_short(name, shown);
	hash = hash_of(shown);
	for (size_t i = 0; i < entry->n_lookups; i++) {
		if (entry->lookups[i] == hash)
			return;
	}
	entry->lookups[entry->n_lookups++] = hash;
	(void)snprintf(text, sizeof(text), "dns %s%s", shown,
		entry->n_lookups == RH_TABLE_FLOWS_MAX ? " (no more names will be told)" : "");
	names->refused(names->arg, instance, text);
}

void rh_names_deinit(struct rh_names *names)
{
	rh_dns_free(names->dns);
	names->dns = NULL;
}

void rh_names_update(struct rh_names *names)
{
	static const struct rh_dns_ops ops = {
		.who = who, .may = may, .learn = learn, .refused = refused};
	int r = 0;

	if (!names->dns)
		r = rh_dns_new(&ops, names, &names->dns);
	if (r < 0)
		(void)rh_err_set(&names->problem, r, "names cannot be looked up: %s", strerror(-r));
	else
		(void)rh_dns_listen(names->dns, names->table->rules.bridge,
			names->table->rules.gateway, &names->problem);
}

int rh_names_check(const struct rh_names *names, char *const *egress, struct rh_err *err)
{
	if (!rh_egress_has_names(egress) || (names->dns && rh_dns_listens(names->dns)))
		return 0;
	return rh_err_set(err, -EADDRNOTAVAIL, "%s",
		names->problem.text[0] ? names->problem.text : "names cannot be looked up yet");
}

int rh_names_fd(const struct rh_names *names)
{
	return names->dns ? rh_dns_fd(names->dns) : -1;
}

int rh_names_wait_ms(const struct rh_names *names)
{
	return names->dns ? rh_dns_wait_ms(names->dns, rh_now_ms()) : -1;
}

void rh_names_turn(struct rh_names *names)
{
	if (names->dns)
		rh_dns_turn(names->dns, rh_now_ms());
}
