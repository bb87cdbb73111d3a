/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/config/egress.h
 */

#include "broker/daemon/config/egress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "rh-test.h"

static void check_place(
	const char *text, const char *address, unsigned prefix, unsigned first, unsigned last)
{
	struct rh_egress_place place;
	char said[INET6_ADDRSTRLEN] = "*";

	ck_assert_msg(rh_egress_parse(text, &place) == 0, "%s", text);
	if (place.family != AF_UNSPEC)
		ck_assert_ptr_nonnull(inet_ntop(place.family, place.address, said, sizeof(said)));
	ck_assert_str_eq(said, address);
	ck_assert_uint_eq(place.prefix, prefix);
	ck_assert_uint_eq(place.first_port, first);
	ck_assert_uint_eq(place.last_port, last);
}

START_TEST(places)
{
	check_place("192.0.2.7", "192.0.2.7", 32, 0, 0);
	check_place("192.0.2.0/24", "192.0.2.0", 24, 0, 0);
	check_place("0.0.0.0/0", "0.0.0.0", 0, 0, 0);
	check_place("192.0.2.0/25:443", "192.0.2.0", 25, 443, 443);
	check_place("192.0.2.7:8000-8099", "192.0.2.7", 32, 8000, 8099);
	check_place("2001:db8::/32", "2001:db8::", 32, 0, 0);
	check_place("2001:db8::1", "2001:db8::1", 128, 0, 0);
	check_place("[2001:db8::1]", "2001:db8::1", 128, 0, 0);
	check_place("[2001:db8::/32]:1-65535", "2001:db8::", 32, 1, 65535);
	check_place("*", "*", 0, 0, 0);
	check_place("*:443", "*", 0, 443, 443);
}
END_TEST

START_TEST(what_is_no_place)
{
	static char too_long[83];
	static const char *const texts[] = {"", ":443", "*:", "*:0", "*:65536", "*:9-8", "*:80-",
		"*:+80", "*: 80", "*:080000", "192.0.2.7/33", "192.0.2.7/24", "192.0.2.0/",
		"192.0.2", "192.0.2.0/-1", "192.0.2.0/24/24", "[192.0.2.7]:80", "2001:db8::/129",
		"2001:db8::1/64", "[2001:db8::1", "2001:db8::1]:80", "[]:80", "github.com",
		"*.example.com", "192.0.2.7; accept",
		"2001:0db8:0000:0000:0000:0000:0000:0000:0000:0001", too_long};
	struct rh_egress_place place;

	memset(too_long, 'a', sizeof(too_long) - 1);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ck_assert_msg(rh_egress_parse(texts[i], &place) == -EINVAL, "%s", texts[i]);
		ck_assert_ptr_nonnull(rh_egress_check(texts[i]));
	}
}
END_TEST

START_TEST(words_stand_alone)
{
	char *none[] = {NULL};
	char *word[] = {(char *)"audit", NULL};
	char *list[] = {(char *)"192.0.2.7", (char *)"*:443", NULL};
	char *mixed[] = {(char *)"192.0.2.7", (char *)"allow", NULL};
	char *twice[] = {(char *)"deny", (char *)"allow", NULL};

	ck_assert_int_eq(rh_egress_mode(NULL), RH_EGRESS_ALLOW);
	ck_assert_int_eq(rh_egress_mode(none), RH_EGRESS_ALLOW);
	ck_assert_int_eq(rh_egress_mode(word), RH_EGRESS_AUDIT);
	ck_assert_int_eq(rh_egress_mode(list), RH_EGRESS_LIST);
	ck_assert_int_eq(rh_egress_mode_of("deny"), RH_EGRESS_DENY);
	ck_assert_ptr_null(rh_egress_check("allow"));
	ck_assert_ptr_null(rh_egress_check_list(NULL));
	ck_assert_ptr_null(rh_egress_check_list(word));
	ck_assert_ptr_null(rh_egress_check_list(list));
	ck_assert_ptr_nonnull(rh_egress_check_list(mixed));
	ck_assert_ptr_nonnull(rh_egress_check_list(twice));
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "egress", places, what_is_no_place, words_stand_alone);
}

RH_TEST_MAIN("config-egress", tests);
