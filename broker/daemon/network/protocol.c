/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the broker and its network helper say to each other.
 */

#include "broker/daemon/network/protocol.h"

#include <errno.h>
#include <string.h>

#define MAGIC UINT32_C(0x4e574852) /* "RHWN" as it lies in memory */

struct head {
	uint32_t magic;
	uint32_t op;
	uint64_t seq;
};

int rh_network_request_write(
	const struct rh_network_request *request, uint8_t *buf, size_t size, size_t *ret_size)
{
	struct head head = {.magic = MAGIC, .op = request->op, .seq = request->seq};
	size_t at = sizeof(head);

	if (size < at || request->n_words > RH_NETWORK_WORDS_MAX)
		return rh_origin(-E2BIG);
	memcpy(buf, &head, sizeof(head));
	for (size_t i = 0; i < request->n_words; i++) {
		size_t n = strlen(request->words[i]) + 1;

		if (size - at < n)
			return rh_origin(-E2BIG);
		memcpy(buf + at, request->words[i], n);
		at += n;
	}
	*ret_size = at;
	return 0;
}

int rh_network_request_parse(
	const uint8_t *data, size_t size, struct rh_network_request *ret_request)
{
	struct head head;

	if (size < sizeof(head))
		return rh_origin(-EPROTO);
	memcpy(&head, data, sizeof(head));
	if (head.magic != MAGIC || head.op == 0 || head.op >= RH_NETWORK_OPS ||
		(size > sizeof(head) && data[size - 1] != '\0'))
		return rh_origin(-EPROTO);
	ret_request->op = head.op;
	ret_request->seq = head.seq;
	ret_request->n_words = 0;
	for (size_t at = sizeof(head); at < size; at += strlen((const char *)data + at) + 1) {
		if (ret_request->n_words == RH_NETWORK_WORDS_MAX)
			return rh_origin(-EPROTO);
		ret_request->words[ret_request->n_words++] = (const char *)data + at;
	}
	return 0;
}

void rh_network_reply_init(struct rh_network_reply *reply, enum rh_network_reply_kind kind)
{
	*reply = (struct rh_network_reply){.magic = MAGIC, .kind = kind};
}

int rh_network_reply_parse(const uint8_t *data, size_t size, struct rh_network_reply *ret_reply)
{
	struct rh_network_reply reply;

	if (size != sizeof(reply))
		return rh_origin(-EPROTO);
	memcpy(&reply, data, sizeof(reply));
	if (reply.magic != MAGIC || reply.kind == 0 || reply.kind >= RH_NETWORK_REPLIES ||
		reply.r > 0)
		return rh_origin(-EPROTO);
	reply.instance[sizeof(reply.instance) - 1] = '\0';
	reply.text[sizeof(reply.text) - 1] = '\0';
	*ret_reply = reply;
	return 0;
}
