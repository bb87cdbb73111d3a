/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The network's firewall: what containers of the isolated bridge may reach, and what is noted of
 * it.
 *
 *   starting ──▶ up ◀──▶ down          down: no rules in force that we know of, and why
 *                 helper dies ──▶ down ──▶ (a new helper, after a moment)
 *
 * The rules lie in two nftables tables of our own, named as the network (rules.h), or in chains of
 * iptables (xtables.h), as network.firewall says. They are put into force before a container is
 * handed out, stay when the broker ends, and are put back by the helper when somebody else changes
 * them. Whatever cannot be put into force is an error of the request, and the caller leases nothing
 * (fail closed).
 *
 * Context: loop thread. Callbacks are always asynchronous.
 */

#include <stdbool.h>
#include <uv.h>

#include "broker/daemon/log/log.h"
#include "runnerhub/err.h"

struct rh_network;

struct rh_network_options {
	uv_loop_t *loop;
	struct rh_log *log;
	const char *name; /* of the engine's network; the tables' too; copied */
	const char *containers_dir; /* <state_dir>/containers; copied */
	const char *firewall; /* network.firewall; copied */
	const char *program; /* that is the helper if RH_NETWORK_HELPER_OPTION is given; NULL: this
				one */
	/* The rules went out of force, or are in force again. May be NULL. */
	void (*on_state)(void *arg);
	/* Something was refused, seen or forged: "network.refused", "tcp 192.0.2.7:443". May be
	 * NULL. */
	void (*on_flow)(void *arg, const char *instance, const char *kind, const char *text);
	void *arg;
};

typedef void (*rh_network_done_fn)(void *arg, int r, const struct rh_err *err);

int rh_network_start(const struct rh_network_options *options, struct rh_network **ret_network);
/* Unanswered requests get -ECANCELED before @cb. The rules stay. */
void rh_network_close(struct rh_network *network, void (*cb)(void *arg), void *arg);

/**
 * rh_network_configure() - put the rules of the whole network into force, if they are not
 * @bridge:    interface
 * @resolvers: NULL-terminated; DNS servers beside those that the host's files name; NULL: none
 *
 * May be called again and again: it costs a little look when nothing changed.
 * Return: 0; -ECANCELED: closing; -ENOBUFS; -ENOMEM. Then @cb is not called.
 */
int rh_network_configure(struct rh_network *network, const char *bridge,
	const char *const *resolvers, rh_network_done_fn cb, void *arg);
/*
 * @pid: its first process; @egress, @dns: as in the profile. Once it is in force, always the same.
 * A container with names in its egress fails with -EADDRNOTAVAIL where they cannot be looked up.
 */
int rh_network_admit(struct rh_network *network, const char *instance, pid_t pid,
	char *const *egress, char *const *dns, rh_network_done_fn cb, void *arg);
/* The container is gone. */
void rh_network_dismiss(struct rh_network *network, const char *instance);
/* Where containers look names up if not all of them (rh_egress_asks()); NULL: not known. */
const char *rh_network_gateway(const struct rh_network *network);
/* What they are put into force with: "nftables" …; "" until that is known. */
const char *rh_network_firewall(const struct rh_network *network);
/* Why the rules are not known to be in force, or NULL: they are. */
const char *rh_network_problem(const struct rh_network *network);
