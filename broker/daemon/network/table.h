/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The helper's view of the firewall: which containers' ports are in it, and putting that into
 * force. Context: the network helper.
 */

#include "broker/daemon/network/firewall.h"
#include "broker/daemon/network/flow.h"
#include "broker/daemon/network/port.h"
#include "broker/daemon/network/protocol.h"
#include "broker/daemon/network/rules.h"

#define RH_TABLE_PORTS_MAX 4096
#define RH_TABLE_FLOWS_MAX 64 /* told of each container; what comes after is told once */

struct rh_table_port {
	struct rh_rules_port *port;
	bool gone; /* dismissed, but its elements are still there */
	bool guarded; /* by a filter at the port itself */
	size_t n_flows;
	size_t n_lookups; /* of n_lookups names it was told that they were refused */
	uint64_t lookups[RH_TABLE_FLOWS_MAX]; /* hashes of those */
	struct rh_flow flows[RH_TABLE_FLOWS_MAX];
};

struct rh_table {
	struct rh_rules rules;
	bool configured;
	bool in_force; /* as far as we know */
	char wanted[32]; /* network.firewall */
	char dir[4096]; /* of the containers' directories */
	struct rh_table_port *ports[RH_TABLE_PORTS_MAX];
	size_t n_ports;
	size_t n_gone;
	struct rh_firewall firewall;
	int64_t ends_ms; /* the first of what was learned, where it is to be ended; 0: nothing */
	pid_t own_socket; /* as the kernel calls elements_fd */
	bool has_elements_fd;
	int elements_fd;
};

void rh_table_deinit(struct rh_table *table);
/* Sets it all up, taking over the ports that files tell of, or changes what has changed. */
int rh_table_configure(
	struct rh_table *table, const struct rh_network_request *request, struct rh_err *err);
int rh_table_admit(
	struct rh_table *table, const struct rh_network_request *request, struct rh_err *err);
int rh_table_dismiss(
	struct rh_table *table, const struct rh_network_request *request, struct rh_err *err);
/* Puts all of it into force anew. */
int rh_table_restore(struct rh_table *table, struct rh_err *err);
/* Whether it is known to be as it was put; where the kernel tells of changes it is not looked. */
bool rh_table_look(const struct rh_table *table);
/* Whether that has to be looked at. */
bool rh_table_needs_looks(const struct rh_table *table);
/* Where the kernel does not end what containers learned: is some of it to be ended? */
bool rh_table_has_ended(const struct rh_table *table);
/* Takes out what was dismissed. */
void rh_table_tidy(struct rh_table *table);
/* NULL: there is none, or no more. */
struct rh_table_port *rh_table_find(struct rh_table *table, const char *instance);
/* Whose it is, or NULL if that is not known, or if it was told already. */
struct rh_table_port *rh_table_new_flow(struct rh_table *table, const struct rh_flow *flow);
