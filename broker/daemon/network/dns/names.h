/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The forwarder on behalf of the containers of a table. Context: the network helper.
 */

#include "broker/daemon/network/dns/dns.h"
#include "broker/daemon/network/table.h"

struct rh_names {
	struct rh_table *table;
	/* A lookup was refused, told once for names that look alike. */
	void (*refused)(void *arg, const char *instance, const char *text);
	void *arg;
	struct rh_dns *dns; /* NULL: none yet */
	struct rh_err problem; /* why nothing can be looked up, if so */
};

void rh_names_deinit(struct rh_names *names);
/* Serves the bridge that the table is of now; what fails is said in @problem, and tried again at
 * the next call. */
void rh_names_update(struct rh_names *names);
/* Return: 0; -EADDRNOTAVAIL with @err: containers with names in their list cannot be. */
int rh_names_check(const struct rh_names *names, char *const *egress, struct rh_err *err);
int rh_names_fd(const struct rh_names *names);
int rh_names_wait_ms(const struct rh_names *names);
void rh_names_turn(struct rh_names *names);
