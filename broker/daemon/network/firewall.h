/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the rules are put into force with: nftables, or iptables where that cannot be used. Both say
 * the same of every packet (rules.h). Context: the network helper.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/daemon/network/rules.h"
#include "runnerhub/err.h"

struct rh_firewall;

/* What is to be in force. */
struct rh_firewall_view {
	const struct rh_rules *rules;
	struct rh_rules_port *const *ports;
	size_t n_ports;
};

struct rh_firewall_backend {
	const char *name; /* as network.firewall has it */
	/* Can it be used here? Changes nothing. Return: 0; negative errno with @err. */
	int (*probe)(const struct rh_firewall_view *view, struct rh_err *err);
	/* All of it anew, whatever was there: at once, or not at all. Return: likewise. */
	int (*put)(struct rh_firewall *firewall, const struct rh_firewall_view *view,
		struct rh_err *err);
	/* Ports less (@gone), and one more unless NULL. NULL: put() is as cheap. */
	int (*change)(struct rh_firewall *firewall, const struct rh_firewall_view *gone,
		const struct rh_rules_port *added, struct rh_err *err);
	/* Return: whether it is as put() left it. NULL: the kernel tells of each change. */
	bool (*look)(const struct rh_firewall *firewall, const struct rh_rules *rules);
	/* Takes all of it away, if it is there. */
	void (*remove)(const struct rh_rules *rules);
	/* Frames are not for it to judge: the port itself does (frames.h). */
	bool guards_no_frames;
};

struct rh_firewall {
	const struct rh_firewall_backend *backend; /* NULL: not chosen yet */
	bool swept; /* the other ones' rules were taken away */
	pid_t own; /* the last program's */
	uint64_t left[2]; /* iptables: what put() left, for each family */
};

extern const struct rh_firewall_backend rh_firewall_nft; /* nft_backend.c */
extern const struct rh_firewall_backend rh_firewall_iptables; /* xtables.c */
extern const struct rh_firewall_backend rh_firewall_iptables_legacy; /* xtables.c */

/**
 * rh_firewall_choose() - what network.firewall says
 * @wanted: a backend's name, or "auto": the first that can be used
 *
 * Return: 0; -EINVAL: no such; negative errno: none can be used, and why not.
 */
int rh_firewall_choose(struct rh_firewall *firewall, const char *wanted,
	const struct rh_firewall_view *view, struct rh_err *err);
/* backend->put(); after its first success the other backends' rules are taken away. */
int rh_firewall_put(
	struct rh_firewall *firewall, const struct rh_firewall_view *view, struct rh_err *err);
