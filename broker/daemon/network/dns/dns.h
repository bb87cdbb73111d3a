/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Lookups of containers that may not look up everything: a forwarder on the bridge's gateway.
 *
 *   question ──▶ whose? ──▶ is the name on its list? ──▶ resolver ──▶ addresses into the rules ──▶
 * reply (nobody's:     (no: "no such name",        (each in       (fails: "server dropped) and that
 * is told)           turn)          failure")
 *
 * Only A and AAAA go on; of every other type a name on the list has no records. It never waits: all
 * descriptors are in one epoll(7) set, whose own descriptor is its owner's to poll. What containers
 * can make it keep is bounded below.
 *
 * Context: one thread, the network helper's. It knows nothing of rules: that is what its operations
 * are for.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/daemon/network/dns/message.h"
#include "broker/daemon/network/rules.h"
#include "runnerhub/err.h"

#define RH_DNS_LOOKUPS_MAX        256 /* with resolvers, of all containers */
#define RH_DNS_LOOKUPS_OF_ONE_MAX 32
#define RH_DNS_STREAMS_MAX        64 /* TCP connections of containers */
#define RH_DNS_STREAMS_OF_ONE_MAX 4
#define RH_DNS_STREAM_IDLE_MS     10000
#define RH_DNS_ATTEMPT_MS         1500 /* a resolver answers within, or the next is asked */
#define RH_DNS_ATTEMPTS_MAX       3 /* an engine's resolver waits 4 s, a libc 5 s */

/* Who asks; borrowed for the time of a call. */
struct rh_dns_asker {
	const char *instance;
	char *const *egress;
	bool ip6; /* it has an IPv6 address */
	const struct rh_rules_address *upstreams;
	size_t n_upstreams;
};

struct rh_dns_ops {
	/* Return: false: nobody who may ask. */
	bool (*who)(void *arg, struct in_addr from, struct rh_dns_asker *ret_asker);
	/* May a container with this list look the name up? */
	bool (*may)(void *arg, char *const *egress, const char *name);
	/* Puts it into force; may shorten it. Return: 0; -ENOENT: it is gone; negative errno. */
	int (*learn)(
		void *arg, const char *instance, const char *name, struct rh_dns_answer *answer);
	void (*refused)(void *arg, const char *instance, const struct rh_dns_name *name);
};

struct rh_dns;

/* Return: 0; -ENOMEM; negative errno of epoll_create1(2). */
int rh_dns_new(const struct rh_dns_ops *ops, void *arg, struct rh_dns **ret_dns);
void rh_dns_free(struct rh_dns *dns);
/**
 * rh_dns_listen() - serve this address, port 53, on this device alone
 *
 * May be called again and again. Return: 0; negative errno with @err, and nothing is served.
 */
int rh_dns_listen(
	struct rh_dns *dns, const char *device, struct in_addr address, struct rh_err *err);
bool rh_dns_listens(const struct rh_dns *dns);
/* To be polled for POLLIN. */
int rh_dns_fd(const struct rh_dns *dns);
/* Return: milliseconds until rh_dns_turn() is due anyway; -1: it is not. */
int rh_dns_wait_ms(const struct rh_dns *dns, int64_t now_ms);
/* Does what there is to do, but not for long. */
void rh_dns_turn(struct rh_dns *dns, int64_t now_ms);
