/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Property: a DNS message is refused, or what is made of it is bounded, well-formed and says the
 * same: replies answer their question, names on lists are printable.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/network/dns/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const struct rh_dns_name *name)
{
	char text[RH_DNS_NAME_MAX + 1];
	char shown[RH_DNS_SHORT_SIZE];

	if (name->size == 0 || name->size > RH_DNS_NAME_MAX || name->wire[name->size - 1] != 0)
		abort();
	if (rh_dns_name_text(name, text) == 0 &&
		strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != strlen(text))
		abort();
	rh_dns_name_short(name, shown);
	for (const char *c = shown; *c; c++) {
		if (*c < 0x20 || *c > 0x7e)
			abort();
	}
}

/* What we answer is the answer to what was asked. */
static void check_reply(const struct rh_dns_question *question, const struct rh_dns_answer *answer)
{
	uint8_t buf[RH_DNS_REPLY_MAX];
	struct rh_dns_answer back;
	size_t size = rh_dns_reply_write(buf, question, RH_DNS_NOERROR, answer, RH_DNS_REPLY_MAX);
	enum rh_dns_type type = answer && answer->family == AF_INET6 ? RH_DNS_AAAA : RH_DNS_A;
	int r = 0;

	if (size < RH_DNS_HEAD_SIZE || size > RH_DNS_REPLY_MAX)
		abort();
	if (question->type != type || question->class != RH_DNS_CLASS_IN)
		return;
	r = rh_dns_answer_parse(buf, size, question->id, &question->name, type, &back);
	if (r == RH_DNS_E_TRUNCATED)
		return;
	if (r != 0 || back.n != (answer ? answer->n : 0))
		abort();
	for (size_t i = 0; i < back.n; i++) {
		if (memcmp(back.addresses[i], answer->addresses[i], type == RH_DNS_A ? 4 : 16) != 0)
			abort();
	}
}

static void try_question(const uint8_t *data, size_t size)
{
	struct rh_dns_question question;
	struct rh_dns_question back;
	enum rh_dns_rcode rcode = RH_DNS_NOERROR;
	uint8_t query[RH_DNS_QUESTION_MAX];

	if (rh_dns_question_parse(data, size, &question, &rcode) != 0)
		return;
	check_name(&question.name);
	check_reply(&question, NULL);
	size = rh_dns_query_write(query, 1, &question.name, RH_DNS_AAAA);
	if (size > sizeof(query) || rh_dns_question_parse(query, size, &back, &rcode) != 0 ||
		!rh_dns_name_equal(&question.name, &back.name))
		abort();
}

/* The first question of the message is taken for ours. */
static void try_answer(const uint8_t *data, size_t size)
{
	struct rh_dns_question question = {0};
	struct rh_dns_answer answer;
	size_t at = RH_DNS_HEAD_SIZE;

	if (size < RH_DNS_HEAD_SIZE || rh_dns_name_read(data, size, &at, &question.name) < 0 ||
		size - at < 4)
		return;
	check_name(&question.name);
	question.id = rh_dns_u16(data);
	question.type = rh_dns_u16(data + at);
	question.class = RH_DNS_CLASS_IN;
	memcpy(question.spelt, question.name.wire, question.name.size);
	if (question.type != RH_DNS_A && question.type != RH_DNS_AAAA)
		return;
	if (rh_dns_answer_parse(data, size, question.id, &question.name, question.type, &answer) !=
		0)
		return;
	if (answer.n > RH_DNS_ADDRESSES_MAX || answer.ttl_s > INT32_MAX)
		abort();
	check_reply(&question, &answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_question(data, size);
	try_answer(data, size);
	return 0;
}
