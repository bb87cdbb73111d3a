/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The firewall's rules as iptables-restore(8) and ip6tables-restore(8) read them, and what their
 * -save programs say. Pure functions: text from facts, facts from text.
 *
 * In the table "filter", chains of our own, jumped to before everything else. BASE stands for the
 * network's name, or for what is made of it where that is too long:
 *
 *   BASE-fwd      from FORWARD and, where there is one, DOCKER-USER: by address and MAC address
 *                 to the container's own chain; a source that is nobody's gets nowhere
 *   BASE-c…       a container's policy: RETURN is leave to go on to other people's rules
 *   BASE-r…, -s…  refuses, or notes, what a container does, each at a container's own pace
 *   BASE-in       from INPUT: nothing but the resolvers' port
 *   BASE-src      from there: returns what comes from its owner
 *   BASE-no, -bad refuse at once; drop what is forged
 *
 * … stands for the first digits of the container's instance.
 */

#include <stdint.h>
#include <stdio.h>

#include "broker/daemon/network/rules.h"

#define RH_XTABLES_BASE_SIZE  17
#define RH_XTABLES_DIGITS     10 /* of an instance */
#define RH_XTABLES_CHAIN_SIZE 29 /* XT_EXTENSION_MAXNAMELEN */

/* Where ours are jumped to from. */
enum rh_xtables_hook { RH_XTABLES_FORWARD, RH_XTABLES_INPUT, RH_XTABLES_DOCKER, RH_XTABLES_HOOKS };

/* What is there. */
struct rh_xtables_seen {
	char **chains; /* ours */
	size_t n_rules; /* ours */
	uint64_t hash; /* of both */
	bool has[RH_XTABLES_HOOKS];
	unsigned n_jumps[RH_XTABLES_HOOKS];
	bool first[RH_XTABLES_HOOKS]; /* nothing that could decide comes before */
};

void rh_xtables_base(const char *table, char buf[RH_XTABLES_BASE_SIZE]);
/* Whether a chain is one of BASE's. @ret_instance: digits of the container that it belongs to, or
 * "" (may be NULL). */
bool rh_xtables_is_own(const char *base, const char *chain, char ret_instance[11]);

/* @text is changed. Return: 0; -ENOMEM. To be given to rh_xtables_forget() in any case. */
int rh_xtables_parse(char *text, const char *base, struct rh_xtables_seen *ret_seen);
void rh_xtables_forget(struct rh_xtables_seen *seen);
/* Jumped to as it must be from everywhere. */
bool rh_xtables_is_reached(const struct rh_xtables_seen *seen);

/**
 * rh_xtables_write() - all of it anew for one family, in one transaction
 * @seen: what is there: is taken away, or filled anew
 * Return: how many rules our chains will have.
 */
size_t rh_xtables_write(FILE *out, int family, const struct rh_rules *rules,
	struct rh_rules_port *const *ports, size_t n_ports, const struct rh_xtables_seen *seen);
/* Takes all that was @seen away. */
void rh_xtables_write_none(FILE *out, const char *base, const struct rh_xtables_seen *seen);

/* Shared by the two that write. */
void rh_xtables_write_unhook(FILE *out, const char *base, const struct rh_xtables_seen *seen);
extern const char *const rh_xtables_hooks[RH_XTABLES_HOOKS];
const char *rh_xtables_suffix(enum rh_xtables_hook hook); /* of the chain that is jumped to */
