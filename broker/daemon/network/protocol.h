/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the broker and its network helper say to each other: one packet a request, one DONE for
 * each, and what the helper has to tell in between. Both ends check everything they get.
 */

#include <stddef.h>
#include <stdint.h>

#include "runnerhub/err.h"
#include "runnerhub/id.h"

#define RH_NETWORK_PACKET_MAX 98304
#define RH_NETWORK_WORDS_MAX  320 /* of a request: RH_OPTION_LIST_MAX and a few */

#define RH_NETWORK_DNS     "dns=" /* before a resolver */
#define RH_NETWORK_DNS_MAX 3 /* as many as resolv.conf(5) has */

enum rh_network_op {
	RH_NETWORK_CONFIGURE = 1, /* table, bridge, directory of the containers, firewall,
				   resolver …; is answered with firewall and gateway */
	RH_NETWORK_ADMIT, /* instance, pid, item of egress or resolver … */
	RH_NETWORK_DISMISS, /* instance */
	RH_NETWORK_OPS,
};

struct rh_network_request {
	enum rh_network_op op;
	uint64_t seq;
	size_t n_words;
	const char *words[RH_NETWORK_WORDS_MAX];
};

enum rh_network_reply_kind {
	RH_NETWORK_DONE = 1, /* of the request with this number */
	RH_NETWORK_STATE, /* r: 0, the rules are in force (again); negative: they are not */
	RH_NETWORK_FLOW, /* something was seen of this instance: text */
	RH_NETWORK_REPLIES,
};

struct rh_network_reply {
	uint32_t magic;
	uint32_t kind;
	uint64_t seq;
	int32_t r;
	char instance[RH_ID_TEXT_SIZE];
	char text[sizeof(((struct rh_err *)NULL)->text)];
};

/**
 * rh_network_request_write() - a request as a packet
 * @ret_size: its size
 * Return: 0; -E2BIG.
 */
int rh_network_request_write(
	const struct rh_network_request *request, uint8_t *buf, size_t size, size_t *ret_size);
/* Words point into @data. Return: 0; -EPROTO. Pure. */
int rh_network_request_parse(
	const uint8_t *data, size_t size, struct rh_network_request *ret_request);
void rh_network_reply_init(struct rh_network_reply *reply, enum rh_network_reply_kind kind);
/* Texts are NUL-terminated on return. Return: 0; -EPROTO. Pure. */
int rh_network_reply_parse(const uint8_t *data, size_t size, struct rh_network_reply *ret_reply);
