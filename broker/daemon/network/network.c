/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The network's firewall: the broker's end of its helper.
 *
 * Requests wait in one queue; the first is with the helper. Nothing else is sent before the whole
 * network is configured, which goes before what waits. A helper that dies or does not answer in
 * time fails what waits and is started anew.
 */

#include "broker/daemon/network/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/daemon/network/network_private.h"
#include "broker/daemon/network/protocol.h"
#include "runnerhub/cleanup.h"

#define END_WITHIN_MS  2000
#define QUEUE_MAX      8192
#define NOT_CONFIGURED "the rules are not in force yet"

static void maybe_closed(struct rh_network *network)
{
	void (*closed)(void *arg) = network->closed;
	void *arg = network->closed_arg;

	if (!network->timer_closed || network->n_links > 0)
		return;
	free(network->name);
	free(network->containers_dir);
	free(network->wanted);
	free(network);
	if (closed)
		closed(arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct rh_network *network = handle->data;

	network->timer_closed = true;
	maybe_closed(network);
}

static void close_timer(struct rh_network *network)
{
	if (!uv_is_closing((uv_handle_t *)&network->timer))
		uv_close((uv_handle_t *)&network->timer, on_timer_closed);
}

void rh_network_on_link_closed(struct rh_network *network)
{
	if (network->closing && network->n_links == 0)
		close_timer(network);
	if (network->timer_closed)
		maybe_closed(network);
}

void rh_network_set_state(struct rh_network *network, int r, const char *text)
{
	bool was_in_force = network->in_force;

	network->in_force = r == 0;
	if (r < 0)
		(void)rh_err_set(&network->problem, r, "%s", text);
	if (r < 0 && was_in_force)
		rh_log_error(network->options.log, "network rules are not in force",
			RH_STR("network", network->name), RH_STR("reason", text));
	if (was_in_force != network->in_force && !network->closing && network->options.on_state)
		network->options.on_state(network->options.arg);
}

/* "nftables 172.18.0.1" */
static void take_words(struct rh_network *network, const char *text)
{
	size_t n = strcspn(text, " ");
	struct in_addr address;

	(void)snprintf(network->firewall, sizeof(network->firewall), "%.*s", (int)n, text);
	text += n + (text[n] == ' ');
	if (inet_pton(AF_INET, text, &address) != 1 || address.s_addr == 0 ||
		!inet_ntop(AF_INET, &address, network->gateway, sizeof(network->gateway)))
		network->gateway[0] = '\0';
}

void rh_network_answer(struct rh_network *network, int r, const struct rh_err *err)
{
	struct rh_network_pending *pending = network->head;

	network->head = pending->next;
	if (!network->head)
		network->tail = &network->head;
	network->n_pending--;
	network->busy = false;
	if (!network->closing)
		(void)uv_timer_stop(&network->timer);
	if (pending->configures) {
		network->configured = r == 0;
		take_words(network, r == 0 ? err->text : "");
		rh_network_set_state(network, r, err->text);
	}
	if (pending->cb)
		pending->cb(pending->arg, r, err);
	/* What waited for it need not wait for the next try. */
	if (pending->configures && r < 0 && !network->closing)
		rh_network_fail_all(network, r, err->text);
	free(pending);
}

void rh_network_fail_all(struct rh_network *network, int r, const char *why)
{
	size_t n = network->n_pending; /* those that come meanwhile are for the next helper */
	struct rh_err err;

	(void)rh_err_set(&err, r, "%s", why);
	while (n-- > 0 && network->head)
		rh_network_answer(network, r, &err);
}

int rh_network_start(const struct rh_network_options *options, struct rh_network **ret_network)
{
	struct rh_network *network = calloc(1, sizeof(*network));

	if (!network)
		return rh_origin(-ENOMEM);
	network->options = *options;
	network->name = strdup(options->name);
	network->containers_dir = strdup(options->containers_dir);
	network->wanted = strdup(options->firewall);
	if (!network->name || !network->containers_dir || !network->wanted) {
		free(network->name);
		free(network->containers_dir);
		free(network->wanted);
		free(network);
		return rh_origin(-ENOMEM);
	}
	network->tail = &network->head;
	(void)rh_err_set(&network->problem, -EAGAIN, "%s", NOT_CONFIGURED);
	(void)uv_timer_init(options->loop, &network->timer);
	network->timer.data = network;
	rh_network_link_start(network);
	*ret_network = network;
	return 0;
}

static void on_end(uv_timer_t *timer)
{
	struct rh_network *network = timer->data;

	if (network->link && uv_is_active((uv_handle_t *)&network->link->process))
		(void)uv_process_kill(&network->link->process, SIGKILL);
}

void rh_network_close(struct rh_network *network, void (*cb)(void *arg), void *arg)
{
	if (network->closing)
		return;
	network->closing = true;
	network->closed = cb;
	network->closed_arg = arg;
	rh_network_fail_all(network, -ECANCELED, "the broker ends");
	if (network->n_links == 0) {
		close_timer(network);
		return;
	}
	(void)uv_timer_start(&network->timer, on_end, END_WITHIN_MS, 0);
	if (network->link)
		rh_network_link_close(network->link, false);
}

/* Configuring goes before what waits, but not before what is with the helper. */
static void enqueue(struct rh_network *network, struct rh_network_pending *pending)
{
	struct rh_network_pending **at = network->tail;

	if (pending->configures)
		at = network->busy ? &network->head->next : &network->head;
	pending->next = *at;
	*at = pending;
	if (!pending->next)
		network->tail = &pending->next;
	network->n_pending++;
}

static int submit(struct rh_network *network, struct rh_network_request *request,
	rh_network_done_fn cb, void *arg)
{
	uint8_t packet[RH_NETWORK_PACKET_MAX];
	struct rh_network_pending *pending = NULL;
	size_t size = 0;
	int r = 0;

	if (network->closing)
		return rh_origin(-ECANCELED);
	if (network->n_pending >= QUEUE_MAX)
		return rh_origin(-ENOBUFS);
	request->seq = ++network->seq;
	r = rh_network_request_write(request, packet, sizeof(packet), &size);
	if (r < 0)
		return rh_trace(r);
	pending = malloc(sizeof(*pending) + size);
	if (!pending)
		return rh_origin(-ENOMEM);
	*pending = (struct rh_network_pending){.seq = request->seq,
		.cb = cb,
		.arg = arg,
		.configures = request->op == RH_NETWORK_CONFIGURE,
		.size = size};
	memcpy(pending->packet, packet, size);
	enqueue(network, pending);
	rh_network_pump(network);
	return 0;
}

static int add_word(struct rh_network_request *request, const char *word)
{
	if (request->n_words == RH_NETWORK_WORDS_MAX)
		return rh_origin(-E2BIG);
	request->words[request->n_words++] = word;
	return 0;
}

int rh_network_configure(struct rh_network *network, const char *bridge,
	const char *const *resolvers, rh_network_done_fn cb, void *arg)
{
	struct rh_network_request request = {.op = RH_NETWORK_CONFIGURE,
		.n_words = 4,
		.words = {network->name, bridge, network->containers_dir, network->wanted}};
	int r = 0;

	for (; resolvers && *resolvers && r == 0; resolvers++)
		r = add_word(&request, *resolvers);
	return r < 0 ? rh_trace(r) : rh_trace(submit(network, &request, cb, arg));
}

int rh_network_admit(struct rh_network *network, const char *instance, pid_t pid,
	char *const *egress, char *const *dns, rh_network_done_fn cb, void *arg)
{
	char resolvers[RH_NETWORK_DNS_MAX][sizeof(RH_NETWORK_DNS) + INET6_ADDRSTRLEN];
	char number[16];
	struct rh_network_request request = {
		.op = RH_NETWORK_ADMIT, .n_words = 2, .words = {instance, number}};
	int r = 0;

	(void)snprintf(number, sizeof(number), "%d", (int)pid);
	for (; egress && *egress && r == 0; egress++)
		r = add_word(&request, *egress);
	for (size_t i = 0; dns && dns[i] && i < RH_NETWORK_DNS_MAX && r == 0; i++) {
		(void)snprintf(resolvers[i], sizeof(resolvers[i]), RH_NETWORK_DNS "%s", dns[i]);
		r = add_word(&request, resolvers[i]);
	}
	return r < 0 ? rh_trace(r) : rh_trace(submit(network, &request, cb, arg));
}

void rh_network_dismiss(struct rh_network *network, const char *instance)
{
	struct rh_network_request request = {
		.op = RH_NETWORK_DISMISS, .n_words = 1, .words = {instance}};

	/* What is not said now, the next link finds out: the port is gone. */
	(void)submit(network, &request, NULL, NULL);
}

const char *rh_network_gateway(const struct rh_network *network)
{
	return network->gateway[0] ? network->gateway : NULL;
}

const char *rh_network_firewall(const struct rh_network *network)
{
	return network->firewall;
}

const char *rh_network_problem(const struct rh_network *network)
{
	return network->in_force ? NULL : network->problem.text;
}
