/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the forwarder's files share: dns.c (questions and replies), lookup.c (resolvers) and
 * stream.c (TCP connections of containers).
 */

#include "broker/daemon/network/dns/dns.h"

/* In the epoll set. */
struct rh_dns_watch {
	int fd; /* -1: not open */
	uint32_t events;
	void (*fn)(struct rh_dns *dns, void *arg, uint32_t events, int64_t now_ms);
	void *arg;
};

/* Where a reply goes. */
struct rh_dns_client {
	struct sockaddr_in from;
	uint64_t stream; /* its number; 0: UDP */
};

struct rh_dns_lookup {
	struct rh_dns_watch watch;
	char instance[RH_ID_TEXT_SIZE];
	char name[RH_DNS_NAME_MAX + 1];
	struct rh_dns_question question;
	struct rh_dns_client client;
	struct rh_rules_address upstreams[RH_RULES_UPSTREAMS_MAX];
	size_t n_upstreams;
	unsigned n_attempts;
	int64_t deadline_ms; /* of this attempt */
	uint16_t id;
	bool by_tcp;
	size_t n_sent; /* by TCP, of the question */
	size_t n_read; /* likewise, of the answer with its length before it */
	uint8_t *answer; /* NULL until it goes by TCP */
};

struct rh_dns_stream {
	struct rh_dns_watch watch;
	uint64_t number;
	struct sockaddr_in from;
	int64_t deadline_ms;
	bool asks; /* its question is being looked up */
	size_t n_read;
	uint8_t question[2 + RH_DNS_QUESTION_MAX];
};

struct rh_dns {
	struct rh_dns_ops ops;
	void *arg;
	int epoll_fd;
	char device[IF_NAMESIZE];
	struct in_addr address;
	struct rh_dns_watch udp;
	struct rh_dns_watch tcp;
	struct rh_dns_lookup *lookups[RH_DNS_LOOKUPS_MAX];
	size_t n_lookups;
	struct rh_dns_stream *streams[RH_DNS_STREAMS_MAX];
	size_t n_streams;
	uint64_t last_stream;
};

/* dns.c */
/* Takes @fd in any case. */
int rh_dns_watch_open(struct rh_dns *dns, struct rh_dns_watch *watch, int fd, uint32_t events);
int rh_dns_watch_change(struct rh_dns *dns, struct rh_dns_watch *watch, uint32_t events);
/* Closes its descriptor, if there is one. */
void rh_dns_watch_close(struct rh_dns_watch *watch);
/* A message from a container. */
void rh_dns_take_question(struct rh_dns *dns, const uint8_t *data, size_t size,
	const struct rh_dns_client *client, int64_t now_ms);
/* @r: 0 with @answer, or negative errno. */
void rh_dns_lookup_done(
	struct rh_dns *dns, struct rh_dns_lookup *lookup, int r, struct rh_dns_answer *answer);

/* lookup.c */
/* Return: 0, and rh_dns_lookup_done() will be called, or was; -ENOBUFS; -ENOMEM. */
int rh_dns_lookup_start(struct rh_dns *dns, const struct rh_dns_asker *asker,
	const struct rh_dns_question *question, const char *name,
	const struct rh_dns_client *client, int64_t now_ms);
void rh_dns_lookups_expire(struct rh_dns *dns, int64_t now_ms);
void rh_dns_lookup_free(struct rh_dns_lookup *lookup);

/* stream.c */
void rh_dns_stream_accept(struct rh_dns *dns, void *arg, uint32_t events, int64_t now_ms);
/* Whoever has gone gets none. @size: 0: there is no reply, and nothing to wait for. */
void rh_dns_stream_reply(
	struct rh_dns *dns, uint64_t number, const uint8_t *data, size_t size, int64_t now_ms);
void rh_dns_streams_expire(struct rh_dns *dns, int64_t now_ms);
void rh_dns_stream_free(struct rh_dns_stream *stream);
