/* SPDX-License-Identifier: Apache-2.0 */

/*
 * DNS messages: what both directions share, and replies.
 */

#include "broker/daemon/network/dns/message.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/daemon/network/dns/wire.h"
#include "runnerhub/err.h"

#define LABELS_SHOWN 3
#define OPTIONS_SIZE 11 /* RFC 6891, 6.1.2: an OPT record without any */

static bool is_plain(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

int rh_dns_name_text(const struct rh_dns_name *name, char buf[RH_DNS_NAME_MAX + 1])
{
	char *to = buf;

	for (size_t at = 0; at < name->size && name->wire[at] > 0; at += 1U + name->wire[at]) {
		if (at > 0)
			*to++ = '.';
		for (size_t i = 1; i <= name->wire[at]; i++) {
			if (!is_plain(name->wire[at + i]))
				return rh_origin(-EINVAL);
			*to++ = (char)name->wire[at + i];
		}
	}
	*to = '\0';
	return to > buf ? 0 : rh_origin(-EINVAL);
}

void rh_dns_name_short(const struct rh_dns_name *name, char buf[RH_DNS_SHORT_SIZE])
{
	size_t labels[RH_DNS_NAME_MAX];
	size_t n = 0;
	size_t first = 0;
	char *to = buf;

	for (size_t at = 0; at < name->size && name->wire[at] > 0; at += 1U + name->wire[at])
		labels[n++] = at;
	first = n > LABELS_SHOWN ? n - LABELS_SHOWN : 0;
	if (first > 0)
		*to++ = '*';
	for (size_t i = first; i < n; i++) {
		const uint8_t *label = name->wire + labels[i];

		if (i > 0)
			*to++ = '.';
		for (size_t j = 1; j <= label[0]; j++)
			*to++ = (char)(is_plain(label[j]) ? label[j] : '?');
	}
	if (n == 0)
		*to++ = '.';
	*to = '\0';
}

/* Return: 0; -EPROTO. */
static int read_options(const uint8_t *data, size_t size, size_t at, uint16_t n_records,
	struct rh_dns_question *question)
{
	for (unsigned i = 0; i < n_records; i++) {
		struct rh_dns_record record;
		int r = rh_dns_record_next(data, size, &at, &record);

		if (r < 0)
			return rh_trace(r);
		if (record.type != RH_DNS_OPT)
			continue;
		if (record.owner.size != 1 || question->has_options)
			return rh_origin(-EPROTO);
		question->has_options = true;
		/* Its class is the sender's size. */
		if (record.class > RH_DNS_PLAIN_MAX)
			question->reply_max =
				record.class < RH_DNS_REPLY_MAX ? record.class : RH_DNS_REPLY_MAX;
	}
	return 0;
}

/* Behind the head. Return: 0; -EPROTO. */
static int read_question(
	const uint8_t *data, size_t size, const struct rh_dns_head *head, struct rh_dns_question *q)
{
	size_t at = RH_DNS_HEAD_SIZE;
	struct rh_dns_name name;

	/* One question, and at most its options and a signature. */
	if (head->n_questions != 1 || head->n_answers != 0 || head->n_authorities != 0 ||
		head->n_additionals > 2)
		return rh_origin(-EPROTO);
	/* Nothing is before it that a pointer could point to. */
	if (rh_dns_name_read(data, size, &at, &name) < 0 || at - RH_DNS_HEAD_SIZE != name.size ||
		size - at < 4)
		return rh_origin(-EPROTO);
	memcpy(q->spelt, data + RH_DNS_HEAD_SIZE, name.size);
	q->type = rh_dns_u16(data + at);
	q->class = rh_dns_u16(data + at + 2);
	q->name = name;
	return rh_trace(read_options(data, size, at + 4, head->n_additionals, q));
}

int rh_dns_question_parse(const uint8_t *data, size_t size, struct rh_dns_question *ret_question,
	enum rh_dns_rcode *ret_rcode)
{
	struct rh_dns_head head;

	*ret_question = (struct rh_dns_question){.reply_max = RH_DNS_PLAIN_MAX};
	if (size > RH_DNS_QUESTION_MAX || rh_dns_head_read(data, size, &head) < 0 ||
		head.flags & RH_DNS_IS_REPLY)
		return rh_origin(-EPROTO);
	ret_question->id = head.id;
	ret_question->wants_recursion = head.flags & RH_DNS_RECURSION_DESIRED;
	if (head.flags & RH_DNS_OPCODE) {
		*ret_rcode = RH_DNS_NOTIMP;
		return rh_origin(-EBADMSG);
	}
	if (read_question(data, size, &head, ret_question) < 0) {
		*ret_rcode = RH_DNS_FORMERR;
		ret_question->name.size = 0;
		ret_question->has_options = false;
		return rh_origin(-EBADMSG);
	}
	return 0;
}

/* As many addresses as have room. Return: the size then. */
static size_t write_addresses(
	uint8_t *buf, size_t at, const struct rh_dns_answer *answer, size_t max, uint16_t *ret_n)
{
	size_t size = answer->family == AF_INET ? 4 : 16;

	for (size_t i = 0; i < answer->n && at + 12 + size <= max; i++) {
		/* The name is the question's. */
		at = rh_dns_put16(buf, at, 0xc000 | RH_DNS_HEAD_SIZE);
		at = rh_dns_put16(buf, at, answer->family == AF_INET ? RH_DNS_A : RH_DNS_AAAA);
		at = rh_dns_put16(buf, at, RH_DNS_CLASS_IN);
		at = rh_dns_put16(buf, at, (uint16_t)(answer->ttl_s >> 16));
		at = rh_dns_put16(buf, at, (uint16_t)answer->ttl_s);
		at = rh_dns_put16(buf, at, (uint16_t)size);
		memcpy(buf + at, answer->addresses[i], size);
		at += size;
		++*ret_n;
	}
	return at;
}

size_t rh_dns_reply_write(uint8_t buf[RH_DNS_REPLY_MAX], const struct rh_dns_question *question,
	enum rh_dns_rcode rcode, const struct rh_dns_answer *answer, size_t max)
{
	struct rh_dns_head head = {.id = question->id,
		.flags = (uint16_t)(RH_DNS_IS_REPLY | RH_DNS_RECURSION_AVAILABLE | rcode |
			(question->wants_recursion ? RH_DNS_RECURSION_DESIRED : 0)),
		.n_questions = question->name.size > 0,
		.n_additionals = question->has_options};
	size_t at = RH_DNS_HEAD_SIZE;

	if (max > RH_DNS_REPLY_MAX)
		max = RH_DNS_REPLY_MAX;
	if (question->name.size > 0) {
		memcpy(buf + at, question->spelt, question->name.size);
		at += question->name.size;
		at = rh_dns_put16(buf, at, question->type);
		at = rh_dns_put16(buf, at, question->class);
	}
	if (answer) {
		at = write_addresses(buf, at, answer,
			max - (question->has_options ? OPTIONS_SIZE : 0), &head.n_answers);
		if (head.n_answers < answer->n)
			head.flags |= RH_DNS_TRUNCATED;
	}
	if (question->has_options) {
		const uint8_t options[OPTIONS_SIZE] = {
			0, 0, RH_DNS_OPT, RH_DNS_REPLY_MAX >> 8, RH_DNS_REPLY_MAX & 0xff};

		memcpy(buf + at, options, sizeof(options));
		at += sizeof(options);
	}
	rh_dns_head_write(buf, &head);
	return at;
}
