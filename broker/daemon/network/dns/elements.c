/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Elements of nftables sets, by netlink (linux/netfilter/nf_tables.h).
 *
 * A change is a batch of three or four messages: its beginning, what is to go, what is to come,
 * its end. It happens as a whole or not at all.
 */

#include "broker/daemon/network/dns/elements.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/daemon/network/netlink.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"

#define ATTRIBUTES_MAX 320
#define NESTED(type)   ((uint16_t)((type) | NLA_F_NESTED))

struct batch {
	size_t size;
	unsigned n_asked; /* that the kernel answers */
	_Alignas(struct nlmsghdr) uint8_t bytes[2048];
};

/* Attributes being written. */
struct list {
	size_t size;
	uint8_t bytes[ATTRIBUTES_MAX];
};

static void put(struct list *list, uint16_t type, const void *data, size_t size)
{
	struct nlattr head = {.nla_type = type, .nla_len = (uint16_t)(sizeof(head) + size)};

	assert(list->size + NLA_ALIGN(head.nla_len) <= sizeof(list->bytes));
	memcpy(list->bytes + list->size, &head, sizeof(head));
	memcpy(list->bytes + list->size + sizeof(head), data, size);
	list->size += NLA_ALIGN(head.nla_len);
}

static void put_list(struct list *list, uint16_t type, const struct list *inner)
{
	put(list, NESTED(type), inner->bytes, inner->size);
}

/* What names a set, in requests of all kinds. */
static void put_set(struct list *list, const char *table, const char *set)
{
	put(list, NFTA_SET_ELEM_LIST_TABLE, table, strlen(table) + 1);
	put(list, NFTA_SET_ELEM_LIST_SET, set, strlen(set) + 1);
}

static void add_message(struct batch *batch, uint16_t type, uint16_t flags, uint16_t subsystem,
	const struct list *list)
{
	struct nfgenmsg family = {.nfgen_family = subsystem ? AF_UNSPEC : NFPROTO_INET,
		.version = NFNETLINK_V0,
		.res_id = htons(subsystem)};
	size_t n = list ? list->size : 0;
	struct nlmsghdr head = {.nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | flags,
		.nlmsg_len = (uint32_t)(sizeof(head) + sizeof(family) + n)};
	uint8_t *at = batch->bytes + batch->size;

	assert(batch->size + NLMSG_ALIGN(head.nlmsg_len) <= sizeof(batch->bytes));
	memcpy(at, &head, sizeof(head));
	memcpy(at + sizeof(head), &family, sizeof(family));
	if (n > 0)
		memcpy(at + sizeof(head) + sizeof(family), list->bytes, n);
	batch->size += NLMSG_ALIGN(head.nlmsg_len);
	batch->n_asked += flags & NLM_F_ACK ? 1 : 0;
}

static void add_element(struct batch *batch, uint16_t type, uint16_t flags, const char *table,
	const char *set, const struct list *element)
{
	struct list elements = {0};
	struct list list = {0};

	put_list(&elements, NFTA_LIST_ELEM, element);
	put_set(&list, table, set);
	put_list(&list, NFTA_SET_ELEM_LIST_ELEMENTS, &elements);
	add_message(
		batch, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags | NLM_F_ACK, 0, &list);
}

static void put_key(struct list *element, const uint8_t *key, size_t size)
{
	struct list data = {0};

	put(&data, NFTA_DATA_VALUE, key, size);
	put_list(element, NFTA_SET_ELEM_KEY, &data);
}

/* The first failure of the batch. */
static int ask(int fd, struct batch *batch)
{
	int r = 0;

	add_message(batch, NFNL_MSG_BATCH_END, 0, NFNL_SUBSYS_NFTABLES, NULL);
	if (send(fd, batch->bytes, batch->size, 0) < 0)
		return rh_origin(-errno);
	while (batch->n_asked > 0) {
		_Alignas(struct nlmsghdr) uint8_t answer[4096];
		ssize_t n = recv(fd, answer, sizeof(answer), 0);
		struct nlmsghdr head;
		const uint8_t *body = NULL;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return rh_origin(-errno);
		for (size_t at = 0;
			(body = rh_netlink_next_message(answer, (size_t)n, &at, &head));) {
			int error = 0;

			if (head.nlmsg_type != NLMSG_ERROR ||
				head.nlmsg_len < sizeof(head) + sizeof(error))
				continue;
			memcpy(&error, body, sizeof(error));
			r = r < 0 ? r : error;
			batch->n_asked -= batch->n_asked > 0 ? 1 : 0;
		}
	}
	return rh_trace(r);
}

static void begin(struct batch *batch)
{
	*batch = (struct batch){0};
	add_message(batch, NFNL_MSG_BATCH_BEGIN, 0, NFNL_SUBSYS_NFTABLES, NULL);
}

int rh_elements_open(pid_t *ret_id)
{
	_cleanup_(rh_closep) int fd = rh_netlink_open(NETLINK_NETFILTER, 0);
	struct sockaddr_nl address = {0};
	socklen_t size = sizeof(address);

	if (fd < 0)
		return rh_trace(fd);
	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return rh_origin(-errno);
	*ret_id = (pid_t)address.nl_pid;
	return rh_steal_fd(&fd);
}

static int put_element(int fd, const char *table, const char *set, const struct list *old,
	const struct list *element)
{
	struct batch batch;

	begin(&batch);
	if (old)
		add_element(&batch, NFT_MSG_DELSETELEM, 0, table, set, old);
	add_element(&batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, table, set, element);
	return rh_trace(ask(fd, &batch));
}

int rh_elements_put(int fd, const char *table, const char *set, const uint8_t *key, size_t size,
	uint64_t timeout_ms)
{
	struct list old = {0};
	struct list element = {0};
	uint32_t halves[2] = {htonl((uint32_t)(timeout_ms >> 32)), htonl((uint32_t)timeout_ms)};
	int r = 0;

	put_key(&old, key, size);
	put_key(&element, key, size);
	put(&element, NFTA_SET_ELEM_TIMEOUT, halves, sizeof(halves));
	r = put_element(fd, table, set, NULL, &element);
	/* One that is there keeps its time: it must be replaced, unless it ended just now. */
	if (r == -EEXIST)
		r = put_element(fd, table, set, &old, &element);
	if (r == -ENOENT)
		r = put_element(fd, table, set, NULL, &element);
	return rh_trace(r);
}

int rh_elements_remove(int fd, const char *table, const char *set, const uint8_t *key, size_t size)
{
	struct list element = {0};
	struct batch batch;
	int r = 0;

	put_key(&element, key, size);
	begin(&batch);
	add_element(&batch, NFT_MSG_DELSETELEM, 0, table, set, &element);
	r = ask(fd, &batch);
	return r == -ENOENT ? 0 : rh_trace(r);
}

struct listing {
	void (*fn)(void *arg, const uint8_t *key, size_t size, uint64_t left_ms);
	void *arg;
};

static void tell_element(const struct rh_netlink_attribute *element, const struct listing *listing)
{
	struct rh_netlink_attribute attribute;
	struct rh_netlink_attribute key = {0};
	uint32_t halves[2] = {0};

	for (size_t at = 0;
		rh_netlink_next_attribute(element->data, element->size, &at, &attribute);) {
		size_t inner = 0;

		if (attribute.type == NFTA_SET_ELEM_EXPIRATION && attribute.size == sizeof(halves))
			memcpy(halves, attribute.data, sizeof(halves));
		else if (attribute.type == NFTA_SET_ELEM_KEY &&
			!rh_netlink_next_attribute(attribute.data, attribute.size, &inner, &key))
			key.size = 0;
	}
	uint64_t left_ms = (uint64_t)ntohl(halves[0]) << 32 | ntohl(halves[1]);

	if (key.size > 0 && key.type == NFTA_DATA_VALUE && left_ms > 0)
		listing->fn(listing->arg, key.data, key.size, left_ms);
}

static void on_set(void *arg, uint16_t type, const uint8_t *data, size_t size)
{
	struct rh_netlink_attribute attribute;
	struct rh_netlink_attribute element;

	if ((type & 0xff) != NFT_MSG_NEWSETELEM)
		return;
	for (size_t at = NLMSG_ALIGN(sizeof(struct nfgenmsg));
		rh_netlink_next_attribute(data, size, &at, &attribute);) {
		if (attribute.type != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		for (size_t inner = 0; rh_netlink_next_attribute(
			     attribute.data, attribute.size, &inner, &element);)
			tell_element(&element, arg);
	}
}

int rh_elements_list(int fd, const char *table, const char *set,
	void (*fn)(void *arg, const uint8_t *key, size_t size, uint64_t left_ms), void *arg)
{
	struct nfgenmsg family = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};
	struct listing listing = {.fn = fn, .arg = arg};
	struct rh_netlink_request request;

	rh_netlink_begin(&request, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM, NLM_F_DUMP,
		&family, sizeof(family));
	rh_netlink_put(&request, NFTA_SET_ELEM_LIST_TABLE, table, strlen(table) + 1);
	rh_netlink_put(&request, NFTA_SET_ELEM_LIST_SET, set, strlen(set) + 1);
	return rh_trace(rh_netlink_ask(fd, &request, on_set, &listing));
}
