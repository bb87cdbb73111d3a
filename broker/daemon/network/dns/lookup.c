/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The forwarder: its questions to resolvers.
 *
 *   UDP ──▶ answered ──▶ done             UDP, TCP: no answer in time, a failure, no use of it
 *    └─ truncated ──▶ TCP ──▶ done                   ──▶ UDP, of the next resolver; or done
 *
 * Each attempt has a socket of its own, so a port that the kernel draws, connected to the resolver,
 * so that the kernel drops what others send, and a number of its own.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "broker/daemon/network/dns/dns_private.h"
#include "broker/daemon/network/dns/wire.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"

#define PORT          53
#define READS_AT_ONCE 8

void rh_dns_lookup_free(struct rh_dns_lookup *lookup)
{
	rh_dns_watch_close(&lookup->watch);
	free(lookup->answer);
	free(lookup);
}

static void done(
	struct rh_dns *dns, struct rh_dns_lookup *lookup, int r, struct rh_dns_answer *answer)
{
	for (size_t i = 0; i < dns->n_lookups; i++) {
		if (dns->lookups[i] == lookup) {
			dns->lookups[i] = dns->lookups[--dns->n_lookups];
			break;
		}
	}
	rh_dns_lookup_done(dns, lookup, r, answer);
	rh_dns_lookup_free(lookup);
}

/* Return: a connected or connecting socket; negative errno. */
static int connect_to(const struct rh_rules_address *upstream, int type)
{
	struct sockaddr_in ip4 = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	struct sockaddr_in6 ip6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	bool is_ip4 = upstream->family == AF_INET;
	_cleanup_(rh_closep) int fd =
		socket(upstream->family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(&ip4.sin_addr, upstream->bytes, sizeof(ip4.sin_addr));
	memcpy(&ip6.sin6_addr, upstream->bytes, sizeof(ip6.sin6_addr));
	if (fd < 0 ||
		(connect(fd, is_ip4 ? (struct sockaddr *)&ip4 : (struct sockaddr *)&ip6,
			 is_ip4 ? sizeof(ip4) : sizeof(ip6)) < 0 &&
			errno != EINPROGRESS))
		return rh_origin(-errno);
	return rh_steal_fd(&fd);
}

static const struct rh_rules_address *upstream_of(const struct rh_dns_lookup *lookup)
{
	return &lookup->upstreams[(lookup->n_attempts - 1) % lookup->n_upstreams];
}

/* With its length before it, for TCP. */
static size_t write_query(const struct rh_dns_lookup *lookup, uint8_t buf[2 + RH_DNS_QUESTION_MAX])
{
	size_t size = rh_dns_query_write(
		buf + 2, lookup->id, &lookup->question.name, lookup->question.type);

	(void)rh_dns_put16(buf, 0, (uint16_t)size);
	return size;
}

static int start_udp(struct rh_dns *dns, struct rh_dns_lookup *lookup)
{
	uint8_t query[2 + RH_DNS_QUESTION_MAX];
	int fd = -1;
	int r = 0;

	if (getrandom(&lookup->id, sizeof(lookup->id), GRND_NONBLOCK) != sizeof(lookup->id))
		return rh_origin(-EAGAIN);
	lookup->by_tcp = false;
	fd = connect_to(upstream_of(lookup), SOCK_DGRAM);
	if (fd < 0)
		return rh_trace(fd);
	r = rh_dns_watch_open(dns, &lookup->watch, fd, EPOLLIN);
	if (r == 0 && send(fd, query + 2, write_query(lookup, query), MSG_NOSIGNAL) < 0)
		r = -errno;
	return rh_trace(r);
}

static int start_tcp(struct rh_dns *dns, struct rh_dns_lookup *lookup, int64_t now_ms)
{
	int fd = -1;

	rh_dns_watch_close(&lookup->watch);
	lookup->by_tcp = true;
	lookup->n_sent = 0;
	lookup->n_read = 0;
	lookup->deadline_ms = now_ms + RH_DNS_ATTEMPT_MS;
	if (!lookup->answer)
		lookup->answer = malloc(2 + RH_DNS_ANSWER_MAX);
	if (!lookup->answer)
		return rh_origin(-ENOMEM);
	fd = connect_to(upstream_of(lookup), SOCK_STREAM);
	return fd < 0 ? rh_trace(fd)
		      : rh_trace(rh_dns_watch_open(dns, &lookup->watch, fd, EPOLLOUT));
}

static void try_next(struct rh_dns *dns, struct rh_dns_lookup *lookup, int64_t now_ms)
{
	rh_dns_watch_close(&lookup->watch);
	while (lookup->n_upstreams > 0 && lookup->n_attempts < RH_DNS_ATTEMPTS_MAX) {
		lookup->n_attempts++;
		lookup->deadline_ms = now_ms + RH_DNS_ATTEMPT_MS;
		if (start_udp(dns, lookup) == 0)
			return;
		rh_dns_watch_close(&lookup->watch);
	}
	done(dns, lookup, -ETIMEDOUT, NULL);
}

/* Return: whether the socket may have more for this lookup. */
static bool take_answer(struct rh_dns *dns, struct rh_dns_lookup *lookup, const uint8_t *data,
	size_t size, int64_t now_ms)
{
	struct rh_dns_answer answer;
	int r = rh_dns_answer_parse(
		data, size, lookup->id, &lookup->question.name, lookup->question.type, &answer);

	/* What somebody made up in the resolver's name is no end of it. */
	if (r == RH_DNS_E_OTHER && !lookup->by_tcp)
		return true;
	if (r == RH_DNS_E_TRUNCATED && !lookup->by_tcp) {
		if (start_tcp(dns, lookup, now_ms) < 0)
			try_next(dns, lookup, now_ms);
	} else if (r == 0 && (answer.rcode == RH_DNS_NOERROR || answer.rcode == RH_DNS_NXDOMAIN)) {
		done(dns, lookup, 0, &answer);
	} else {
		try_next(dns, lookup, now_ms);
	}
	return false;
}

static void on_udp(struct rh_dns *dns, struct rh_dns_lookup *lookup, int64_t now_ms)
{
	bool more = true;

	for (unsigned i = 0; i < READS_AT_ONCE && more; i++) {
		uint8_t data[RH_DNS_ANSWER_MAX];
		ssize_t n = recv(lookup->watch.fd, data, sizeof(data), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			try_next(dns, lookup, now_ms); /* nobody listens there */
			return;
		}
		more = take_answer(dns, lookup, data, (size_t)n, now_ms);
	}
}

/* Return: 0, more is to come; 1, all of it is there; negative errno. */
static int go_on_tcp(struct rh_dns *dns, struct rh_dns_lookup *lookup, uint32_t events)
{
	uint8_t query[2 + RH_DNS_QUESTION_MAX];
	size_t size = 2 + write_query(lookup, query);
	size_t wanted = 2;
	ssize_t n = 0;

	if (lookup->n_sent < size) {
		n = send(lookup->watch.fd, query + lookup->n_sent, size - lookup->n_sent,
			MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN ? 0 : rh_origin(-errno);
		lookup->n_sent += (size_t)n;
		return lookup->n_sent < size
			? 0
			: rh_trace(rh_dns_watch_change(dns, &lookup->watch, EPOLLIN));
	}
	if (lookup->n_read >= 2)
		wanted += rh_dns_u16(lookup->answer);
	if (wanted > 2 + RH_DNS_ANSWER_MAX)
		return rh_origin(-EMSGSIZE);
	n = recv(lookup->watch.fd, lookup->answer + lookup->n_read, wanted - lookup->n_read,
		MSG_DONTWAIT);
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : rh_origin(n < 0 ? -errno : -EPIPE);
	lookup->n_read += (size_t)n;
	return lookup->n_read > 2 && lookup->n_read == wanted ? 1 : 0;
}

static void on_event(struct rh_dns *dns, void *arg, uint32_t events, int64_t now_ms)
{
	struct rh_dns_lookup *lookup = arg;

	if (!lookup->by_tcp) {
		on_udp(dns, lookup, now_ms);
		return;
	}

	int r = go_on_tcp(dns, lookup, events);

	if (r < 0)
		try_next(dns, lookup, now_ms);
	else if (r > 0)
		(void)take_answer(dns, lookup, lookup->answer + 2, lookup->n_read - 2, now_ms);
}

void rh_dns_lookups_expire(struct rh_dns *dns, int64_t now_ms)
{
	/* From behind: one that is done is replaced by the last. */
	for (size_t i = dns->n_lookups; i-- > 0;) {
		if (dns->lookups[i]->deadline_ms <= now_ms)
			try_next(dns, dns->lookups[i], now_ms);
	}
}

int rh_dns_lookup_start(struct rh_dns *dns, const struct rh_dns_asker *asker,
	const struct rh_dns_question *question, const char *name,
	const struct rh_dns_client *client, int64_t now_ms)
{
	struct rh_dns_lookup *lookup = NULL;
	size_t n_own = 0;

	for (size_t i = 0; i < dns->n_lookups; i++)
		n_own += strcmp(dns->lookups[i]->instance, asker->instance) == 0;
	if (dns->n_lookups == RH_DNS_LOOKUPS_MAX || n_own == RH_DNS_LOOKUPS_OF_ONE_MAX)
		return rh_origin(-ENOBUFS);
	lookup = calloc(1, sizeof(*lookup));
	if (!lookup)
		return rh_origin(-ENOMEM);
	lookup->watch = (struct rh_dns_watch){.fd = -1, .fn = on_event, .arg = lookup};
	(void)snprintf(lookup->instance, sizeof(lookup->instance), "%s", asker->instance);
	(void)snprintf(lookup->name, sizeof(lookup->name), "%s", name);
	lookup->question = *question;
	lookup->client = *client;
	for (size_t i = 0; i < asker->n_upstreams && i < RH_RULES_UPSTREAMS_MAX; i++)
		lookup->upstreams[lookup->n_upstreams++] = asker->upstreams[i];
	dns->lookups[dns->n_lookups++] = lookup;
	try_next(dns, lookup, now_ms);
	return 0;
}
