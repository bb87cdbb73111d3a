/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A container's port of the bridge: what the engine made, read from the kernel before any job has
 * seen it, and kept in a file for the brokers to come.
 */

#include "broker/daemon/network/rules.h"
#include "runnerhub/err.h"

struct rh_rules_port *rh_port_new(const char *instance);
void rh_port_free(struct rh_rules_port *port);
RH_DEFINE_CLEANUP(struct rh_rules_port *, rh_port_free);

/**
 * rh_port_find() - of the container whose first process is @pid
 * @bridge: that it must be a port of
 *
 * Fills in all but instance and egress, and keeps frames from passing between it and other such
 * ports. Context: the network helper, which is single-threaded: it visits the container's network
 * namespace. Return: 0; -ENODEV: no port there; negative errno with @err.
 */
int rh_port_find(struct rh_rules_port *port, pid_t pid, const char *bridge, struct rh_err *err);

/* An item of egress, or a resolver as RH_NETWORK_DNS and its address. Return: 0; -ENOMEM; -EINVAL.
 */
int rh_port_add_word(struct rh_rules_port *port, const char *word);
/* The file's text, and back. Return: 0; -ENOMEM; -EINVAL. */
int rh_port_write(FILE *out, const struct rh_rules_port *port);
int rh_port_parse(char *text, struct rh_rules_port *port);

/* <dir>/<instance>/network. Return: 0; negative errno. Context: blocks on disk. */
int rh_port_save(const char *dir, const struct rh_rules_port *port);
int rh_port_load(const char *dir, struct rh_rules_port *port);
