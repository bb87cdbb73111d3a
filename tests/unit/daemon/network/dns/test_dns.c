/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/network/dns/dns.h: the forwarder between a client and resolvers of the test's own,
 * on the loopback of a host of its own. Time is the test's.
 */

#include "broker/daemon/network/dns/dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../namespace.h"
#include "broker/daemon/network/dns/wire.h"
#include "rh-test.h"
#include "runnerhub/clock.h"

#define ONE      "00000000000000000000000000000001"
#define LIMIT_MS 10000

static struct stage stage;
static struct rh_dns *dns;
static struct rh_err err;
static int64_t now_ms;
static int client = -1, resolvers[2] = {-1, -1};
static bool has_ip6;
static int learn_r;
static unsigned n_learned, n_refused;
static char last_name[RH_DNS_NAME_MAX + 1], last_refused[RH_DNS_SHORT_SIZE];
static uint8_t data[4096];
static size_t n_data;

static bool who(void *arg, struct in_addr from, struct rh_dns_asker *ret_asker)
{
	static const struct rh_rules_address upstreams[] = {
		{AF_INET, {127, 0, 0, 2}}, {AF_INET, {127, 0, 0, 3}}};

	*ret_asker = (struct rh_dns_asker){
		.instance = ONE, .ip6 = has_ip6, .upstreams = upstreams, .n_upstreams = 2};
	return from.s_addr == inet_addr("127.0.0.9");
}

static bool may(void *arg, char *const *egress, const char *name)
{
	return strcmp(name, "www.example.org") == 0;
}

static int learn(void *arg, const char *instance, const char *name, struct rh_dns_answer *answer)
{
	ck_assert_str_eq(instance, ONE);
	(void)snprintf(last_name, sizeof(last_name), "%s", name);
	n_learned += (unsigned)answer->n;
	return learn_r;
}

static void refused(void *arg, const char *instance, const struct rh_dns_name *name)
{
	ck_assert_str_eq(instance, ONE);
	rh_dns_name_short(name, last_refused);
	n_refused++;
}

static int open_udp(const char *address, uint16_t port, const char *to)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	name.sin_addr.s_addr = inet_addr(address);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	if (to) {
		name.sin_port = htons(53);
		name.sin_addr.s_addr = inet_addr(to);
		ck_assert_int_eq(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	}
	return fd;
}

static int connect_stream(void)
{
	struct sockaddr_in name = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	name.sin_addr.s_addr = inet_addr("127.0.0.9");
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	name.sin_port = htons(53);
	name.sin_addr.s_addr = inet_addr("127.0.0.1");
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

static void setup(void)
{
	const struct rh_dns_ops ops = {.who = who, .may = may, .learn = learn, .refused = refused};
	struct in_addr address = {.s_addr = inet_addr("127.0.0.1")};

	stage_setup(&stage);
	now_ms = rh_now_ms();
	ck_assert_int_eq(rh_dns_new(&ops, NULL, &dns), 0);
	ck_assert_int_eq(rh_dns_listen(dns, "lo", address, &err), 0);
	ck_assert_int_eq(rh_dns_listen(dns, "lo", address, &err), 0);
	ck_assert(rh_dns_listens(dns));
	ck_assert_int_eq(rh_dns_wait_ms(dns, now_ms), -1);
	client = open_udp("127.0.0.9", 0, "127.0.0.1");
	resolvers[0] = open_udp("127.0.0.2", 53, NULL);
	resolvers[1] = open_udp("127.0.0.3", 53, NULL);
}

static void teardown(void)
{
	rh_dns_free(dns);
	(void)close(client);
	(void)close(resolvers[0]);
	(void)close(resolvers[1]);
	stage_teardown(&stage);
}

/* Lets the forwarder work until @fd has something. */
static void work_until(int fd)
{
	int64_t limit_ms = rh_now_ms() + LIMIT_MS;

	for (;;) {
		struct pollfd fds[] = {
			{.fd = fd, .events = POLLIN}, {.fd = rh_dns_fd(dns), .events = POLLIN}};

		(void)poll(fds, 2, 100);
		if (fds[0].revents)
			return;
		rh_dns_turn(dns, now_ms);
		ck_assert(rh_now_ms() < limit_ms);
	}
}

/* Whatever has reached it is done. */
static void work(void)
{
	struct pollfd fds = {.fd = rh_dns_fd(dns), .events = POLLIN};

	do
		rh_dns_turn(dns, now_ms);
	while (poll(&fds, 1, 0) == 1);
}

static size_t write_question(uint16_t id, const char *wire, size_t size, enum rh_dns_type type)
{
	struct rh_dns_name name = {.size = size};

	memcpy(name.wire, wire, size);
	n_data = rh_dns_query_write(data, id, &name, type);
	return n_data;
}

#define WWW  "\3www\7eXample\3org"
#define EVIL "\6s3cret\4evil\7example\3org"

static void ask(uint16_t id, const char *wire, size_t size, enum rh_dns_type type)
{
	size_t n = write_question(id, wire, size, type);

	ck_assert_int_eq(send(client, data, n, 0), (int)n);
}

#define ASK(id, wire, type) ask(id, wire, sizeof(wire), type)

/* What a resolver is asked: its number; where the answer goes is kept. */
static struct sockaddr_in asker;

static uint16_t take_query(int resolver)
{
	socklen_t size = sizeof(asker);
	struct rh_dns_question question;
	enum rh_dns_rcode rcode;
	ssize_t n = 0;

	work_until(resolvers[resolver]);
	n = recvfrom(resolvers[resolver], data, sizeof(data), 0, (struct sockaddr *)&asker, &size);
	ck_assert_int_gt(n, 0);
	n_data = (size_t)n;
	ck_assert_int_eq(rh_dns_question_parse(data, n_data, &question, &rcode), 0);
	ck_assert(!question.has_options);
	ck_assert_mem_eq(question.spelt, "\3www\7example\3org", 17);
	return question.id;
}

/* The query in @data becomes its answer. */
static void make_answer(uint16_t id, uint16_t flags, const char *address)
{
	struct rh_dns_head head = {.id = id,
		.flags = (uint16_t)(RH_DNS_IS_REPLY | flags),
		.n_questions = 1,
		.n_answers = address ? 1 : 0};

	rh_dns_head_write(data, &head);
	if (address) {
		/* RFC 1035, 4.1.3: the question's name, A, IN, 60 s, four bytes. */
		static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4};
		struct in_addr ip = {.s_addr = inet_addr(address)};

		memcpy(data + n_data, record, sizeof(record));
		memcpy(data + n_data + 12, &ip, 4);
		n_data += 16;
	}
}

static void answer(int resolver, uint16_t id, uint16_t flags, const char *address)
{
	make_answer(id, flags, address);
	ck_assert_int_eq(sendto(resolvers[resolver], data, n_data, 0, (struct sockaddr *)&asker,
				 sizeof(asker)),
		(int)n_data);
}

/* Return: its rcode; @ret_n: its addresses. */
static int take_reply(uint16_t id, unsigned *ret_n)
{
	struct rh_dns_head head;
	ssize_t n = 0;

	work_until(client);
	n = recv(client, data, sizeof(data), 0);
	ck_assert_int_gt(n, 0);
	n_data = (size_t)n;
	ck_assert_int_eq(rh_dns_head_read(data, n_data, &head), 0);
	ck_assert_uint_eq(head.id, id);
	ck_assert(head.flags & RH_DNS_IS_REPLY);
	*ret_n = head.n_answers;
	return head.flags & RH_DNS_RCODE;
}

static bool is_quiet(int fd)
{
	struct pollfd fds = {.fd = fd, .events = POLLIN};

	work();
	return poll(&fds, 1, 0) == 0;
}

START_TEST(a_name_that_is_allowed)
{
	unsigned n = 0;

	ASK(1, WWW, RH_DNS_A);
	answer(0, take_query(0), 0, "192.0.2.7");
	ck_assert_int_eq(take_reply(1, &n), RH_DNS_NOERROR);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(n_learned, 1);
	ck_assert_str_eq(last_name, "www.example.org");
	/* As it was spelt. */
	ck_assert_mem_eq(data + RH_DNS_HEAD_SIZE, WWW, sizeof(WWW));
	ck_assert(is_quiet(resolvers[1]));
	ASK(2, WWW, RH_DNS_A);
	answer(0, take_query(0), RH_DNS_NXDOMAIN, NULL);
	ck_assert_int_eq(take_reply(2, &n), RH_DNS_NXDOMAIN);
	ck_assert_int_eq(rh_dns_wait_ms(dns, now_ms), -1);
}
END_TEST

START_TEST(names_that_are_not)
{
	unsigned n = 0;

	ASK(1, EVIL, RH_DNS_A);
	ck_assert_int_eq(take_reply(1, &n), RH_DNS_NXDOMAIN);
	ck_assert_uint_eq(n_refused, 1);
	ck_assert_str_eq(last_refused, "*.evil.example.org");
	/* A dot in a label is no dot between labels. */
	ASK(2, "\13www.example\3org", RH_DNS_A);
	ck_assert_int_eq(take_reply(2, &n), RH_DNS_NXDOMAIN);
	ck_assert_uint_eq(n_refused, 2);
	/* Nothing that is no address. */
	ASK(3, WWW, 16);
	ck_assert_int_eq(take_reply(3, &n), RH_DNS_NOERROR);
	ck_assert_uint_eq(n, 0);
	ASK(4, WWW, RH_DNS_AAAA);
	ck_assert_int_eq(take_reply(4, &n), RH_DNS_NOERROR);
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(n_refused, 2);
	ck_assert(is_quiet(resolvers[0]));
	has_ip6 = true;
	ASK(5, WWW, RH_DNS_AAAA);
	(void)take_query(0);
}
END_TEST

START_TEST(what_is_malformed)
{
	unsigned n = 0;
	int nobody = open_udp("127.0.0.8", 0, "127.0.0.1");

	(void)write_question(1, WWW, sizeof(WWW), RH_DNS_A);
	ck_assert_int_gt(send(nobody, data, n_data, 0), 0);
	ck_assert(is_quiet(nobody));
	ck_assert_int_gt(send(client, data, 5, 0), 0);
	ck_assert(is_quiet(client));
	ck_assert_int_gt(send(client, data, n_data - 3, 0), 0);
	ck_assert_int_eq(take_reply(1, &n), RH_DNS_FORMERR);
	ck_assert_int_gt(send(client, data, sizeof(data) / 2, 0), 0);
	ck_assert(is_quiet(client));
	(void)write_question(2, WWW, sizeof(WWW), RH_DNS_A);
	data[n_data - 1] = 3; /* class CHAOS */
	ck_assert_int_gt(send(client, data, n_data, 0), 0);
	ck_assert_int_eq(take_reply(2, &n), RH_DNS_REFUSED);
	(void)close(nobody);
}
END_TEST

START_TEST(answers_that_are_none)
{
	unsigned n = 0;
	uint16_t id = 0;
	int other = open_udp("127.0.0.4", 53, NULL);

	ASK(1, WWW, RH_DNS_A);
	id = take_query(0);
	/* Of another number, from another resolver; then the right one. */
	answer(0, (uint16_t)(id + 1), 0, "192.0.2.66");
	make_answer(id, 0, NULL);
	(void)sendto(other, data, n_data, 0, (struct sockaddr *)&asker, sizeof(asker));
	work();
	ck_assert(is_quiet(client));
	ck_assert_uint_eq(n_learned, 0);
	(void)write_question(0, "\3www\7example\3org", 17, RH_DNS_A);
	answer(0, id, 0, "192.0.2.7");
	ck_assert_int_eq(take_reply(1, &n), RH_DNS_NOERROR);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(n_learned, 1);
	(void)close(other);
}
END_TEST

START_TEST(resolvers_in_turn)
{
	unsigned n = 0;

	/* The first is silent, the second says that it failed, the first knows. */
	ASK(1, WWW, RH_DNS_A);
	(void)take_query(0);
	ck_assert_int_eq(rh_dns_wait_ms(dns, now_ms), RH_DNS_ATTEMPT_MS);
	ck_assert(is_quiet(resolvers[1]));
	now_ms += RH_DNS_ATTEMPT_MS;
	answer(1, take_query(1), RH_DNS_SERVFAIL, NULL);
	answer(0, take_query(0), 0, "192.0.2.7");
	ck_assert_int_eq(take_reply(1, &n), RH_DNS_NOERROR);
	/* All are silent. */
	ASK(2, WWW, RH_DNS_A);
	for (int i = 0; i < RH_DNS_ATTEMPTS_MAX; i++) {
		(void)take_query(i % 2);
		ck_assert(is_quiet(client));
		now_ms += RH_DNS_ATTEMPT_MS;
	}
	ck_assert_int_eq(take_reply(2, &n), RH_DNS_SERVFAIL);
	/* Nobody is there: the kernel says so at once. */
	(void)close(resolvers[0]);
	(void)close(resolvers[1]);
	ASK(3, WWW, RH_DNS_A);
	ck_assert_int_eq(take_reply(3, &n), RH_DNS_SERVFAIL);
}
END_TEST

START_TEST(truncated_answers_come_by_tcp)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(53)};
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint8_t length[2] = {0};
	unsigned n = 0;
	uint16_t id = 0;
	int fd = -1;

	name.sin_addr.s_addr = inet_addr("127.0.0.2");
	ck_assert_int_eq(bind(server, (struct sockaddr *)&name, sizeof(name)), 0);
	ck_assert_int_eq(listen(server, 1), 0);
	ASK(1, WWW, RH_DNS_A);
	answer(0, take_query(0), RH_DNS_TRUNCATED, NULL);
	work_until(server);
	fd = accept(server, NULL, NULL);
	work_until(fd);
	ck_assert_int_eq(recv(fd, length, 2, MSG_WAITALL), 2);
	n_data = rh_dns_u16(length);
	ck_assert_int_eq(recv(fd, data, n_data, MSG_WAITALL), (int)n_data);
	id = rh_dns_u16(data);
	make_answer(id, 0, "192.0.2.7");
	(void)rh_dns_put16(length, 0, (uint16_t)n_data);
	ck_assert_int_eq(send(fd, length, 1, 0), 1);
	work();
	ck_assert_int_eq(send(fd, length + 1, 1, 0), 1);
	ck_assert_int_eq(send(fd, data, n_data, 0), (int)n_data);
	ck_assert_int_eq(take_reply(1, &n), RH_DNS_NOERROR);
	ck_assert_uint_eq(n, 1);
	(void)close(fd);
	/* Cut off there, or without a listener there: the next resolver is asked. */
	ASK(2, WWW, RH_DNS_A);
	answer(0, take_query(0), RH_DNS_TRUNCATED, NULL);
	work_until(server);
	fd = accept(server, NULL, NULL);
	(void)close(fd);
	answer(1, take_query(1), RH_DNS_TRUNCATED, NULL);
	answer(0, take_query(0), 0, "192.0.2.7");
	ck_assert_int_eq(take_reply(2, &n), RH_DNS_NOERROR);
	(void)close(server);
}
END_TEST

static int stream_reply(int fd)
{
	uint8_t length[2];

	work_until(fd);
	if (recv(fd, length, 2, MSG_WAITALL) != 2)
		return -1;
	n_data = rh_dns_u16(length);
	ck_assert_int_eq(recv(fd, data, n_data, MSG_WAITALL), (int)n_data);
	return data[3] & RH_DNS_RCODE;
}

static void stream_ask(int fd, uint16_t id, const char *wire, size_t size)
{
	uint8_t length[2];
	size_t n = write_question(id, wire, size, RH_DNS_A);

	(void)rh_dns_put16(length, 0, (uint16_t)n);
	ck_assert_int_eq(send(fd, length, 2, MSG_NOSIGNAL), 2);
	ck_assert_int_eq(send(fd, data, n, MSG_NOSIGNAL), (int)n);
}

START_TEST(clients_by_tcp)
{
	int fds[RH_DNS_STREAMS_OF_ONE_MAX];
	int extra = -1;

	for (size_t i = 0; i < RH_DNS_STREAMS_OF_ONE_MAX; i++)
		fds[i] = connect_stream();
	work();
	extra = connect_stream();
	ck_assert_int_eq(stream_reply(extra), -1);
	(void)close(extra);
	/* Two at once are answered one after the other. */
	stream_ask(fds[0], 1, EVIL, sizeof(EVIL));
	stream_ask(fds[0], 2, WWW, sizeof(WWW));
	ck_assert_int_eq(stream_reply(fds[0]), RH_DNS_NXDOMAIN);
	answer(0, take_query(0), 0, "192.0.2.7");
	ck_assert_int_eq(stream_reply(fds[0]), RH_DNS_NOERROR);
	ck_assert_uint_eq(n_learned, 1);
	/* Nonsense ends it; so does silence. */
	ck_assert_int_eq(send(fds[1], "\xff\xff", 2, 0), 2);
	ck_assert_int_eq(stream_reply(fds[1]), -1);
	ck_assert_int_eq(send(fds[2], "\0\0", 2, 0), 2);
	ck_assert_int_eq(stream_reply(fds[2]), -1);
	ck_assert_int_gt(rh_dns_wait_ms(dns, now_ms), 0);
	now_ms = rh_now_ms() + RH_DNS_STREAM_IDLE_MS + 1;
	ck_assert_int_eq(stream_reply(fds[3]), -1);
	/* Whoever leaves while it waits is missed by nobody. */
	extra = connect_stream();
	stream_ask(extra, 3, WWW, sizeof(WWW));
	(void)take_query(0);
	(void)close(extra);
	work();
	(void)write_question(0, "\3www\7example\3org", 17, RH_DNS_A);
	answer(0, 0, 0, NULL);
	work();
	for (size_t i = 0; i < RH_DNS_STREAMS_OF_ONE_MAX; i++)
		(void)close(fds[i]);
}
END_TEST

START_TEST(too_many_at_once)
{
	unsigned n = 0;

	for (uint16_t i = 0; i < RH_DNS_LOOKUPS_OF_ONE_MAX; i++) {
		ASK(i, WWW, RH_DNS_A);
		work();
	}
	ck_assert(is_quiet(client));
	ASK(99, WWW, RH_DNS_A);
	ck_assert_int_eq(take_reply(99, &n), RH_DNS_SERVFAIL);
}
END_TEST

START_TEST(what_cannot_be_done)
{
	struct rlimit none = {.rlim_cur = 3};
	struct in_addr address = {.s_addr = inet_addr("127.0.0.2")};
	struct in_addr nothing = {0};
	struct rlimit before;
	unsigned n = 0;

	/* No socket. */
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none.rlim_max = before.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ASK(1, WWW, RH_DNS_A);
	ck_assert_int_eq(take_reply(1, &n), RH_DNS_SERVFAIL);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	/* Not into the rules: not told either. */
	learn_r = -ENFILE;
	ASK(2, WWW, RH_DNS_A);
	answer(0, take_query(0), 0, "192.0.2.7");
	ck_assert_int_eq(take_reply(2, &n), RH_DNS_SERVFAIL);
	ck_assert_uint_eq(n, 0);
	/* Somebody else is there. */
	ck_assert_int_eq(rh_dns_listen(dns, "lo", address, &err), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(err.text, "127.0.0.2"));
	ck_assert(!rh_dns_listens(dns));
	ck_assert_int_eq(rh_dns_listen(dns, "lo", nothing, &err), -EADDRNOTAVAIL);
	address.s_addr = inet_addr("127.0.0.1");
	ck_assert_int_eq(rh_dns_listen(dns, "nowhere0", address, &err), -ENODEV);
	ck_assert_int_eq(rh_dns_listen(dns, "lo", address, &err), 0);
}
END_TEST

static void tests(Suite *suite)
{
	const TTest *const all[] = {a_name_that_is_allowed, names_that_are_not, what_is_malformed,
		answers_that_are_none, resolvers_in_turn, truncated_answers_come_by_tcp,
		clients_by_tcp, too_many_at_once, what_cannot_be_done};
	TCase *cases = tcase_create("dns");

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 60);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tcase_add_test(cases, all[i]);
	suite_add_tcase(suite, cases);
}

RH_TEST_MAIN("network-dns", tests);
