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

static void check_name(
	const char *text, const char *name, bool below, unsigned first, unsigned last)
{
	struct rh_egress_place place;

	ck_assert_msg(rh_egress_parse(text, &place) == 0, "%s", text);
	ck_assert_int_eq(place.family, AF_UNSPEC);
	ck_assert_str_eq(place.name, name);
	ck_assert(place.below == below);
	ck_assert_uint_eq(place.first_port, first);
	ck_assert_uint_eq(place.last_port, last);
}

START_TEST(names)
{
	static char label[64 + 5] = "";
	static char longest[] = "*.a.b.org";
	char *list[] = {(char *)"192.0.2.7", (char *)"github.com:443", NULL};
	char *no_names[] = {(char *)"192.0.2.7", (char *)"*:443", NULL};
	char *deny[] = {(char *)"deny", NULL};
	char *allow[] = {(char *)"allow", NULL};

	memset(label, 'a', 63);
	memcpy(label + 63, ".org", 5);
	check_name("github.com", "github.com", false, 0, 0);
	check_name("GitHub.COM:443", "github.com", false, 443, 443);
	check_name("*.example.org:8000-8099", "example.org", true, 8000, 8099);
	check_name("*.internal", "internal", true, 0, 0);
	check_name("_x._tcp.xn--mnchen-3ya.example", "_x._tcp.xn--mnchen-3ya.example", false, 0, 0);
	check_name("3com.4u.example", "3com.4u.example", false, 0, 0);
	check_name(label, label, false, 0, 0);
	check_name(longest, "a.b.org", true, 0, 0);
	ck_assert(rh_egress_has_names(list) && rh_egress_asks(list));
	ck_assert(!rh_egress_has_names(no_names) && !rh_egress_asks(no_names));
	ck_assert(!rh_egress_has_names(deny) && rh_egress_asks(deny));
	ck_assert(!rh_egress_asks(allow) && !rh_egress_asks(NULL));
}
END_TEST

START_TEST(what_names_stand_for)
{
	struct rh_egress_place one;
	struct rh_egress_place below;
	struct rh_egress_place address;

	ck_assert_int_eq(rh_egress_parse("example.org", &one), 0);
	ck_assert_int_eq(rh_egress_parse("*.example.org", &below), 0);
	ck_assert_int_eq(rh_egress_parse("192.0.2.7", &address), 0);
	ck_assert(rh_egress_has_name(&one, "example.org"));
	ck_assert(!rh_egress_has_name(&one, "a.example.org"));
	ck_assert(!rh_egress_has_name(&one, "example.or"));
	ck_assert(rh_egress_has_name(&below, "a.example.org"));
	ck_assert(rh_egress_has_name(&below, "a.b.example.org"));
	ck_assert(!rh_egress_has_name(&below, "example.org"));
	ck_assert(!rh_egress_has_name(&below, ".example.org"));
	ck_assert(!rh_egress_has_name(&below, "badexample.org"));
	ck_assert(!rh_egress_has_name(&below, "example.org.evil.net"));
	ck_assert(!rh_egress_has_name(&address, "192.0.2.7"));
	ck_assert(!rh_egress_has_name(&address, ""));
}
END_TEST

START_TEST(what_is_wrong_is_said)
{
	ck_assert_ptr_nonnull(strstr(rh_egress_check("git\xc3\xbc.com"), "xn--"));
	ck_assert_ptr_nonnull(strstr(rh_egress_check("a.*.com"), "at its beginning only"));
	ck_assert_ptr_nonnull(strstr(rh_egress_check("a..com"), "two dots"));
	ck_assert_ptr_nonnull(strstr(rh_egress_check("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
						     "aaaaaaaaaaaaaaaaaaaaaaa.com"),
		"at most 63"));
	ck_assert_ptr_nonnull(strstr(rh_egress_check("a-.com"), "next to a dot"));
	ck_assert_ptr_nonnull(strstr(rh_egress_check("alow"), "must be allow, audit, deny"));
}
END_TEST

START_TEST(what_is_no_place)
{
	static char too_long[400];
	static const char *const texts[] = {"", ":443", "*:", "*:0", "*:65536", "*:9-8", "*:80-",
		"*:+80", "*: 80", "*:080000", "192.0.2.7/33", "192.0.2.7/24", "192.0.2.0/",
		"192.0.2", "192.0.2.0/-1", "192.0.2.0/24/24", "[192.0.2.7]:80", "2001:db8::/129",
		"2001:db8::1/64", "[2001:db8::1", "2001:db8::1]:80", "[]:80", "github", "alow",
		"192.0.2.300", "github.com:", "github.com:0", "github.com/24", "[github.com]",
		"[github.com]:443", ".github.com", "github.com.", "github..com", "-a.com", "a-.com",
		"a.*.com", "*a.com", "*.", "*.*.com", "**.com", "gith ub.com", "a.com;b.com",
		"git\xc3\xbc.com", "a.b:443,80", "192.0.2.7; accept",
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
	RH_ADD_TESTS(suite, "egress", places, names, what_names_stand_for, what_is_wrong_is_said,
		what_is_no_place, words_stand_alone);
}

RH_TEST_MAIN("config-egress", tests);
