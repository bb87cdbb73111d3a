/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The helper's view of the firewall.
 *
 * A port's file is written before its rules and removed before them: whatever dies in between, the
 * next start finds no rule without a file that it knows of, since it makes the tables anew.
 */

#include "broker/daemon/network/table.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/daemon/config/egress.h"
#include "broker/daemon/config/strv.h"
#include "broker/daemon/network/bridge.h"
#include "broker/daemon/network/dns/book.h"
#include "broker/daemon/network/frames.h"
#include "broker/daemon/network/resolvers.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"
#include "runnerhub/id.h"

static void free_entry(struct rh_table_port *entry)
{
	if (entry)
		rh_port_free(entry->port);
	free(entry);
}

void rh_table_deinit(struct rh_table *table)
{
	for (size_t i = 0; i < table->n_ports; i++)
		free_entry(table->ports[i]);
	table->n_ports = 0;
	if (table->has_elements_fd)
		rh_close(table->elements_fd);
	table->has_elements_fd = false;
}

struct rh_table_port *rh_table_find(struct rh_table *table, const char *instance)
{
	for (size_t i = 0; i < table->n_ports; i++) {
		if (!table->ports[i]->gone &&
			strcmp(table->ports[i]->port->instance, instance) == 0)
			return table->ports[i];
	}
	return NULL;
}

/* Takes @port in any case. */
static int append(struct rh_table *table, struct rh_rules_port *port)
{
	struct rh_table_port *entry = NULL;

	if (table->n_ports < RH_TABLE_PORTS_MAX)
		entry = calloc(1, sizeof(*entry));
	if (!entry) {
		rh_port_free(port);
		return rh_origin(table->n_ports < RH_TABLE_PORTS_MAX ? -ENOMEM : -ENOSPC);
	}
	entry->port = port;
	table->ports[table->n_ports++] = entry;
	return 0;
}

/* Return: 0; negative errno: what one of them learned may still be in force. */
static int drop_gone(struct rh_table *table)
{
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < table->n_ports; i++) {
		if (!table->ports[i]->gone) {
			table->ports[n++] = table->ports[i];
			continue;
		}
		if (r == 0)
			r = rh_book_forget(table, table->ports[i]->port);
		free_entry(table->ports[i]);
	}
	table->n_ports = n;
	table->n_gone = 0;
	return rh_trace(r);
}

static void set_gone(struct rh_table *table, struct rh_table_port *entry)
{
	if (!entry->gone)
		table->n_gone++;
	entry->gone = true;
}

/* Ports that are @gone, or those that are not, into @ports. */
static struct rh_firewall_view view_of(
	const struct rh_table *table, bool gone, struct rh_rules_port **ports)
{
	struct rh_firewall_view view = {.rules = &table->rules, .ports = ports};

	for (size_t i = 0; i < table->n_ports; i++) {
		if (table->ports[i]->gone == gone)
			ports[view.n_ports++] = table->ports[i]->port;
	}
	return view;
}

/* Frames, where the firewall leaves them to the ports. A port that is gone needs nothing more. */
static int guard_ports(struct rh_table *table, struct rh_err *err)
{
	int r = 0;

	for (size_t i = 0; i < table->n_ports && r == 0; i++) {
		struct rh_table_port *entry = table->ports[i];

		if (entry->guarded || !table->firewall.backend->guards_no_frames)
			continue;
		r = rh_frames_guard(entry->port, err);
		entry->guarded = r == 0;
		r = r == -ENODEV ? 0 : r;
	}
	return rh_trace(r);
}

int rh_table_restore(struct rh_table *table, struct rh_err *err)
{
	_cleanup_(rh_freep) struct rh_rules_port **ports = NULL;
	struct rh_firewall_view view;
	int r = 0;

	(void)drop_gone(table); /* the tables are made anew without them */
	ports = calloc(table->n_ports + 1, sizeof(struct rh_rules_port *));
	if (!ports)
		return rh_err_set(err, -ENOMEM, "out of memory");
	view = view_of(table, false, ports);
	r = rh_firewall_choose(&table->firewall, table->wanted, &view, err);
	if (r == 0)
		r = guard_ports(table, err);
	if (r == 0)
		r = rh_firewall_put(&table->firewall, &view, err);
	table->in_force = r == 0;
	table->ends_ms = r == 0 ? rh_book_ends_ms(table) : 0;
	return rh_trace(r);
}

bool rh_table_has_ended(const struct rh_table *table)
{
	return table->ends_ms > 0 && rh_now_ms() >= table->ends_ms;
}

/* What is gone out of what is in force, and @added into it. Return: 0; negative errno: nothing was
 * changed. */
static int change(struct rh_table *table, const struct rh_rules_port *added, struct rh_err *err)
{
	_cleanup_(rh_freep) struct rh_rules_port **ports = NULL;
	struct rh_firewall_view gone;

	if (!table->in_force || !table->firewall.backend->change)
		return rh_err_set(err, -EAGAIN, "all has to be put anew");
	ports = calloc(table->n_ports + 1, sizeof(struct rh_rules_port *));
	if (!ports)
		return rh_err_set(err, -ENOMEM, "out of memory");
	gone = view_of(table, true, ports);
	if (gone.n_ports == 0 && !added)
		return 0;
	return rh_trace(table->firewall.backend->change(&table->firewall, &gone, added, err));
}

bool rh_table_needs_looks(const struct rh_table *table)
{
	return table->configured && table->firewall.backend && table->firewall.backend->look;
}

bool rh_table_look(const struct rh_table *table)
{
	return !rh_table_needs_looks(table) ||
		table->firewall.backend->look(&table->firewall, &table->rules);
}

void rh_table_tidy(struct rh_table *table)
{
	struct rh_err err;

	if (table->n_gone == 0)
		return;
	if (change(table, NULL, &err) < 0 || drop_gone(table) < 0)
		(void)rh_table_restore(table, &err);
}

static void forget_file(const struct rh_table *table, const char *instance)
{
	char path[sizeof(table->dir) + 64];

	(void)snprintf(path, sizeof(path), "%s/%s/network", table->dir, instance);
	(void)unlink(path);
}

/* Ports of an earlier helper, if they are still there. */
static int load(struct rh_table *table)
{
	DIR *dir = opendir(table->dir);
	struct dirent *entry = NULL;
	struct rh_id id;
	int r = 0;

	while (dir && r == 0 && (entry = readdir(dir))) {
		struct rh_rules_port *port = NULL;

		if (rh_id_parse(entry->d_name, &id) < 0 || rh_table_find(table, entry->d_name))
			continue;
		port = rh_port_new(entry->d_name);
		if (!port)
			r = rh_origin(-ENOMEM);
		else if (rh_port_load(table->dir, port) == 0 &&
			if_nametoindex(port->name) == port->index) {
			rh_book_recall(table, port);
			r = append(table, port);
		} else
			rh_port_free(port);
	}
	if (dir)
		(void)closedir(dir);
	return rh_trace(r);
}

static bool is_equal(const struct rh_rules *a, const struct rh_rules *b)
{
	return strcmp(a->table, b->table) == 0 && strcmp(a->bridge, b->bridge) == 0 &&
		a->log_group == b->log_group && a->n_resolvers == b->n_resolvers &&
		memcmp(a->resolvers, b->resolvers, a->n_resolvers * sizeof(a->resolvers[0])) == 0 &&
		a->n_upstreams == b->n_upstreams &&
		memcmp(a->upstreams, b->upstreams, a->n_upstreams * sizeof(a->upstreams[0])) == 0 &&
		a->gateway.s_addr == b->gateway.s_addr;
}

int rh_table_configure(
	struct rh_table *table, const struct rh_network_request *request, struct rh_err *err)
{
	struct rh_rules rules = {.log_group = table->rules.log_group};
	int r = 0;

	if (request->n_words < 4 || !rh_rules_is_table(request->words[0]) ||
		!rh_rules_is_interface(request->words[1]) ||
		strlen(request->words[2]) >= sizeof(table->dir) ||
		strlen(request->words[3]) >= sizeof(table->wanted))
		return rh_err_set(err, -EINVAL, "a network or bridge of that name cannot be used");
	(void)snprintf(rules.table, sizeof(rules.table), "%s", request->words[0]);
	(void)snprintf(rules.bridge, sizeof(rules.bridge), "%s", request->words[1]);
	for (size_t i = 4; i < request->n_words; i++)
		(void)rh_resolvers_add(&rules, request->words[i]);
	rh_resolvers_read(&rules);
	rules.gateway = rh_bridge_address(rules.bridge);
	if (table->in_force && is_equal(&rules, &table->rules))
		return 0;
	table->rules = rules;
	if (!table->configured) {
		(void)snprintf(table->dir, sizeof(table->dir), "%s", request->words[2]);
		(void)snprintf(table->wanted, sizeof(table->wanted), "%s", request->words[3]);
		r = load(table);
		if (r < 0)
			return rh_err_set(err, r, "%s: %s", table->dir, strerror(-r));
		table->configured = true;
	}
	return rh_trace(rh_table_restore(table, err));
}

static int read_request(
	const struct rh_network_request *request, struct rh_rules_port *port, pid_t *ret_pid)
{
	char *end = NULL;
	long pid = strtol(request->words[1], &end, 10);

	if (pid <= 0 || pid > INT32_MAX || *end)
		return rh_origin(-EINVAL);
	for (size_t i = 2; i < request->n_words; i++) {
		int r = rh_port_add_word(port, request->words[i]);

		if (r < 0)
			return rh_trace(r);
	}
	*ret_pid = (pid_t)pid;
	return 0;
}

/* An address that is used again is its new owner's, also before the old one was dismissed. */
static void evict(struct rh_table *table, const struct rh_rules_port *port)
{
	for (size_t i = 0; i < table->n_ports; i++) {
		const struct rh_rules_port *old = table->ports[i]->port;

		if (old->ip4.s_addr == port->ip4.s_addr || strcmp(old->name, port->name) == 0)
			set_gone(table, table->ports[i]);
	}
}

static int put_into_force(struct rh_table *table, struct rh_rules_port *port, struct rh_err *err)
{
	int r = 0;

	evict(table, port);
	r = change(table, port, err);
	if (r == 0)
		r = drop_gone(table);

	int appended = append(table, port);

	if (appended < 0)
		return rh_err_set(err, appended, "%s", strerror(-appended));
	return r < 0 ? rh_trace(rh_table_restore(table, err)) : 0;
}

int rh_table_admit(
	struct rh_table *table, const struct rh_network_request *request, struct rh_err *err)
{
	struct rh_rules_port *port = NULL;
	struct rh_id id;
	pid_t pid = 0;
	int r = 0;

	if (request->n_words < 2 || rh_id_parse(request->words[0], &id) < 0)
		return rh_err_set(err, -EINVAL, "a malformed request");
	if (!table->configured)
		return rh_err_set(err, -EAGAIN, "the rules are not set up yet");
	if (rh_table_find(table, request->words[0]))
		return table->in_force ? 0 : rh_trace(rh_table_restore(table, err));
	port = rh_port_new(request->words[0]);
	if (!port)
		return rh_err_set(err, -ENOMEM, "out of memory");
	r = read_request(request, port, &pid);
	if (r < 0)
		(void)rh_err_set(err, r, "%s", strerror(-r));
	else
		r = rh_port_find(port, pid, table->rules.bridge, err);
	if (r == 0) {
		r = rh_port_save(table->dir, port);
		if (r < 0)
			(void)rh_err_set(err, r, "its record cannot be written: %s", strerror(-r));
	}
	if (r < 0) {
		rh_port_free(port);
		return rh_trace(r);
	}
	return rh_trace(put_into_force(table, port, err));
}

int rh_table_dismiss(
	struct rh_table *table, const struct rh_network_request *request, struct rh_err *err)
{
	struct rh_table_port *entry = NULL;
	struct rh_id id;

	if (request->n_words != 1 || rh_id_parse(request->words[0], &id) < 0)
		return rh_err_set(err, -EINVAL, "a malformed request");
	entry = rh_table_find(table, request->words[0]);
	if (table->configured)
		forget_file(table, request->words[0]);
	if (entry)
		set_gone(table, entry);
	return 0;
}

static bool is_source(const struct rh_rules_port *port, const struct rh_flow *flow)
{
	if (flow->verdict == RH_FLOW_FORGED)
		return flow->port_index == port->index;
	if (flow->family == AF_INET)
		return memcmp(flow->source, &port->ip4, sizeof(port->ip4)) == 0;
	return memcmp(flow->source, &port->ip6, sizeof(port->ip6)) == 0 ||
		memcmp(flow->source, &port->link_local, sizeof(port->link_local)) == 0;
}

static bool is_same(const struct rh_flow *a, const struct rh_flow *b)
{
	return a->verdict == b->verdict && a->family == b->family && a->protocol == b->protocol &&
		a->to_port == b->to_port &&
		memcmp(a->destination, b->destination, sizeof(a->destination)) == 0;
}

struct rh_table_port *rh_table_new_flow(struct rh_table *table, const struct rh_flow *flow)
{
	for (size_t i = 0; i < table->n_ports; i++) {
		struct rh_table_port *entry = table->ports[i];

		if (entry->gone || !is_source(entry->port, flow))
			continue;
		for (size_t at = 0; at < entry->n_flows; at++) {
			if (is_same(&entry->flows[at], flow))
				return NULL;
		}
		if (entry->n_flows == RH_TABLE_FLOWS_MAX)
			return NULL;
		entry->flows[entry->n_flows++] = *flow;
		return entry;
	}
	return NULL;
}
