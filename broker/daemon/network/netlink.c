/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Netlink messages: walking them, asking, listening.
 */

#include "broker/daemon/network/netlink.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "runnerhub/err.h"

#define ANSWER_MAX     32768 /* what the kernel puts into one datagram of a dump (netlink(7)) */
#define WITHIN_SECONDS 2

const uint8_t *rh_netlink_next_message(
	const uint8_t *data, size_t size, size_t *at, struct nlmsghdr *ret_head)
{
	const uint8_t *message = data + *at;

	if (*at > size || size - *at < sizeof(*ret_head))
		return NULL;
	memcpy(ret_head, message, sizeof(*ret_head));
	if (ret_head->nlmsg_len < sizeof(*ret_head) || ret_head->nlmsg_len > size - *at)
		return NULL;
	*at += NLMSG_ALIGN(ret_head->nlmsg_len);
	return message + sizeof(*ret_head);
}

bool rh_netlink_next_attribute(
	const uint8_t *data, size_t size, size_t *at, struct rh_netlink_attribute *ret_attribute)
{
	struct nlattr head;

	if (*at > size || size - *at < sizeof(head))
		return false;
	memcpy(&head, data + *at, sizeof(head));
	if (head.nla_len < sizeof(head) || head.nla_len > size - *at)
		return false;
	*ret_attribute = (struct rh_netlink_attribute){
		.type = head.nla_type & NLA_TYPE_MASK,
		.data = data + *at + sizeof(head),
		.size = head.nla_len - sizeof(head),
	};
	*at += NLA_ALIGN(head.nla_len);
	return true;
}

bool rh_netlink_u32(const struct rh_netlink_attribute *attribute, uint32_t *ret_number)
{
	if (attribute->size != sizeof(*ret_number))
		return false;
	memcpy(ret_number, attribute->data, sizeof(*ret_number));
	return true;
}

void rh_netlink_begin(struct rh_netlink_request *request, uint16_t type, uint16_t flags,
	const void *head, size_t n)
{
	struct nlmsghdr message = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags};

	*request = (struct rh_netlink_request){.size = sizeof(message) + NLMSG_ALIGN(n)};
	assert(request->size <= sizeof(request->bytes));
	memcpy(request->bytes, &message, sizeof(message));
	memcpy(request->bytes + sizeof(message), head, n);
}

void rh_netlink_put(
	struct rh_netlink_request *request, uint16_t type, const void *data, size_t size)
{
	struct nlattr head = {.nla_type = type, .nla_len = (uint16_t)(sizeof(head) + size)};

	assert(request->size + NLA_ALIGN(head.nla_len) <= sizeof(request->bytes));
	memcpy(request->bytes + request->size, &head, sizeof(head));
	memcpy(request->bytes + request->size + sizeof(head), data, size);
	request->size += NLA_ALIGN(head.nla_len);
}

/* Return: 0 to go on; 1 at the end; negative errno. */
static int take_datagram(const uint8_t *data, size_t size,
	void (*fn)(void *arg, uint16_t type, const uint8_t *data, size_t size), void *arg)
{
	struct nlmsghdr head;
	const uint8_t *body = NULL;

	for (size_t at = 0; (body = rh_netlink_next_message(data, size, &at, &head));) {
		size_t n = head.nlmsg_len - sizeof(head);
		int error = 0;

		if (head.nlmsg_type == NLMSG_DONE)
			return 1;
		if (head.nlmsg_type == NLMSG_ERROR) {
			if (n < sizeof(error))
				return rh_origin(-EPROTO);
			memcpy(&error, body, sizeof(error));
			return error < 0 ? rh_origin(error) : 1;
		}
		if (fn)
			fn(arg, head.nlmsg_type, body, n);
	}
	return 0;
}

int rh_netlink_ask(int fd, struct rh_netlink_request *request,
	void (*fn)(void *arg, uint16_t type, const uint8_t *data, size_t size), void *arg)
{
	uint8_t answer[ANSWER_MAX];
	uint32_t length = (uint32_t)request->size;
	int r = 0;

	memcpy(request->bytes + offsetof(struct nlmsghdr, nlmsg_len), &length, sizeof(length));
	if (send(fd, request->bytes, request->size, 0) < 0)
		return rh_origin(-errno);
	while (r == 0) {
		ssize_t n = recv(fd, answer, sizeof(answer), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return rh_origin(-errno);
		r = take_datagram(answer, (size_t)n, fn, arg);
	}
	return r < 0 ? rh_trace(r) : 0;
}

int rh_netlink_open(int protocol, uint32_t groups)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
	struct timeval within = {.tv_sec = WITHIN_SECONDS};
	_cleanup_(rh_closep) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof(within)) < 0)
		return rh_origin(-errno);
	return rh_steal_fd(&fd);
}
