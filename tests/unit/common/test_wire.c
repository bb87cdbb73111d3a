/* SPDX-License-Identifier: Apache-2.0 */

/*
 * include/runnerhub/wire.h: packets, descriptors, text.
 */

#include "runnerhub/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rh-test.h"

static int pair[2];

static void open_pair(void)
{
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
}

static void close_pair(void)
{
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

START_TEST(body_and_descriptors_arrive)
{
	struct rh_wire_msg msg;
	int fds[2] = {0, 1};

	ck_assert_int_eq(rh_wire_send(pair[0], RH_WIRE_REFUSED, "no", 2, fds, 2), 0);
	ck_assert_int_eq(rh_wire_recv(pair[1], &msg), 0);
	ck_assert_int_eq(msg.type, RH_WIRE_REFUSED);
	ck_assert_uint_eq(msg.body_size, 2);
	ck_assert_str_eq((const char *)msg.body, "no");
	ck_assert_int_eq(msg.n_fds, 2);
	ck_assert_int_eq(fcntl(msg.fds[0], F_GETFD), FD_CLOEXEC);
	rh_wire_msg_close_fds(&msg);
}
END_TEST

START_TEST(another_major_version_is_told_so_in_its_own)
{
	struct rh_wire_header header = {.magic = RH_WIRE_MAGIC, .type = RH_WIRE_JOB_STARTED};
	static const uint16_t wrong[] = {0, 0x0100, 0x0201, 0xffff};
	struct rh_wire_header answer;
	char packet[256] = "";
	struct rh_wire_msg msg;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		header.version = wrong[i];
		ck_assert_int_eq(
			send(pair[0], &header, sizeof(header), 0), (ssize_t)sizeof(header));
		ck_assert_int_eq(rh_wire_recv(pair[1], &msg), -EPROTONOSUPPORT);
		ck_assert_uint_eq(msg.version, wrong[i]);
		ck_assert_int_eq(rh_wire_refuse(pair[1], msg.version, "no"), 0);
		ck_assert_int_eq(
			recv(pair[0], packet, sizeof(packet), 0), (ssize_t)sizeof(header) + 2);
		memcpy(&answer, packet, sizeof(answer));
		ck_assert_uint_eq(answer.version, wrong[i]);
		ck_assert_int_eq(answer.type, RH_WIRE_REFUSED);
		ck_assert_int_eq(memcmp(packet + sizeof(answer), "no", 2), 0);
	}
	/* Of its own major version a newer one is welcome. */
	header.version = RH_WIRE_VERSION + 1;
	ck_assert_int_eq(send(pair[0], &header, sizeof(header), 0), (ssize_t)sizeof(header));
	ck_assert_int_eq(rh_wire_recv(pair[1], &msg), 0);
	ck_assert_uint_eq(msg.version, RH_WIRE_VERSION + 1);
}
END_TEST

START_TEST(empty_body_is_a_message_and_close_is_eof)
{
	struct rh_wire_msg msg;

	ck_assert_int_eq(rh_wire_recv(pair[1], &msg), RH_WIRE_E_AGAIN);
	ck_assert_int_eq(rh_wire_send(pair[0], RH_WIRE_GO, NULL, 0, NULL, 0), 0);
	ck_assert_int_eq(rh_wire_recv(pair[1], &msg), 0);
	ck_assert_int_eq(msg.type, RH_WIRE_GO);
	ck_assert_int_eq(shutdown(pair[0], SHUT_WR), 0);
	ck_assert_int_eq(rh_wire_recv(pair[1], &msg), RH_WIRE_E_EOF);
}
END_TEST

START_TEST(last_words_outlive_a_peer_that_did_not_listen)
{
	struct rh_wire_msg msg;

	ck_assert_int_eq(rh_wire_send(pair[1], RH_WIRE_SIGNAL, NULL, 0, NULL, 0), 0);
	ck_assert_int_eq(rh_wire_send(pair[0], RH_WIRE_EXIT, NULL, 0, NULL, 0), 0);
	ck_assert_int_eq(close(pair[0]), 0);
	ck_assert_int_eq(rh_wire_recv(pair[1], &msg), 0);
	ck_assert_int_eq(msg.type, RH_WIRE_EXIT);
	ck_assert_int_eq(rh_wire_recv(pair[1], &msg), RH_WIRE_E_EOF);
}
END_TEST

START_TEST(largest_body_passes_and_one_more_is_refused)
{
	static uint8_t body[RH_WIRE_BODY_MAX + 1];
	struct rh_wire_msg msg;

	ck_assert_int_eq(rh_wire_send(pair[0], RH_WIRE_TEXT, body, RH_WIRE_BODY_MAX, NULL, 0), 0);
	ck_assert_int_eq(rh_wire_recv(pair[1], &msg), 0);
	ck_assert_uint_eq(msg.body_size, RH_WIRE_BODY_MAX);
	ck_assert_int_eq(
		rh_wire_send(pair[0], RH_WIRE_TEXT, body, sizeof(body), NULL, 0), -EMSGSIZE);
}
END_TEST

START_TEST(too_many_descriptors_are_refused_and_closed)
{
	struct rh_wire_header header = {.magic = RH_WIRE_MAGIC, .version = 1, .type = RH_WIRE_STEP};
	struct iovec iov = {.iov_base = &header, .iov_len = sizeof(header)};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int) * (RH_WIRE_FDS_MAX + 1))];
	} control = {0};
	struct msghdr out = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	struct rh_wire_msg msg;
	int before = count_fds();

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int) * (RH_WIRE_FDS_MAX + 1));
	ck_assert_int_ge(sendmsg(pair[0], &out, 0), 0);
	ck_assert_int_eq(rh_wire_recv(pair[1], &msg), -EPROTO);
	ck_assert_int_eq(count_fds(), before);
}
END_TEST

START_TEST(malformed_headers_are_refused)
{
	struct rh_wire_header good = {.magic = RH_WIRE_MAGIC, .version = 1, .type = RH_WIRE_GO};
	struct rh_wire_header bad[] = {good, good, good};
	struct rh_wire_msg msg;

	bad[0].magic ^= 1;
	bad[1].body_size = 1;
	bad[2].body_size = UINT32_MAX;
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(rh_wire_parse(&bad[i], sizeof(bad[i]), &msg), -EPROTO);
	for (size_t n = 0; n < sizeof(good); n++)
		ck_assert_int_eq(rh_wire_parse(&good, n, &msg), -EPROTO);
	ck_assert_int_eq(rh_wire_parse(&good, sizeof(good), &msg), 0);
}
END_TEST

START_TEST(fixed_bodies_grow_with_the_version_only)
{
	struct rh_wire_msg msg = {.version = RH_WIRE_VERSION, .body_size = 8};

	ck_assert_ptr_nonnull(rh_wire_body(&msg, 8));
	ck_assert_ptr_null(rh_wire_body(&msg, 9));
	ck_assert_ptr_null(rh_wire_body(&msg, 4));
	msg.version = RH_WIRE_VERSION + 1;
	ck_assert_ptr_nonnull(rh_wire_body(&msg, 4));
}
END_TEST

START_TEST(text_is_checked)
{
	static const struct {
		const char *text;
		bool valid;
	} rows[] = {
		{"", true},
		{"plain\ttext\n", true},
		{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", true},
		{"\x1b[1m", false},
		{"bell\a", false},
		{"\xff", false},
		{"\xc0\xaf", false},
		{"\xed\xa0\x80", false},
		{"\xf4\x90\x80\x80", false},
		{"\xe2\x82", false},
		{"\xc2\x85", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_int_eq(rh_wire_text_valid(rows[i].text, strlen(rows[i].text), false),
			rows[i].valid);
	ck_assert(rh_wire_text_valid("\x1b[1m", 4, true));
	ck_assert(!rh_wire_text_valid("a\0b", 3, true));
}
END_TEST

START_TEST(text_is_copied_as_one_valid_line)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
		{"", ""},
		{"plain", "plain"},
		{"ab\xc3\xa4\xc3\xa4\xc3\xa4", "ab\xc3\xa4\xc3\xa4"}, /* no half of one */
		{"a\tb\nc", "a?b?c"},
		{"\x1b[31m", "?[31m"},
		{"x\xc2\x9b"
		 "1m",
			"x?1m"}, /* CSI as a C1 control */
		{"\xed\xa0\x80", "???"}, /* a surrogate */
		{"\xff\xc3", "??"},
		{"seven..x", "seven.."},
	};
	char buf[8];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rh_wire_text_copy(rows[i].from, buf, sizeof(buf));
		ck_assert_str_eq(buf, rows[i].to);
		ck_assert(rh_wire_text_valid(buf, strlen(buf), false));
	}
}
END_TEST

START_TEST(ids_format_and_parse)
{
	struct rh_id a, b;
	char text[RH_ID_TEXT_SIZE];

	ck_assert_int_eq(rh_id_new(&a), 0);
	rh_id_format(&a, text);
	ck_assert_int_eq(rh_id_parse(text, &b), 0);
	ck_assert(rh_id_equal(&a, &b));
	ck_assert(!rh_id_is_null(&a));
	ck_assert_int_eq(rh_id_parse("12", &b), -EINVAL);
	text[3] = 'x';
	ck_assert_int_eq(rh_id_parse(text, &b), -EINVAL);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *packets = tcase_create("packets");

	tcase_add_checked_fixture(packets, open_pair, close_pair);
	tcase_add_test(packets, body_and_descriptors_arrive);
	tcase_add_test(packets, empty_body_is_a_message_and_close_is_eof);
	tcase_add_test(packets, another_major_version_is_told_so_in_its_own);
	tcase_add_test(packets, last_words_outlive_a_peer_that_did_not_listen);
	tcase_add_test(packets, largest_body_passes_and_one_more_is_refused);
	tcase_add_test(packets, too_many_descriptors_are_refused_and_closed);
	suite_add_tcase(suite, packets);
	RH_ADD_TESTS(suite, "pure", text_is_copied_as_one_valid_line, malformed_headers_are_refused,
		fixed_bodies_grow_with_the_version_only, text_is_checked, ids_format_and_parse);
}

RH_TEST_MAIN("wire", tests);
