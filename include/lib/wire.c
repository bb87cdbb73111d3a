/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The wire: packets of a header and a small body, with descriptors.
 */

#include "runnerhub/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"
#include "runnerhub/utf8.h"

int rh_wire_parse(const void *data, size_t size, struct rh_wire_msg *ret_msg)
{
	struct rh_wire_header header;

	if (size < sizeof(header))
		return rh_origin(-EPROTO);
	memcpy(&header, data, sizeof(header));
	if (header.magic != RH_WIRE_MAGIC)
		return rh_origin(-EPROTO);
	ret_msg->version = header.version;
	if (RH_WIRE_MAJOR(header.version) != RH_WIRE_MAJOR(RH_WIRE_VERSION) ||
		header.version < RH_WIRE_VERSION_OLDEST)
		return rh_origin(-EPROTONOSUPPORT);
	if (header.body_size > RH_WIRE_BODY_MAX || header.body_size != size - sizeof(header))
		return rh_origin(-EPROTO);

	ret_msg->type = header.type;
	ret_msg->body_size = header.body_size;
	memcpy(ret_msg->body, (const uint8_t *)data + sizeof(header), header.body_size);
	ret_msg->body[header.body_size] = '\0';
	return 0;
}

static int send_packet(
	int fd, const struct rh_wire_header *header, const void *body, const int *fds, int n_fds)
{
	size_t body_size = header->body_size;
	struct iovec iov[2] = {
		{.iov_base = (void *)(uintptr_t)header, .iov_len = sizeof(*header)},
		{.iov_base = (void *)(uintptr_t)body, .iov_len = body_size},
	};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int) * RH_WIRE_FDS_MAX)];
	} control = {0};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = body_size > 0 ? 2 : 1};

	if (body_size > RH_WIRE_BODY_MAX || n_fds < 0 || n_fds > RH_WIRE_FDS_MAX)
		return rh_origin(-EMSGSIZE);
	if (n_fds > 0) {
		size_t fds_size = sizeof(int) * (size_t)n_fds;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(fds_size);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(fds_size);
		memcpy(CMSG_DATA(&control.header), fds, fds_size);
	}
	for (;;) {
		if (sendmsg(fd, &msg, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return rh_origin(-errno);
	}
}

int rh_wire_send(int fd, enum rh_wire_type type, const void *body, size_t body_size, const int *fds,
	int n_fds)
{
	const struct rh_wire_header header = {
		.magic = RH_WIRE_MAGIC,
		.version = RH_WIRE_VERSION,
		.type = (uint16_t)type,
		.body_size = body_size > RH_WIRE_BODY_MAX ? UINT32_MAX : (uint32_t)body_size,
	};

	return send_packet(fd, &header, body, fds, n_fds);
}

int rh_wire_refuse(int fd, uint16_t version, const char *line)
{
	const struct rh_wire_header header = {
		.magic = RH_WIRE_MAGIC,
		.version = version,
		.type = RH_WIRE_REFUSED,
		.body_size = (uint32_t)strnlen(line, RH_WIRE_BODY_MAX),
	};

	return send_packet(fd, &header, line, NULL, 0);
}

/* Takes every descriptor out of the control data; more than fit the message are closed. */
static int take_fds(struct msghdr *msg, struct rh_wire_msg *ret_msg)
{
	int r = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;

		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; i < n; i++) {
			int fd = -1;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (ret_msg->n_fds < RH_WIRE_FDS_MAX) {
				ret_msg->fds[ret_msg->n_fds++] = fd;
			} else {
				rh_close(fd);
				r = -EPROTO;
			}
		}
	}
	return r;
}

int rh_wire_recv(int fd, struct rh_wire_msg *ret_msg)
{
	uint8_t packet[sizeof(struct rh_wire_header) + RH_WIRE_BODY_MAX + 1];
	struct iovec iov = {.iov_base = packet, .iov_len = sizeof(packet)};
	/* Room for one more than allowed, so that too many are seen and not just cut. */
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int) * (RH_WIRE_FDS_MAX + 1))];
	} control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);

	/*
	 * A peer that closes while something of ours is unread leaves ECONNRESET, told once and
	 * before the packets that it had sent.
	 */
	while (n < 0 && (errno == EINTR || errno == ECONNRESET))
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	if (n < 0 && errno == EAGAIN)
		return RH_WIRE_E_AGAIN;
	if (n < 0)
		return rh_origin(-errno);
	ret_msg->n_fds = 0;

	int r = take_fds(&msg, ret_msg);

	if (n == 0 && ret_msg->n_fds == 0)
		return RH_WIRE_E_EOF;
	if (r == 0 && (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		r = rh_origin(-EPROTO);
	if (r == 0)
		r = rh_wire_parse(packet, (size_t)n, ret_msg);
	if (r < 0)
		rh_wire_msg_close_fds(ret_msg);
	return rh_trace(r);
}

void rh_wire_msg_close_fds(struct rh_wire_msg *msg)
{
	for (int i = 0; i < msg->n_fds; i++) {
		rh_close(msg->fds[i]);
		msg->fds[i] = -1;
	}
	msg->n_fds = 0;
}

const void *rh_wire_body(const struct rh_wire_msg *msg, size_t size)
{
	if (msg->body_size < size)
		return NULL;
	if (msg->body_size > size && msg->version <= RH_WIRE_VERSION)
		return NULL;
	return msg->body;
}

bool rh_wire_text_valid(const char *text, size_t size, bool allow_escape)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = 0; i < size;) {
		size_t n = rh_utf8_sequence(p + i, size - i);

		if (n == 0)
			return false;
		if (n == 1 && (p[i] < 0x20 || p[i] == 0x7f) && p[i] != '\t' && p[i] != '\n' &&
			!(allow_escape && p[i] == 0x1b))
			return false;
		/* C1 controls, U+0080 to U+009F. */
		if (n == 2 && p[i] == 0xc2 && p[i + 1] < 0xa0)
			return false;
		i += n;
	}
	return true;
}

void rh_wire_text_copy(const char *text, char *buf, size_t size)
{
	size_t left = strlen(text);
	size_t n = 0;

	while (left > 0 && n + 1 < size) {
		size_t length = rh_utf8_sequence((const unsigned char *)text, left);
		bool good = length > 0 && *text != '\n' && *text != '\t' &&
			rh_wire_text_valid(text, length, false);

		if (good && n + length >= size)
			break;
		if (good)
			memcpy(buf + n, text, length);
		else
			buf[n] = '?';
		/* Of what is malformed, one byte. */
		n += good ? length : 1;
		text += length > 0 ? length : 1;
		left -= length > 0 ? length : 1;
	}
	buf[n] = '\0';
}
