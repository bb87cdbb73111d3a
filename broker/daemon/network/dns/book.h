/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What containers have learned, in the table and in the kernel. Context: the network helper.
 */

#include "broker/daemon/network/dns/message.h"
#include "broker/daemon/network/table.h"

/**
 * rh_book_learn() - let a container reach what a name of its list stands for
 * @name:   as in lists of places
 * @answer: its time to live is shortened to what is granted
 *
 * Loopback, link-local and multicast addresses are left out, of the answer too: no name stands for
 * them. The host and others are refused by rules that come before.
 * Return: 0, it is in force; negative errno.
 */
int rh_book_learn(struct rh_table *table, struct rh_rules_port *port, const char *name,
	struct rh_dns_answer *answer);
/* The container is gone: what it learned is out of force. Return: 0; negative errno. */
int rh_book_forget(struct rh_table *table, const struct rh_rules_port *port);
/* When the first of what they learned ends, if the kernel does not end it by itself; 0: never. */
int64_t rh_book_ends_ms(const struct rh_table *table);
/* What the kernel still has of an earlier helper's time. */
void rh_book_recall(struct rh_table *table, struct rh_rules_port *port);
/* Is this a name of its list? */
bool rh_book_has_name(char *const *egress, const char *name);
