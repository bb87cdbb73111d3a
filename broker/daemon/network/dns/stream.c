/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The forwarder: TCP connections of containers (RFC 7766). One question at a time is read of each;
 * what is sent behind it waits in the kernel.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "broker/daemon/network/dns/dns_private.h"
#include "broker/daemon/network/dns/wire.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"

#define ACCEPTED_AT_ONCE 8

void rh_dns_stream_free(struct rh_dns_stream *stream)
{
	rh_dns_watch_close(&stream->watch);
	free(stream);
}

static void drop(struct rh_dns *dns, struct rh_dns_stream *stream)
{
	for (size_t i = 0; i < dns->n_streams; i++) {
		if (dns->streams[i] == stream) {
			dns->streams[i] = dns->streams[--dns->n_streams];
			break;
		}
	}
	rh_dns_stream_free(stream);
}

/* Return: 0, more is to come; 1, a question is there; negative errno. */
static int read_question(struct rh_dns_stream *stream)
{
	for (;;) {
		bool has_length = stream->n_read >= 2;
		size_t wanted = has_length ? 2U + rh_dns_u16(stream->question) : 2;
		ssize_t n = 0;

		if (wanted > sizeof(stream->question) || (has_length && wanted == 2))
			return rh_origin(-EMSGSIZE);
		if (has_length && stream->n_read == wanted)
			return 1;
		n = recv(stream->watch.fd, stream->question + stream->n_read,
			wanted - stream->n_read, MSG_DONTWAIT);
		if (n <= 0)
			return n < 0 && errno == EAGAIN ? 0 : rh_origin(n < 0 ? -errno : -EPIPE);
		stream->n_read += (size_t)n;
	}
}

static void on_event(struct rh_dns *dns, void *arg, uint32_t events, int64_t now_ms)
{
	struct rh_dns_stream *stream = arg;
	struct rh_dns_client client = {.from = stream->from, .stream = stream->number};
	int r = stream->asks ? -EPIPE : read_question(stream);

	if (r > 0) {
		stream->asks = true;
		stream->deadline_ms = now_ms + RH_DNS_STREAM_IDLE_MS;
		r = rh_dns_watch_change(dns, &stream->watch, 0);
		if (r == 0) {
			rh_dns_take_question(
				dns, stream->question + 2, stream->n_read - 2, &client, now_ms);
			return; /* it may be gone */
		}
	}
	if (r < 0)
		drop(dns, stream);
}

void rh_dns_stream_accept(struct rh_dns *dns, void *arg, uint32_t events, int64_t now_ms)
{
	for (unsigned i = 0; i < ACCEPTED_AT_ONCE; i++) {
		struct rh_dns_stream *stream = NULL;
		struct sockaddr_in from = {0};
		socklen_t length = sizeof(from);
		size_t n_own = 0;
		int fd = accept4(dns->tcp.fd, (struct sockaddr *)&from, &length,
			SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		for (size_t at = 0; at < dns->n_streams; at++)
			n_own += dns->streams[at]->from.sin_addr.s_addr == from.sin_addr.s_addr;
		if (dns->n_streams < RH_DNS_STREAMS_MAX && n_own < RH_DNS_STREAMS_OF_ONE_MAX)
			stream = calloc(1, sizeof(*stream));
		if (!stream) {
			rh_close(fd);
			continue;
		}
		stream->watch = (struct rh_dns_watch){.fd = -1, .fn = on_event, .arg = stream};
		stream->number = ++dns->last_stream;
		stream->from = from;
		stream->deadline_ms = now_ms + RH_DNS_STREAM_IDLE_MS;
		if (rh_dns_watch_open(dns, &stream->watch, fd, EPOLLIN) < 0)
			rh_dns_stream_free(stream);
		else
			dns->streams[dns->n_streams++] = stream;
	}
}

void rh_dns_stream_reply(
	struct rh_dns *dns, uint64_t number, const uint8_t *data, size_t size, int64_t now_ms)
{
	uint8_t buf[2 + RH_DNS_REPLY_MAX];
	struct rh_dns_stream *stream = NULL;

	for (size_t i = 0; i < dns->n_streams && !stream; i++)
		stream = dns->streams[i]->number == number ? dns->streams[i] : NULL;
	if (!stream)
		return;
	if (size > 0 && size <= RH_DNS_REPLY_MAX) {
		(void)rh_dns_put16(buf, 0, (uint16_t)size);
		memcpy(buf + 2, data, size);
		/* Whoever does not read has no room for it, and no use. */
		if (send(stream->watch.fd, buf, size + 2, MSG_DONTWAIT | MSG_NOSIGNAL) ==
				(ssize_t)size + 2 &&
			rh_dns_watch_change(dns, &stream->watch, EPOLLIN) == 0) {
			stream->asks = false;
			stream->n_read = 0;
			stream->deadline_ms = now_ms + RH_DNS_STREAM_IDLE_MS;
			return;
		}
	}
	drop(dns, stream);
}

void rh_dns_streams_expire(struct rh_dns *dns, int64_t now_ms)
{
	for (size_t i = dns->n_streams; i-- > 0;) {
		if (dns->streams[i]->deadline_ms <= now_ms)
			drop(dns, dns->streams[i]);
	}
}
