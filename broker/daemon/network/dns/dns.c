/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The forwarder: its sockets on the gateway, questions and replies.
 */

#include "broker/daemon/network/dns/dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/daemon/network/dns/dns_private.h"
#include "broker/daemon/network/dns/wire.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"

#define PORT            53
#define BACKLOG         16
#define EVENTS_A_TURN   64
#define PACKETS_AT_ONCE 16

int rh_dns_watch_open(struct rh_dns *dns, struct rh_dns_watch *watch, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (epoll_ctl(dns->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		int r = -errno;

		rh_close(fd);
		return rh_origin(r);
	}
	watch->fd = fd;
	watch->events = events;
	return 0;
}

int rh_dns_watch_change(struct rh_dns *dns, struct rh_dns_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (watch->events == events)
		return 0;
	watch->events = events;
	return epoll_ctl(dns->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0 ? rh_origin(-errno)
									      : 0;
}

void rh_dns_watch_close(struct rh_dns_watch *watch)
{
	/* No descriptor of ours is ever in two places, so closing takes it out of the set. */
	if (watch->fd >= 0)
		rh_close(watch->fd);
	watch->fd = -1;
}

static void reply(struct rh_dns *dns, const struct rh_dns_client *client,
	const struct rh_dns_question *question, enum rh_dns_rcode rcode,
	const struct rh_dns_answer *answer)
{
	uint8_t buf[RH_DNS_REPLY_MAX];
	size_t size = rh_dns_reply_write(buf, question, rcode, answer,
		client->stream ? RH_DNS_REPLY_MAX : question->reply_max);

	if (client->stream)
		rh_dns_stream_reply(dns, client->stream, buf, size, rh_now_ms());
	else if (dns->udp.fd >= 0)
		(void)sendto(dns->udp.fd, buf, size, MSG_DONTWAIT | MSG_NOSIGNAL,
			(const struct sockaddr *)&client->from, sizeof(client->from));
}

void rh_dns_lookup_done(
	struct rh_dns *dns, struct rh_dns_lookup *lookup, int r, struct rh_dns_answer *answer)
{
	/* First into force, then told: who is told connects at once. */
	if (r == 0 && answer->n > 0)
		r = dns->ops.learn(dns->arg, lookup->instance, lookup->name, answer);
	if (r < 0)
		reply(dns, &lookup->client, &lookup->question, RH_DNS_SERVFAIL, NULL);
	else
		reply(dns, &lookup->client, &lookup->question, answer->rcode, answer);
}

static bool is_looked_up(const struct rh_dns_question *question, const struct rh_dns_asker *asker)
{
	return question->type == RH_DNS_A || (question->type == RH_DNS_AAAA && asker->ip6);
}

void rh_dns_take_question(struct rh_dns *dns, const uint8_t *data, size_t size,
	const struct rh_dns_client *client, int64_t now_ms)
{
	enum rh_dns_rcode rcode = RH_DNS_SERVFAIL;
	struct rh_dns_question question;
	struct rh_dns_asker asker;
	char name[RH_DNS_NAME_MAX + 1];
	int r = -EPROTO;

	if (dns->ops.who(dns->arg, client->from.sin_addr, &asker))
		r = rh_dns_question_parse(data, size, &question, &rcode);
	if (r == -EPROTO) {
		if (client->stream)
			rh_dns_stream_reply(dns, client->stream, NULL, 0, now_ms);
		return;
	}
	if (r == 0 && question.class != RH_DNS_CLASS_IN)
		rcode = RH_DNS_REFUSED;
	else if (r == 0 &&
		(rh_dns_name_text(&question.name, name) < 0 ||
			!dns->ops.may(dns->arg, asker.egress, name))) {
		dns->ops.refused(dns->arg, asker.instance, &question.name);
		/* Anything else makes many a program try again and again. */
		rcode = RH_DNS_NXDOMAIN;
	} else if (r == 0 && !is_looked_up(&question, &asker))
		rcode = RH_DNS_NOERROR;
	else if (r == 0 && rh_dns_lookup_start(dns, &asker, &question, name, client, now_ms) == 0)
		return;
	reply(dns, client, &question, rcode, NULL);
}

static void on_datagram(struct rh_dns *dns, void *arg, uint32_t events, int64_t now_ms)
{
	for (unsigned i = 0; i < PACKETS_AT_ONCE; i++) {
		uint8_t data[RH_DNS_QUESTION_MAX + 1];
		struct rh_dns_client client = {.stream = 0};
		socklen_t length = sizeof(client.from);
		ssize_t n = recvfrom(dns->udp.fd, data, sizeof(data), MSG_DONTWAIT,
			(struct sockaddr *)&client.from, &length);

		if (n < 0)
			return; /* what is behind an error comes with the next event */
		if (length == sizeof(client.from) && client.from.sin_family == AF_INET)
			rh_dns_take_question(dns, data, (size_t)n, &client, now_ms);
	}
}

static int open_socket(int type, const char *device, struct in_addr address)
{
	struct sockaddr_in name = {
		.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr = address};
	int yes = 1;
	_cleanup_(rh_closep) int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device) + 1) <
			0 ||
		(type == SOCK_STREAM &&
			setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0) ||
		bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ||
		(type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
		return rh_origin(-errno);
	return rh_steal_fd(&fd);
}

static int open_watch(struct rh_dns *dns, struct rh_dns_watch *watch, int type)
{
	int fd = open_socket(type, dns->device, dns->address);

	return fd < 0 ? rh_trace(fd) : rh_trace(rh_dns_watch_open(dns, watch, fd, EPOLLIN));
}

int rh_dns_listen(
	struct rh_dns *dns, const char *device, struct in_addr address, struct rh_err *err)
{
	char text[INET_ADDRSTRLEN] = "";
	int r = address.s_addr != 0 ? 0 : -EADDRNOTAVAIL;

	if (rh_dns_listens(dns) && dns->address.s_addr == address.s_addr &&
		strcmp(dns->device, device) == 0)
		return 0;
	rh_dns_watch_close(&dns->udp);
	rh_dns_watch_close(&dns->tcp);
	dns->address = address;
	(void)snprintf(dns->device, sizeof(dns->device), "%s", device);
	if (r == 0)
		r = open_watch(dns, &dns->udp, SOCK_DGRAM);
	if (r == 0)
		r = open_watch(dns, &dns->tcp, SOCK_STREAM);
	if (r == 0)
		return 0;
	rh_dns_watch_close(&dns->udp);
	(void)inet_ntop(AF_INET, &address, text, sizeof(text));
	return rh_err_set(err, r,
		"names cannot be looked up: port 53 of the bridge's address %s: %s%s", text,
		strerror(-r),
		r == -EADDRINUSE ? " (a resolver on this host must not listen on all addresses)"
				 : "");
}

bool rh_dns_listens(const struct rh_dns *dns)
{
	return dns->udp.fd >= 0 && dns->tcp.fd >= 0;
}

int rh_dns_new(const struct rh_dns_ops *ops, void *arg, struct rh_dns **ret_dns)
{
	struct rh_dns *dns = calloc(1, sizeof(*dns));

	if (!dns)
		return rh_origin(-ENOMEM);
	dns->ops = *ops;
	dns->arg = arg;
	dns->udp = (struct rh_dns_watch){.fd = -1, .fn = on_datagram};
	dns->tcp = (struct rh_dns_watch){.fd = -1, .fn = rh_dns_stream_accept};
	dns->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (dns->epoll_fd < 0) {
		int r = -errno;

		free(dns);
		return rh_origin(r);
	}
	*ret_dns = dns;
	return 0;
}

void rh_dns_free(struct rh_dns *dns)
{
	if (!dns)
		return;
	for (size_t i = 0; i < dns->n_lookups; i++)
		rh_dns_lookup_free(dns->lookups[i]);
	for (size_t i = 0; i < dns->n_streams; i++)
		rh_dns_stream_free(dns->streams[i]);
	rh_dns_watch_close(&dns->udp);
	rh_dns_watch_close(&dns->tcp);
	rh_close(dns->epoll_fd);
	free(dns);
}

int rh_dns_fd(const struct rh_dns *dns)
{
	return dns->epoll_fd;
}

int rh_dns_wait_ms(const struct rh_dns *dns, int64_t now_ms)
{
	int64_t first_ms = INT64_MAX;

	for (size_t i = 0; i < dns->n_lookups; i++)
		first_ms = dns->lookups[i]->deadline_ms < first_ms ? dns->lookups[i]->deadline_ms
								   : first_ms;
	for (size_t i = 0; i < dns->n_streams; i++)
		first_ms = dns->streams[i]->deadline_ms < first_ms ? dns->streams[i]->deadline_ms
								   : first_ms;
	if (first_ms == INT64_MAX)
		return -1;
	return first_ms > now_ms ? (int)(first_ms - now_ms) : 0;
}

void rh_dns_turn(struct rh_dns *dns, int64_t now_ms)
{
	/* One event at a time: what it ends may be what the next one is about. */
	for (unsigned i = 0; i < EVENTS_A_TURN; i++) {
		struct epoll_event event;
		struct rh_dns_watch *watch = NULL;

		if (epoll_wait(dns->epoll_fd, &event, 1, 0) != 1)
			break;
		watch = event.data.ptr;
		watch->fn(dns, watch->arg, event.events, now_ms);
	}
	rh_dns_lookups_expire(dns, now_ms);
	rh_dns_streams_expire(dns, now_ms);
}
