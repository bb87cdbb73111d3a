/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What iptables' programs are told and say (broker/daemon/network/xtables.h), and what a port's
 * filter lets in (frames.h): a socket's filter is the same program, whose verdict says how many
 * bytes of a datagram arrive.
 */

#include "broker/daemon/network/xtables.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/daemon/network/frames.h"
#include "rh-test.h"

#define INSTANCE "00112233445566778899aabbccddeeff"

static char *one_egress[] = {
	(char[]){"192.0.2.0/24:443"}, (char[]){"2001:db8::/32"}, (char[]){"*:80-81"}, NULL};
static struct rh_rules_port port = {.instance = INSTANCE,
	.name = "veth0",
	.index = 7,
	.mac = {0x02, 0x42, 0xac, 0x12, 0, 2},
	.ip4 = {0},
	.egress = one_egress};
static struct rh_rules_port *const ports[] = {&port};
static const struct rh_rules rules = {.table = "net",
	.bridge = "br-1",
	.log_group = 99,
	.resolvers = {{AF_INET, {192, 0, 2, 53}}, {AF_INET6, {0x20, 0x01, 0x0d, 0xb8}}},
	.n_resolvers = 2};
static char *text;
static size_t size;

static void setup(void)
{
	ck_assert_int_eq(inet_pton(AF_INET, "172.18.0.2", &port.ip4), 1);
	ck_assert_int_eq(inet_pton(AF_INET6, "fd00::2", &port.ip6), 1);
	ck_assert_int_eq(inet_pton(AF_INET6, "fe80::42:acff:fe12:2", &port.link_local), 1);
	port.egress = one_egress;
}

static size_t write_rules(int family, const struct rh_xtables_seen *seen)
{
	FILE *out = NULL;
	size_t n = 0;

	free(text);
	out = open_memstream(&text, &size);
	ck_assert_ptr_nonnull(out);
	n = rh_xtables_write(out, family, &rules, ports, 1, seen);
	ck_assert_int_eq(fclose(out), 0);
	return n;
}

static bool has(const char *line)
{
	size_t n = strlen(line);

	for (const char *at = text; (at = strstr(at, line)); at += n) {
		if ((at == text || at[-1] == '\n') && at[n] == '\n')
			return true;
	}
	return false;
}

static void expect_all(const char *const *lines)
{
	for (; *lines; lines++)
		ck_assert_msg(has(*lines), "%s is not in\n%s", *lines, text);
}

START_TEST(rules_of_ip4)
{
	static const char *const lines[] = {"*filter", ":net-fwd - [0:0]",
		":net-c0011223344 - [0:0]", "-I FORWARD 1 -j net-fwd", "-I INPUT 1 -j net-in",
		"-A net-fwd ! -i br-1 -j RETURN",
		"-A net-fwd ! -i br-1 -o br-1 -m conntrack --ctstate NEW -j DROP",
		("-A net-fwd -s 172.18.0.2 -m mac --mac-source 02:42:ac:12:00:02 -g "
		 "net-c0011223344"),
		"-A net-fwd -g net-bad",
		"-A net-src -s 172.18.0.2 -m mac --mac-source 02:42:ac:12:00:02 -j RETURN",
		"-A net-in -j net-src",
		"-A net-in -p udp -m conntrack --ctorigdst 192.0.2.53 --ctorigdstport 53 -j RETURN",
		"-A net-in -s 172.18.0.2 -g net-r0011223344", "-A net-in -g net-no",
		"-A net-no -p tcp -j REJECT --reject-with tcp-reset",
		"-A net-no -j REJECT --reject-with icmp-admin-prohibited",
		"-A net-c0011223344 -o br-1 -g net-r0011223344",
		"-A net-c0011223344 -d 169.254.0.0/16 -g net-r0011223344",
		"-A net-c0011223344 -m conntrack --ctstate DNAT -g net-r0011223344",
		("-A net-c0011223344 -m addrtype --dst-type LOCAL,BROADCAST,ANYCAST,MULTICAST -g "
		 "net-r0011223344"),
		"-A net-c0011223344 -d 192.0.2.0/24 -p tcp --dport 443:443 -j RETURN",
		"-A net-c0011223344 -p udp --dport 80:81 -j RETURN",
		"-A net-c0011223344 -g net-r0011223344",
		("-A net-r0011223344 -m limit --limit 20/second --limit-burst 40 -j NFLOG "
		 "--nflog-group 99 --nflog-prefix refused"),
		"COMMIT", NULL};
	struct rh_xtables_seen none = {0};

	ck_assert_uint_gt(write_rules(AF_INET, &none), 20);
	expect_all(lines);
	ck_assert_ptr_null(strstr(text, "2001:db8"));
	ck_assert_ptr_null(strstr(text, "DOCKER-USER"));
	ck_assert_ptr_null(strstr(text, "-D "));
}
END_TEST

START_TEST(rules_of_ip6)
{
	static const char *const lines[] = {
		"-A net-fwd -s fd00::2 -m mac --mac-source 02:42:ac:12:00:02 -g net-c0011223344",
		("-A net-src -s fe80::42:acff:fe12:2 -m mac --mac-source 02:42:ac:12:00:02 -j "
		 "RETURN"),
		"-A net-in -p ipv6-icmp --icmpv6-type 135 -j RETURN",
		"-A net-no -j REJECT --reject-with icmp6-adm-prohibited",
		"-A net-c0011223344 -d fd00:ec2::254 -g net-r0011223344",
		"-A net-c0011223344 -d fe80::/10 -g net-r0011223344",
		("-A net-c0011223344 -m addrtype --dst-type LOCAL,ANYCAST,MULTICAST -g "
		 "net-r0011223344"),
		"-A net-c0011223344 -d 2001:db8::/32 -j RETURN", NULL};
	struct rh_xtables_seen none = {0};

	(void)write_rules(AF_INET6, &none);
	expect_all(lines);
	ck_assert_ptr_null(strstr(text, "192.0.2"));
	/* Whoever has no such address has no such chain. */
	port.ip6 = (struct in6_addr){0};
	(void)write_rules(AF_INET6, &none);
	ck_assert_ptr_null(strstr(text, "net-c"));
	ck_assert(has("-A net-fwd -g net-bad"));
}
END_TEST

START_TEST(egress_modes)
{
	char *modes[][2] = {{(char[]){"allow"}, NULL}, {(char[]){"audit"}, NULL},
		{(char[]){"deny"}, NULL}, {NULL, NULL}};
	static const char *const last[] = {"-A net-c0011223344 -j RETURN",
		"-A net-c0011223344 -g net-s0011223344", "-A net-c0011223344 -g net-r0011223344",
		"-A net-c0011223344 -j RETURN"};
	static const char dns[] = "-A net-c0011223344 -p tcp -m conntrack --ctorigdst 192.0.2.53 "
				  "--ctorigdstport 53 ";
	struct rh_xtables_seen none = {0};

	for (size_t i = 0; i < 4; i++) {
		port.egress = modes[i];
		(void)write_rules(AF_INET, &none);
		ck_assert_msg(has(last[i]), "%s", text);
		ck_assert_int_eq(!strstr(text, dns), i == 2);
		ck_assert_int_eq(!!strstr(text, "--nflog-prefix seen"), i == 1);
	}
}
END_TEST

#define SAVED                                                                                     \
	"# Generated\n*filter\n:INPUT ACCEPT [3:4]\n:FORWARD DROP [0:0]\n:DOCKER-USER - [0:0]\n"  \
	":net-fwd - [0:0]\n:net-in - [0:0]\n:net-c0011223344 - [0:0]\n:net-r9911223344 - [0:0]\n" \
	":net-x0011223344 - [0:0]\n:nets-fwd - [0:0]\n"

static int parse(const char *saved, struct rh_xtables_seen *ret_seen)
{
	char copy[4096];

	(void)snprintf(copy, sizeof(copy), "%s", saved);
	return rh_xtables_parse(copy, "net", ret_seen);
}

START_TEST(what_is_there)
{
	struct rh_xtables_seen seen;
	struct rh_xtables_seen other;

	ck_assert_int_eq(parse(SAVED "-A FORWARD -j nets-fwd\n-A FORWARD -j net-fwd\n"
				     "-A FORWARD -j ACCEPT\n-A INPUT -j net-in \n"
				     "-A DOCKER-USER -j net-fwd\n-A DOCKER-USER -j RETURN\n"
				     "-A net-fwd -j DROP\n-A nets-fwd -j ACCEPT\nCOMMIT\n",
				 &seen),
		0);
	ck_assert(rh_xtables_is_reached(&seen));
	ck_assert_uint_eq(seen.n_rules, 1);
	ck_assert_str_eq(seen.chains[3], "net-r9911223344");
	ck_assert_ptr_null(seen.chains[4]);
	/* What nobody needs any more goes; what is there is jumped to once. */
	(void)write_rules(AF_INET, &seen);
	ck_assert(has(":net-r9911223344 - [0:0]"));
	ck_assert(has("-X net-r9911223344"));
	ck_assert(!has("-X net-c0011223344"));
	ck_assert(has("-D FORWARD -j net-fwd"));
	ck_assert(has("-I DOCKER-USER 1 -j net-fwd"));
	ck_assert_ptr_null(strstr(text, "nets-"));
	/* A rule of ours that changed. */
	ck_assert_int_eq(parse(SAVED "-A net-fwd -j ACCEPT\n", &other), 0);
	ck_assert(other.hash != seen.hash);
	ck_assert(!rh_xtables_is_reached(&other));
	rh_xtables_forget(&other);
	rh_xtables_forget(&seen);
	rh_xtables_forget(&seen);
}
END_TEST

START_TEST(what_comes_before_ours)
{
	static const char *const before[] = {"-A FORWARD -j ACCEPT\n",
		"-A FORWARD -j DOCKER-USER\n", "-A FORWARD -i x -j a-fwd\n",
		"-A FORWARD -j net-fwd\n", "-A INPUT -j a-fwd\n", ""};

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		struct rh_xtables_seen seen;
		char saved[512];

		(void)snprintf(saved, sizeof(saved),
			":INPUT - [0:0]\n%s-A FORWARD -j net-fwd\n-A INPUT -j net-in\n", before[i]);
		ck_assert_int_eq(parse(saved, &seen), 0);
		ck_assert_msg(
			rh_xtables_is_reached(&seen) == (before[i][0] == '\0'), "%s", before[i]);
		rh_xtables_forget(&seen);
	}
}
END_TEST

START_TEST(names)
{
	char base[RH_XTABLES_BASE_SIZE];
	char instance[11];

	rh_xtables_base("runnerhub-abc123", base);
	ck_assert_str_eq(base, "runnerhub-abc123");
	/* As scripts/lib/firewall.sh has it. */
	rh_xtables_base("runnerhub-verylong-name1", base);
	ck_assert_str_eq(base, "runnerh-bb6bcc8e");
	ck_assert(rh_xtables_is_own("net", "net-c0011223344", instance));
	ck_assert_str_eq(instance, "0011223344");
	ck_assert(rh_xtables_is_own("net", "net-in", instance));
	ck_assert_str_eq(instance, "");
	ck_assert(!rh_xtables_is_own("net", "net-c001122334", NULL));
	ck_assert(!rh_xtables_is_own("net", "net-c00112233445", NULL));
	ck_assert(!rh_xtables_is_own("net", "net-", NULL));
	ck_assert(!rh_xtables_is_own("net", "net", NULL));
	ck_assert(!rh_xtables_is_own("net", "netz-in", NULL));
}
END_TEST

/* Whether the port lets that frame in. */
static bool passes(const uint8_t *frame, size_t n)
{
	struct sock_filter steps[RH_FRAMES_STEPS_MAX];
	struct sock_fprog program = {.filter = steps};
	uint8_t got[256];
	int fds[2];
	ssize_t arrived = 0;

	program.len = (unsigned short)rh_frames_program(&port, steps);
	ck_assert_uint_le(program.len, RH_FRAMES_STEPS_MAX);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(
		setsockopt(fds[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
	(void)!send(fds[0], frame, n, MSG_DONTWAIT);
	arrived = recv(fds[1], got, sizeof(got), MSG_DONTWAIT);
	(void)close(fds[0]);
	(void)close(fds[1]);
	/* To pass is 0, which is no byte at all. */
	ck_assert(arrived == -1 || (arrived > 0 && arrived <= RH_FRAMES_DROP));
	return arrived == -1;
}

/* A frame of the port's own MAC address. */
static void frame_of(uint8_t frame[128], uint16_t type)
{
	memset(frame, 0, 128);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, port.mac, 6);
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
}

START_TEST(frames_of_ip4)
{
	uint8_t frame[128];

	frame_of(frame, 0x0800);
	memcpy(frame + 26, &port.ip4, 4);
	ck_assert(passes(frame, 34));
	ck_assert(!passes(frame, 33));
	frame[11] ^= 1;
	ck_assert(!passes(frame, 34));
	frame[11] ^= 1;
	frame[29] ^= 1;
	ck_assert(!passes(frame, 34));
	for (size_t n = 1; n < 14; n++)
		ck_assert(!passes(frame, n));
	frame_of(frame, 0x8100);
	memcpy(frame + 26, &port.ip4, 4);
	ck_assert(!passes(frame, 64));
	frame_of(frame, 0x0026); /* LLC: a bridge's own */
	ck_assert(!passes(frame, 64));
}
END_TEST

START_TEST(frames_of_arp)
{
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0, 1};
	uint8_t frame[128];

	frame_of(frame, 0x0806);
	memcpy(frame + 14, head, sizeof(head));
	memcpy(frame + 22, port.mac, 6);
	memcpy(frame + 28, &port.ip4, 4);
	ck_assert(passes(frame, 42));
	ck_assert(!passes(frame, 41));
	for (size_t at = 14; at < 32; at++) {
		if (at == 20 || at == 21)
			continue; /* ask or answer */
		frame[at] ^= 1;
		ck_assert_msg(!passes(frame, 42), "byte %zu", at);
		frame[at] ^= 1;
	}
}
END_TEST

START_TEST(frames_of_ip6)
{
	static const uint8_t hiding[] = {0, 43, 60, 51, 135};
	uint8_t frame[128];

	frame_of(frame, 0x86dd);
	frame[20] = IPPROTO_UDP;
	ck_assert(!passes(frame, 80)); /* from :: */
	memcpy(frame + 22, &port.ip6, 16);
	ck_assert(passes(frame, 54));
	ck_assert(!passes(frame, 53));
	memcpy(frame + 22, &port.link_local, 16);
	ck_assert(passes(frame, 54));
	frame[37] ^= 1;
	ck_assert(!passes(frame, 54));
	frame[37] ^= 1;
	frame[20] = IPPROTO_ICMPV6;
	ck_assert(!passes(frame, 54));
	for (unsigned type = 0; type < 256; type++) {
		frame[54] = (uint8_t)type;
		ck_assert_int_eq(passes(frame, 80), type != 134 && type != 136 && type != 137);
	}
	for (size_t i = 0; i < sizeof(hiding); i++) {
		frame[20] = hiding[i];
		ck_assert(!passes(frame, 80));
	}
	/* Without IPv6 none of it. */
	frame[20] = IPPROTO_UDP;
	ck_assert(passes(frame, 80));
	port.ip6 = (struct in6_addr){0};
	ck_assert(!passes(frame, 80));
	memset(frame + 22, 0, 16);
	ck_assert(!passes(frame, 80));
}
END_TEST

static void tests(Suite *suite)
{
	const TTest *const all[] = {rules_of_ip4, rules_of_ip6, egress_modes, what_is_there,
		what_comes_before_ours, names, frames_of_ip4, frames_of_arp, frames_of_ip6};
	TCase *texts = tcase_create("texts");

	tcase_add_checked_fixture(texts, setup, NULL);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tcase_add_test(texts, all[i]);
	suite_add_tcase(suite, texts);
}

RH_TEST_MAIN("network-xtables", tests);
