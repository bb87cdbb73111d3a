/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Forms of text options: names that end up in paths, engine requests and client.conf.
 */

#include "broker/daemon/config/check.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "broker/daemon/config/egress.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Of 1 to @max characters, the first of @first and the others of @rest. */
static bool is_word(const char *text, const char *first, const char *rest, size_t max)
{
	size_t n = strlen(text);

	return n >= 1 && n <= max && strchr(first, text[0]) && strspn(text, rest) == n;
}

const char *rh_check_path(const char *text)
{
	size_t n = strlen(text);

	if (text[0] != '/')
		return "must be an absolute path";
	if (n >= PATH_MAX)
		return "must be shorter";
	for (const char *p = text; *p; p += strcspn(p + 1, "/") + 1) {
		size_t part = strcspn(p + 1, "/");

		if ((part == 0 && n > 1) || (part == 1 && p[1] == '.') ||
			(part == 2 && p[1] == '.' && p[2] == '.'))
			return "must not contain //, /./ or /../, nor end in a slash";
	}
	return NULL;
}

const char *rh_check_image(const char *text)
{
	return is_word(text, LOWER UPPER DIGITS, LOWER UPPER DIGITS "_.-/:@", 512)
		? NULL
		: "must be an image reference such as debian:bookworm";
}

const char *rh_check_network(const char *text)
{
	if (strcmp(text, "host") == 0)
		return "must not be host, which is no isolation at all";
	return is_word(text, LOWER UPPER DIGITS, LOWER UPPER DIGITS "_.-", 128)
		? NULL
		: "must be isolated, none, or the name of a network";
}

/* What nft(8) takes unquoted, with room for what interfaces and files are called after it. */
const char *rh_check_network_name(const char *text)
{
	if (strcmp(text, "host") == 0 || strcmp(text, "bridge") == 0 || strcmp(text, "none") == 0)
		return "must not be one of the engine's own networks";
	return is_word(text, LOWER UPPER, LOWER UPPER DIGITS "_.-", 63)
		? NULL
		: "must be a name of letters, digits, _ . - that begins with a letter, at most 63";
}

const char *rh_check_subnet6(const char *text)
{
	struct rh_egress_place place;

	if (strcmp(text, "none") == 0 ||
		(rh_egress_parse(text, &place) == 0 && place.family == AF_INET6 &&
			!place.first_port && place.prefix < 128 && text[0] != '['))
		return NULL;
	return "must be an IPv6 subnet such as fd00:1234::/64, or none";
}

const char *rh_check_address(const char *text)
{
	struct in6_addr address;

	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1
		? NULL
		: "must be an IPv4 or IPv6 address";
}

/* Below the workspace, and never the workspace itself. */
const char *rh_check_keep(const char *text)
{
	if (text[0] == '\0' || text[0] == '/' || strlen(text) > 255 || strchr(text, '\n'))
		return "must be a path in the workspace, of at most 255 bytes";
	for (const char *at = text; *at;) {
		size_t n = strcspn(at, "/");

		if (n == 0 || (at[0] == '.' && (n == 1 || (n == 2 && at[1] == '.'))) ||
			(at[n] == '/' && at[n + 1] == '\0'))
			return "must be a path without empty, \".\" or \"..\" parts";
		at += n + (at[n] == '/');
	}
	return NULL;
}

/* capabilities(7). ALL is not among them: each is granted by its name. */
const char *rh_check_capability(const char *text)
{
	static const char *const known[] = {"AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE",
		"BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN", "DAC_OVERRIDE",
		"DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE",
		"LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN",
		"NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP", "SETGID",
		"SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE",
		"SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME",
		"SYS_TTY_CONFIG", "WAKE_ALARM"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i], text) == 0)
			return NULL;
	return "must be the name of a capability without CAP_, such as NET_RAW";
}

/* getrlimit(2), without core, which stays 0, and nofile, which is an option. */
const char *rh_check_ulimit(const char *text)
{
	static const char *const known[] = {"cpu", "data", "fsize", "locks", "memlock", "msgqueue",
		"nice", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack"};
	size_t n = strcspn(text, "=");
	const char *soft = text[n] ? text + n + 1 : text + n;
	size_t n_soft = strspn(soft, DIGITS);
	const char *hard = soft[n_soft] == ':' ? soft + n_soft + 1 : soft;
	size_t n_hard = strspn(hard, DIGITS);

	if (n_soft == 0 || n_soft > 18 || n_hard == 0 || n_hard > 18 || hard[n_hard] ||
		(soft[n_soft] && soft[n_soft] != ':'))
		return "must be the name of a limit and its value, such as memlock: 65536 or "
		       "nproc: 1000:2000";
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i]) == n && strncmp(known[i], text, n) == 0)
			return NULL;
	return "must name cpu, data, fsize, locks, memlock, msgqueue, nice, nproc, rss, rtprio, "
	       "rttime, sigpending or stack";
}

const char *rh_check_runtime(const char *text)
{
	return is_word(text, LOWER UPPER DIGITS, LOWER UPPER DIGITS "_.-", 128)
		? NULL
		: "must be the name of a runtime as the engine lists it";
}

const char *rh_check_apparmor(const char *text)
{
	if (strcmp(text, "unconfined") == 0)
		return "must not be unconfined, which is none at all";
	return is_word(text, LOWER UPPER DIGITS "_", LOWER UPPER DIGITS "_.-", 128)
		? NULL
		: "must be the name of an AppArmor profile";
}

const char *rh_check_env(const char *text)
{
	size_t n = strspn(text, LOWER UPPER DIGITS "_");

	if (n == 0 || strchr(DIGITS, text[0]) || text[n] != '=' || strlen(text) > 32768)
		return "must be a variable's name and its value";
	return NULL;
}

const char *rh_check_pattern(const char *text)
{
	size_t n = strspn(text, LOWER UPPER DIGITS "_");

	if (n == 0 || n > 128 || strchr(DIGITS, text[0]) || (text[n] && strcmp(text + n, "*") != 0))
		return "must be a variable's name, or its beginning followed by *";
	return NULL;
}

const char *rh_check_profile_name(const char *text)
{
	return is_word(text, LOWER DIGITS, LOWER DIGITS "_.-", 63)
		? NULL
		: "must be a name of a-z, 0-9, _ . - that begins with a letter or digit, at most "
		  "63";
}

const char *rh_check_runner_name(const char *text)
{
	return is_word(text, LOWER UPPER DIGITS "_", LOWER UPPER DIGITS "_.-", 128)
		? NULL
		: "must be a name of letters, digits, _ . - that begins with none of . -";
}

const char *rh_check_group(const char *text)
{
	return !*text || is_word(text, LOWER UPPER DIGITS "_", LOWER UPPER DIGITS "_.-$", 32)
		? NULL
		: "must be the name of a group, or \"\"";
}
