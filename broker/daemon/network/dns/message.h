/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * DNS messages (RFC 1035, RFC 6891): reading what containers ask and what resolvers answer, and
 * writing both anew. Nothing of one message is ever copied to another: questions go on with a
 * number of our own, in lower case, without options; answers hold addresses alone, under the name
 * that was asked for. Pure functions; nothing that they are given is trusted.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RH_DNS_NAME_MAX      255 /* RFC 1035, 2.3.4: as it is written in messages */
#define RH_DNS_QUESTION_MAX  512 /* of a message with a question, as we take it */
#define RH_DNS_REPLY_MAX     1232 /* what passes without fragments (DNS flag day 2020) */
#define RH_DNS_PLAIN_MAX     512 /* over UDP to who says nothing of its size */
#define RH_DNS_ANSWER_MAX    8192 /* of a resolver's message */
#define RH_DNS_ADDRESSES_MAX 32 /* of an answer; more are left out */
#define RH_DNS_RECORDS_MAX   64 /* of an answer that are looked at */
#define RH_DNS_CHAIN_MAX     16 /* CNAMEs behind each other */

enum rh_dns_type { RH_DNS_A = 1, RH_DNS_CNAME = 5, RH_DNS_AAAA = 28, RH_DNS_OPT = 41 };

enum rh_dns_rcode {
	RH_DNS_NOERROR = 0,
	RH_DNS_FORMERR = 1,
	RH_DNS_SERVFAIL = 2,
	RH_DNS_NXDOMAIN = 3,
	RH_DNS_NOTIMP = 4,
	RH_DNS_REFUSED = 5,
};

/* Conditions of the parsers below. */
enum {
	RH_DNS_E_TRUNCATED = 1, /* ask again by TCP */
	RH_DNS_E_OTHER, /* not the answer to this question; it may still come */
};

/* Labels with their lengths, in lower case, with the empty one at the end. */
struct rh_dns_name {
	size_t size;
	uint8_t wire[RH_DNS_NAME_MAX];
};

struct rh_dns_question {
	uint16_t id;
	uint16_t type;
	uint16_t class;
	bool wants_recursion;
	bool has_options; /* EDNS */
	size_t reply_max; /* over UDP */
	struct rh_dns_name name;
	uint8_t spelt[RH_DNS_NAME_MAX]; /* as it was asked: some compare */
};

struct rh_dns_answer {
	enum rh_dns_rcode rcode;
	int family; /* of the addresses */
	size_t n;
	uint8_t addresses[RH_DNS_ADDRESSES_MAX][16];
	uint32_t ttl_s; /* the shortest on the way to them */
};

/**
 * rh_dns_question_parse() - what a container asks
 * @ret_rcode: of the reply, if this is no question that can be answered; *ret_question then has
 *             what is needed for rh_dns_reply_write()
 *
 * Return: 0; -EBADMSG: to be answered with *ret_rcode; -EPROTO: to be dropped.
 */
int rh_dns_question_parse(const uint8_t *data, size_t size, struct rh_dns_question *ret_question,
	enum rh_dns_rcode *ret_rcode);

/**
 * rh_dns_reply_write() - the reply to it
 * @answer: NULL: none
 * @max:    of its size; what does not fit is left out, and that is said
 * Return: its size, at most RH_DNS_REPLY_MAX; 0: there is no question to reply to.
 */
size_t rh_dns_reply_write(uint8_t buf[RH_DNS_REPLY_MAX], const struct rh_dns_question *question,
	enum rh_dns_rcode rcode, const struct rh_dns_answer *answer, size_t max);

/* A question of our own. Return: its size. */
size_t rh_dns_query_write(uint8_t buf[RH_DNS_QUESTION_MAX], uint16_t id,
	const struct rh_dns_name *name, enum rh_dns_type type);

/**
 * rh_dns_answer_parse() - what a resolver answers to it
 *
 * Addresses are taken from the name itself or from the end of the chain of CNAMEs that begins
 * there, and from nowhere else.
 * Return: 0; RH_DNS_E_TRUNCATED; RH_DNS_E_OTHER; -EPROTO.
 */
int rh_dns_answer_parse(const uint8_t *data, size_t size, uint16_t id,
	const struct rh_dns_name *name, enum rh_dns_type type, struct rh_dns_answer *ret_answer);

/**
 * rh_dns_name_text() - the name as it stands in a list of places
 * Return: 0; -EINVAL: it has characters that no such name has.
 */
int rh_dns_name_text(const struct rh_dns_name *name, char buf[RH_DNS_NAME_MAX + 1]);

/*
 * For people and records: its last three labels, without anything that is not printable. What is
 * before them is what a job would put data into.
 */
#define RH_DNS_SHORT_SIZE 200
void rh_dns_name_short(const struct rh_dns_name *name, char buf[RH_DNS_SHORT_SIZE]);
