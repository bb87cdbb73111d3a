/* SPDX-License-Identifier: Apache-2.0 */

/*
 * DNS messages: our questions to resolvers, and their answers.
 */

#include <errno.h>
#include <string.h>

#include "broker/daemon/network/dns/wire.h"
#include "runnerhub/err.h"

size_t rh_dns_query_write(uint8_t buf[RH_DNS_QUESTION_MAX], uint16_t id,
	const struct rh_dns_name *name, enum rh_dns_type type)
{
	struct rh_dns_head head = {.id = id, .flags = RH_DNS_RECURSION_DESIRED, .n_questions = 1};
	size_t at = RH_DNS_HEAD_SIZE;

	rh_dns_head_write(buf, &head);
	memcpy(buf + at, name->wire, name->size);
	at = rh_dns_put16(buf, at + name->size, (uint16_t)type);
	return rh_dns_put16(buf, at, RH_DNS_CLASS_IN);
}

/* What one look at all records finds of one name. */
struct step {
	const struct rh_dns_name *owner;
	enum rh_dns_type type;
	bool has_next;
	struct rh_dns_name next; /* it stands for this one */
	uint32_t next_ttl_s;
};

static uint32_t shorter(uint32_t ttl_s, uint32_t other_s)
{
	/* RFC 2181, 8: a number that would be negative is 0. */
	other_s = other_s > INT32_MAX ? 0 : other_s;
	return other_s < ttl_s ? other_s : ttl_s;
}

static int take_record(const uint8_t *data, const struct rh_dns_record *record, struct step *step,
	struct rh_dns_answer *answer)
{
	size_t size = answer->family == AF_INET ? 4 : 16;

	if (record->class != RH_DNS_CLASS_IN || !rh_dns_name_equal(&record->owner, step->owner))
		return 0;
	if (record->type == step->type) {
		if (record->data_size != size)
			return rh_origin(-EPROTO);
		if (answer->n == RH_DNS_ADDRESSES_MAX)
			return 0;
		memcpy(answer->addresses[answer->n++], data + record->data, size);
		answer->ttl_s = shorter(answer->ttl_s, record->ttl_s);
	} else if (record->type == RH_DNS_CNAME && !step->has_next) {
		size_t at = record->data;
		size_t end = record->data + record->data_size;

		/* It may point back, but not be longer than its record. */
		if (rh_dns_name_read(data, end, &at, &step->next) < 0 || at != end)
			return rh_origin(-EPROTO);
		step->has_next = true;
		step->next_ttl_s = record->ttl_s;
	}
	return 0;
}

static int take_records(const uint8_t *data, size_t size, size_t at, size_t n, struct step *step,
	struct rh_dns_answer *answer)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct rh_dns_record record;

		r = rh_dns_record_next(data, size, &at, &record);
		if (r == 0)
			r = take_record(data, &record, step, answer);
	}
	return rh_trace(r);
}

/* From the name along its CNAMEs to addresses. */
static int follow(const uint8_t *data, size_t size, size_t at, size_t n,
	const struct rh_dns_name *name, struct rh_dns_answer *answer)
{
	struct rh_dns_name owner = *name;
	struct step step = {
		.owner = &owner, .type = answer->family == AF_INET ? RH_DNS_A : RH_DNS_AAAA};

	for (unsigned hop = 0; hop <= RH_DNS_CHAIN_MAX; hop++) {
		int r = 0;

		step.has_next = false;
		r = take_records(data, size, at, n, &step, answer);
		if (r < 0 || answer->n > 0 || !step.has_next)
			return rh_trace(r);
		answer->ttl_s = shorter(answer->ttl_s, step.next_ttl_s);
		owner = step.next;
	}
	return 0; /* a circle: no addresses */
}

int rh_dns_answer_parse(const uint8_t *data, size_t size, uint16_t id,
	const struct rh_dns_name *name, enum rh_dns_type type, struct rh_dns_answer *ret_answer)
{
	struct rh_dns_answer answer = {
		.family = type == RH_DNS_A ? AF_INET : AF_INET6, .ttl_s = INT32_MAX};
	struct rh_dns_head head;
	struct rh_dns_name asked;
	size_t at = RH_DNS_HEAD_SIZE;
	size_t n = 0;
	int r = 0;

	/* Whatever does not repeat the question is somebody else's. */
	if (rh_dns_head_read(data, size, &head) < 0 || !(head.flags & RH_DNS_IS_REPLY) ||
		head.id != id || head.flags & RH_DNS_OPCODE || head.n_questions != 1 ||
		rh_dns_name_read(data, size, &at, &asked) < 0 || size - at < 4 ||
		!rh_dns_name_equal(&asked, name) || rh_dns_u16(data + at) != (uint16_t)type ||
		rh_dns_u16(data + at + 2) != RH_DNS_CLASS_IN)
		return RH_DNS_E_OTHER;
	if (head.flags & RH_DNS_TRUNCATED)
		return RH_DNS_E_TRUNCATED;
	answer.rcode = head.flags & RH_DNS_RCODE;
	n = head.n_answers < RH_DNS_RECORDS_MAX ? head.n_answers : RH_DNS_RECORDS_MAX;
	if (answer.rcode == RH_DNS_NOERROR)
		r = follow(data, size, at + 4, n, name, &answer);
	if (r < 0)
		return rh_trace(r);
	*ret_answer = answer;
	return 0;
}
