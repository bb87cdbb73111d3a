/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The parts of a DNS message (RFC 1035, 4.1). Pure functions.
 */

#include "broker/daemon/network/dns/message.h"

#define RH_DNS_HEAD_SIZE           12
#define RH_DNS_IS_REPLY            0x8000
#define RH_DNS_OPCODE              0x7800
#define RH_DNS_TRUNCATED           0x0200
#define RH_DNS_RECURSION_DESIRED   0x0100
#define RH_DNS_RECURSION_AVAILABLE 0x0080
#define RH_DNS_RCODE               0x000f
#define RH_DNS_CLASS_IN            1

struct rh_dns_head {
	uint16_t id;
	uint16_t flags;
	uint16_t n_questions;
	uint16_t n_answers;
	uint16_t n_authorities;
	uint16_t n_additionals;
};

struct rh_dns_record {
	struct rh_dns_name owner;
	uint16_t type;
	uint16_t class;
	uint32_t ttl_s;
	size_t data; /* offset */
	size_t data_size;
};

static inline uint16_t rh_dns_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* Return: the offset behind it. */
static inline size_t rh_dns_put16(uint8_t *buf, size_t at, uint16_t number)
{
	buf[at] = (uint8_t)(number >> 8);
	buf[at + 1] = (uint8_t)number;
	return at + 2;
}

/* Return: 0; -EPROTO. */
int rh_dns_head_read(const uint8_t *data, size_t size, struct rh_dns_head *ret_head);
void rh_dns_head_write(uint8_t *buf, const struct rh_dns_head *head);
/**
 * rh_dns_name_read() - a name, which may go on elsewhere
 * @at: moved behind it
 *
 * Pointers lead backwards only, so that none leads in circles. Return: 0; -EPROTO.
 */
int rh_dns_name_read(const uint8_t *data, size_t size, size_t *at, struct rh_dns_name *ret_name);
bool rh_dns_name_equal(const struct rh_dns_name *a, const struct rh_dns_name *b);
/* @at: moved behind it. Return: 0; -EPROTO. */
int rh_dns_record_next(
	const uint8_t *data, size_t size, size_t *at, struct rh_dns_record *ret_record);
