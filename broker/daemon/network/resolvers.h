/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which resolvers containers are given: the engine takes them from resolv.conf(5) or from its own
 * configuration, a profile may name them.
 */

#include "broker/daemon/network/rules.h"

/* Adds the address, once. Return: false if it is none, or loopback, or there is no room. */
bool rh_resolvers_add(struct rh_rules *rules, const char *address);
/* Adds the nameservers of a resolv.conf's text. Pure. */
void rh_resolvers_parse(struct rh_rules *rules, const char *text, size_t size);
/* Adds "dns" of a daemon.json. Pure. */
void rh_resolvers_parse_engine(struct rh_rules *rules, const char *text, size_t size);
/* Adds what this host's files say. Context: the network helper (blocks on disk). */
void rh_resolvers_read(struct rh_rules *rules);
