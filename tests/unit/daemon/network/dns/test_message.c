/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/network/dns/message.h: questions, replies and answers as they are on the wire.
 */

#include "broker/daemon/network/dns/message.h"

#include <errno.h>
#include <string.h>

#include "broker/daemon/network/dns/wire.h"
#include "rh-test.h"

#define ID 0x1234

static uint8_t packet[4096];
static size_t n_packet;

static void put(const void *data, size_t size)
{
	memcpy(packet + n_packet, data, size);
	n_packet += size;
}

#define PUT(text) put(text, sizeof(text) - 1)

static void head(uint16_t flags, uint16_t questions, uint16_t answers, uint16_t additionals)
{
	struct rh_dns_head h = {.id = ID,
		.flags = flags,
		.n_questions = questions,
		.n_answers = answers,
		.n_additionals = additionals};

	rh_dns_head_write(packet, &h);
	n_packet = RH_DNS_HEAD_SIZE;
}

#define WWW "\3WwW\7eXample\3org\0"

static int question(struct rh_dns_question *q, enum rh_dns_rcode *rcode)
{
	return rh_dns_question_parse(packet, n_packet, q, rcode);
}

START_TEST(a_question)
{
	struct rh_dns_question q;
	enum rh_dns_rcode rcode;
	char text[RH_DNS_NAME_MAX + 1];

	head(RH_DNS_RECURSION_DESIRED, 1, 0, 1);
	PUT(WWW "\0\1\0\1");
	PUT("\0\0\x29\x05\x00\0\0\0\0\0\0");
	ck_assert_int_eq(question(&q, &rcode), 0);
	ck_assert_uint_eq(q.id, ID);
	ck_assert_uint_eq(q.type, RH_DNS_A);
	ck_assert(q.wants_recursion && q.has_options);
	ck_assert_uint_eq(q.reply_max, RH_DNS_REPLY_MAX);
	ck_assert_int_eq(rh_dns_name_text(&q.name, text), 0);
	ck_assert_str_eq(text, "www.example.org");
}
END_TEST

START_TEST(what_is_no_question)
{
	struct rh_dns_question q;
	enum rh_dns_rcode rcode;
	char long_name[300];

	head(0, 1, 0, 0);
	ck_assert_int_eq(rh_dns_question_parse(packet, 11, &q, &rcode), -EPROTO);
	ck_assert_int_eq(question(&q, &rcode), -EBADMSG);
	ck_assert_int_eq(rcode, RH_DNS_FORMERR);
	head(RH_DNS_IS_REPLY, 1, 0, 0);
	PUT(WWW "\0\1\0\1");
	ck_assert_int_eq(question(&q, &rcode), -EPROTO);
	head(0x2000, 1, 0, 0);
	PUT(WWW "\0\1\0\1");
	ck_assert_int_eq(question(&q, &rcode), -EBADMSG);
	ck_assert_int_eq(rcode, RH_DNS_NOTIMP);
	/* Two of them; one with an answer; cut short; a pointer; a label that is too long. */
	head(0, 2, 0, 0);
	PUT(WWW "\0\1\0\1" WWW "\0\1\0\1");
	ck_assert_int_eq(question(&q, &rcode), -EBADMSG);
	head(0, 1, 1, 0);
	PUT(WWW "\0\1\0\1");
	ck_assert_int_eq(question(&q, &rcode), -EBADMSG);
	head(0, 1, 0, 0);
	PUT(WWW "\0\1\0");
	ck_assert_int_eq(question(&q, &rcode), -EBADMSG);
	head(0, 1, 0, 0);
	PUT("\3www\xc0\x0c\0\1\0\1");
	ck_assert_int_eq(question(&q, &rcode), -EBADMSG);
	head(0, 1, 0, 0);
	memset(long_name, 'a', sizeof(long_name));
	long_name[0] = 64;
	put(long_name, sizeof(long_name));
	ck_assert_int_eq(question(&q, &rcode), -EBADMSG);
	/* 254 bytes of labels of one character, and no end within 255. */
	head(0, 1, 0, 0);
	for (unsigned i = 0; i < 128; i++)
		PUT("\1a");
	PUT("\0\0\1\0\1");
	ck_assert_int_eq(question(&q, &rcode), -EBADMSG);
	/* Options twice, or of some other name. */
	head(0, 1, 0, 2);
	PUT(WWW "\0\1\0\1\0\0\x29\2\0\0\0\0\0\0\0\0\0\x29\2\0\0\0\0\0\0\0");
	ck_assert_int_eq(question(&q, &rcode), -EBADMSG);
	head(0, 1, 0, 1);
	PUT(WWW "\0\1\0\1\1a\0\0\x29\2\0\0\0\0\0\0\0");
	ck_assert_int_eq(question(&q, &rcode), -EBADMSG);
	/* Its reply has no question, and none that it could be mistaken for. */
	ck_assert_uint_eq(rh_dns_reply_write(packet, &q, rcode, NULL, 512), RH_DNS_HEAD_SIZE);
}
END_TEST

START_TEST(names_as_text)
{
	struct rh_dns_question q;
	enum rh_dns_rcode rcode;
	char text[RH_DNS_NAME_MAX + 1];
	char shown[RH_DNS_SHORT_SIZE];

	head(0, 1, 0, 0);
	PUT("\4s3cr\5et.to\2k\n\3com\0\0\1\0\1");
	ck_assert_int_eq(question(&q, &rcode), 0);
	ck_assert_int_eq(rh_dns_name_text(&q.name, text), -EINVAL);
	rh_dns_name_short(&q.name, shown);
	ck_assert_str_eq(shown, "*.et?to.k?.com");
	head(0, 1, 0, 0);
	PUT("\0\0\1\0\1");
	ck_assert_int_eq(question(&q, &rcode), 0);
	ck_assert_int_eq(rh_dns_name_text(&q.name, text), -EINVAL);
	rh_dns_name_short(&q.name, shown);
	ck_assert_str_eq(shown, ".");
	head(0, 1, 0, 0);
	PUT("\1a\7example\3org\0\0\1\0\1");
	ck_assert_int_eq(question(&q, &rcode), 0);
	rh_dns_name_short(&q.name, shown);
	ck_assert_str_eq(shown, "a.example.org");
}
END_TEST

static struct rh_dns_name asked(void)
{
	struct rh_dns_name name;
	size_t at = 0;

	ck_assert_int_eq(rh_dns_name_read((const uint8_t *)WWW, sizeof(WWW) - 1, &at, &name), 0);
	return name;
}

static int answer(enum rh_dns_type type, struct rh_dns_answer *ret_answer)
{
	struct rh_dns_name name = asked();

	return rh_dns_answer_parse(packet, n_packet, ID, &name, type, ret_answer);
}

START_TEST(addresses_at_the_end_of_a_chain)
{
	struct rh_dns_answer a;

	head(RH_DNS_IS_REPLY | RH_DNS_RECURSION_AVAILABLE, 1, 5, 0);
	PUT(WWW "\0\1\0\1"); /* 12: www, 16: example.org; 29 is behind the name */
	PUT("\xc0\x0c\0\5\0\1\0\0\1\0\0\7\4edge\xc0\x10");
	/* Somebody else's address, one at its end with another class, and two. */
	PUT("\xc0\x10\0\1\0\1\0\0\0\2\0\4\xc0\0\2\1");
	PUT("\4edge\xc0\x10\0\1\0\3\0\0\0\2\0\4\xc0\0\2\2");
	PUT("\4EDGE\7example\3org\0\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\3");
	PUT("\4edge\xc0\x10\0\1\0\1\0\0\0\x50\0\4\xc0\0\2\4");
	ck_assert_int_eq(answer(RH_DNS_A, &a), 0);
	ck_assert_int_eq(a.rcode, RH_DNS_NOERROR);
	ck_assert_uint_eq(a.n, 2);
	ck_assert_uint_eq(a.ttl_s, 0x3c);
	ck_assert_mem_eq(a.addresses[0], "\xc0\0\2\3", 4);
	ck_assert_mem_eq(a.addresses[1], "\xc0\0\2\4", 4);
}
END_TEST

START_TEST(what_is_no_answer)
{
	struct rh_dns_answer a;
	struct rh_dns_name name = asked();

	head(RH_DNS_IS_REPLY, 1, 1, 0);
	PUT(WWW "\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\2\0\4\xc0\0\2\1");
	ck_assert_int_eq(answer(RH_DNS_A, &a), 0);
	ck_assert_uint_eq(a.n, 1);
	/* Another number, type, name, no reply, cut off. */
	ck_assert_int_eq(
		rh_dns_answer_parse(packet, n_packet, ID + 1, &name, RH_DNS_A, &a), RH_DNS_E_OTHER);
	ck_assert_int_eq(answer(RH_DNS_AAAA, &a), RH_DNS_E_OTHER);
	ck_assert_int_eq(rh_dns_answer_parse(packet, 20, ID, &name, RH_DNS_A, &a), RH_DNS_E_OTHER);
	ck_assert_int_eq(
		rh_dns_answer_parse(packet, n_packet - 1, ID, &name, RH_DNS_A, &a), -EPROTO);
	name.wire[1] = 'x';
	ck_assert_int_eq(
		rh_dns_answer_parse(packet, n_packet, ID, &name, RH_DNS_A, &a), RH_DNS_E_OTHER);
	packet[2] &= 0x7f;
	ck_assert_int_eq(answer(RH_DNS_A, &a), RH_DNS_E_OTHER);
	head(RH_DNS_IS_REPLY | RH_DNS_TRUNCATED, 1, 0, 0);
	PUT(WWW "\0\1\0\1");
	ck_assert_int_eq(answer(RH_DNS_A, &a), RH_DNS_E_TRUNCATED);
	head(RH_DNS_IS_REPLY | RH_DNS_NXDOMAIN, 1, 0, 0);
	PUT(WWW "\0\1\0\1");
	ck_assert_int_eq(answer(RH_DNS_A, &a), 0);
	ck_assert_int_eq(a.rcode, RH_DNS_NXDOMAIN);
	ck_assert_uint_eq(a.n, 0);
	/* An address of a wrong size. */
	head(RH_DNS_IS_REPLY, 1, 1, 0);
	PUT(WWW "\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\2\0\5\xc0\0\2\1\1");
	ck_assert_int_eq(answer(RH_DNS_A, &a), -EPROTO);
	/* A pointer to itself, one ahead, one into the head. */
	head(RH_DNS_IS_REPLY, 1, 1, 0);
	PUT(WWW "\0\1\0\1\xc0\x21\0\1\0\1\0\0\0\2\0\4\xc0\0\2\1");
	ck_assert_int_eq(answer(RH_DNS_A, &a), -EPROTO);
	packet[n_packet - 15] = 0x23;
	ck_assert_int_eq(answer(RH_DNS_A, &a), -EPROTO);
	packet[n_packet - 15] = 0x02;
	ck_assert_int_eq(answer(RH_DNS_A, &a), -EPROTO);
}
END_TEST

START_TEST(a_chain_in_circles)
{
	struct rh_dns_answer a;

	head(RH_DNS_IS_REPLY, 1, 2, 0);
	PUT(WWW "\0\1\0\1\xc0\x0c\0\5\0\1\0\0\1\0\0\4\1b\xc0\x10");
	PUT("\1b\xc0\x10\0\5\0\1\0\0\1\0\0\2\xc0\x0c");
	ck_assert_int_eq(answer(RH_DNS_A, &a), 0);
	ck_assert_uint_eq(a.n, 0);
	/* A name that goes beyond its record. */
	head(RH_DNS_IS_REPLY, 1, 1, 0);
	PUT(WWW "\0\1\0\1\xc0\x0c\0\5\0\1\0\0\1\0\0\3\1b\xc0\x10");
	ck_assert_int_eq(answer(RH_DNS_A, &a), -EPROTO);
}
END_TEST

START_TEST(replies)
{
	static uint8_t buf[RH_DNS_REPLY_MAX];
	struct rh_dns_question q;
	enum rh_dns_rcode rcode;
	struct rh_dns_name name = asked();
	struct rh_dns_answer a = {.family = AF_INET6, .n = RH_DNS_ADDRESSES_MAX, .ttl_s = 77};
	struct rh_dns_answer back;
	size_t size = 0;

	head(RH_DNS_RECURSION_DESIRED, 1, 0, 0);
	PUT(WWW "\0\x1c\0\1");
	ck_assert_int_eq(question(&q, &rcode), 0);
	for (uint8_t i = 0; i < RH_DNS_ADDRESSES_MAX; i++)
		a.addresses[i][15] = i;
	/* What does not fit is left out, and that is said. */
	size = rh_dns_reply_write(buf, &q, RH_DNS_NOERROR, &a, q.reply_max);
	ck_assert_uint_le(size, RH_DNS_PLAIN_MAX);
	ck_assert_int_eq(
		rh_dns_answer_parse(buf, size, ID, &name, RH_DNS_AAAA, &back), RH_DNS_E_TRUNCATED);
	size = rh_dns_reply_write(buf, &q, RH_DNS_NOERROR, &a, RH_DNS_REPLY_MAX);
	ck_assert_uint_le(size, RH_DNS_REPLY_MAX);
	ck_assert_int_eq(rh_dns_answer_parse(buf, size, ID, &name, RH_DNS_AAAA, &back), 0);
	ck_assert_uint_eq(back.n, RH_DNS_ADDRESSES_MAX);
	ck_assert_uint_eq(back.ttl_s, 77);
	ck_assert_uint_eq(back.addresses[31][15], 31);
	/* Spelt as it was asked; with options if there were some. */
	ck_assert_mem_eq(buf + RH_DNS_HEAD_SIZE, WWW, sizeof(WWW) - 1);
	q.has_options = true;
	size = rh_dns_reply_write(buf, &q, RH_DNS_NXDOMAIN, NULL, 512);
	ck_assert_uint_eq(size, RH_DNS_HEAD_SIZE + sizeof(WWW) - 1 + 4 + 11);
	ck_assert_uint_eq(buf[11], 1);
	ck_assert_uint_eq(buf[3] & RH_DNS_RCODE, RH_DNS_NXDOMAIN);
}
END_TEST

START_TEST(our_questions)
{
	uint8_t buf[RH_DNS_QUESTION_MAX];
	struct rh_dns_question q;
	enum rh_dns_rcode rcode;
	struct rh_dns_name name = asked();
	size_t size = rh_dns_query_write(buf, 7, &name, RH_DNS_AAAA);

	ck_assert_int_eq(rh_dns_question_parse(buf, size, &q, &rcode), 0);
	ck_assert_uint_eq(q.id, 7);
	ck_assert_uint_eq(q.type, RH_DNS_AAAA);
	ck_assert(q.wants_recursion && !q.has_options);
	/* How it was spelt does not go on. */
	ck_assert_mem_eq(q.spelt, "\3www\7example\3org\0", 17);
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "message", a_question, what_is_no_question, names_as_text,
		addresses_at_the_end_of_a_chain, what_is_no_answer, a_chain_in_circles, replies,
		our_questions);
}

RH_TEST_MAIN("network-dns-message", tests);
