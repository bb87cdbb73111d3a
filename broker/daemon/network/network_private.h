/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What network.c (requests) and link.c (the helper's process and socket) share. Context: loop
 * thread.
 */

#include <netinet/in.h>

#include "broker/daemon/network/network.h"

struct rh_network_pending {
	struct rh_network_pending *next;
	uint64_t seq;
	rh_network_done_fn cb; /* or NULL */
	void *arg;
	bool configures;
	size_t size;
	uint8_t packet[];
};

/* A helper: freed when its process has ended and its handles are closed. */
struct rh_network_link {
	struct rh_network *network; /* NULL: given up */
	uv_process_t process;
	uv_poll_t poll;
	int fd;
	unsigned n_handles;
};

struct rh_network {
	struct rh_network_options options;
	char *name;
	char *containers_dir;
	char *wanted; /* network.firewall */
	char firewall[32]; /* that the helper uses */
	struct rh_network_link *link; /* to the helper; NULL: none */
	unsigned n_links; /* that still have handles */
	uv_timer_t timer; /* deadline of the first request; or start again; or the end */
	struct rh_network_pending *head;
	struct rh_network_pending **tail;
	size_t n_pending;
	bool busy; /* the first is with the helper */
	uint64_t seq;
	bool configured; /* this helper */
	bool in_force;
	struct rh_err problem;
	char gateway[INET_ADDRSTRLEN]; /* "": not known */
	bool closing;
	bool timer_closed;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* network.c */
/* Answers the first request. */
void rh_network_answer(struct rh_network *network, int r, const struct rh_err *err);
/* Answers all that wait now. */
void rh_network_fail_all(struct rh_network *network, int r, const char *why);
/* @r: 0, the rules are in force; else @text says why not. */
void rh_network_set_state(struct rh_network *network, int r, const char *text);
/* A helper's last handle is closed. */
void rh_network_on_link_closed(struct rh_network *network);

/* link.c */
void rh_network_link_start(struct rh_network *network);
/* Sends the first request, if the helper is free. */
void rh_network_pump(struct rh_network *network);
/* Its process ends with its socket; if not, by force. May be called twice. */
void rh_network_link_close(struct rh_network_link *link, bool kill_it);
