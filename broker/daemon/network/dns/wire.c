/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The parts of a DNS message.
 */

#include "broker/daemon/network/dns/wire.h"

#include <errno.h>
#include <string.h>

#include "runnerhub/err.h"

#define POINTER 0xc0

int rh_dns_head_read(const uint8_t *data, size_t size, struct rh_dns_head *ret_head)
{
	if (size < RH_DNS_HEAD_SIZE)
		return rh_origin(-EPROTO);
	*ret_head = (struct rh_dns_head){.id = rh_dns_u16(data),
		.flags = rh_dns_u16(data + 2),
		.n_questions = rh_dns_u16(data + 4),
		.n_answers = rh_dns_u16(data + 6),
		.n_authorities = rh_dns_u16(data + 8),
		.n_additionals = rh_dns_u16(data + 10)};
	return 0;
}

void rh_dns_head_write(uint8_t *buf, const struct rh_dns_head *head)
{
	const uint16_t numbers[] = {head->id, head->flags, head->n_questions, head->n_answers,
		head->n_authorities, head->n_additionals};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		(void)rh_dns_put16(buf, i * 2, numbers[i]);
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

int rh_dns_name_read(const uint8_t *data, size_t size, size_t *at, struct rh_dns_name *ret_name)
{
	size_t from = *at;
	size_t part = from; /* where the part that is being read begins: pointers lead before it */
	size_t end = 0; /* behind the name; 0: not known yet */
	size_t n = 0;

	for (;;) {
		size_t length = from < size ? data[from] : SIZE_MAX;

		if (length == SIZE_MAX)
			return rh_origin(-EPROTO);
		if ((length & POINTER) == POINTER) {
			size_t target = 0;

			if (size - from < 2)
				return rh_origin(-EPROTO);
			target = rh_dns_u16(data + from) & 0x3fff;
			if (target >= part || target < RH_DNS_HEAD_SIZE)
				return rh_origin(-EPROTO);
			if (end == 0)
				end = from + 2;
			part = target;
			from = target;
			continue;
		}
		if (length & POINTER || size - from <= length || n + 1 + length > RH_DNS_NAME_MAX)
			return rh_origin(-EPROTO);
		ret_name->wire[n++] = (uint8_t)length;
		from++;
		for (size_t i = 0; i < length; i++)
			ret_name->wire[n++] = lower(data[from++]);
		if (length == 0)
			break;
	}
	ret_name->size = n;
	*at = end ? end : from;
	return 0;
}

bool rh_dns_name_equal(const struct rh_dns_name *a, const struct rh_dns_name *b)
{
	return a->size == b->size && memcmp(a->wire, b->wire, a->size) == 0;
}

int rh_dns_record_next(
	const uint8_t *data, size_t size, size_t *at, struct rh_dns_record *ret_record)
{
	size_t from = *at;

	if (rh_dns_name_read(data, size, &from, &ret_record->owner) < 0 || size - from < 10)
		return rh_origin(-EPROTO);
	ret_record->type = rh_dns_u16(data + from);
	ret_record->class = rh_dns_u16(data + from + 2);
	ret_record->ttl_s =
		(uint32_t)rh_dns_u16(data + from + 4) << 16 | rh_dns_u16(data + from + 6);
	ret_record->data_size = rh_dns_u16(data + from + 8);
	ret_record->data = from + 10;
	if (size - ret_record->data < ret_record->data_size)
		return rh_origin(-EPROTO);
	*at = ret_record->data + ret_record->data_size;
	return 0;
}
