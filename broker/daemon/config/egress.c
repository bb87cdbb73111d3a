/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a profile lets its jobs reach: reading it.
 */

#include "broker/daemon/config/egress.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runnerhub/err.h"

/* A name and "*.", or an address with prefix and brackets. */
#define PLACE_MAX (RH_EGRESS_NAME_MAX + 3)

#define FORMS                                                                          \
	"must be allow, audit, deny, or a place such as 192.0.2.0/24, 192.0.2.7:443, " \
	"[2001:db8::/32]:8000-8099, *:443, github.com:443 or *.example.org"

/* Digits alone: strtoul() would take blanks and signs too. */
static int parse_number(const char *text, const char **ret_end, unsigned max, unsigned *ret_number)
{
	unsigned long number = 0;
	char *end = NULL;

	if (!isdigit((unsigned char)text[0]))
		return rh_origin(-EINVAL);
	number = strtoul(text, &end, 10);
	if (end - text > 5 || number > max)
		return rh_origin(-EINVAL);
	*ret_end = end;
	*ret_number = (unsigned)number;
	return 0;
}

static int parse_ports(const char *text, struct rh_egress_place *place)
{
	unsigned first = 0;
	unsigned last = 0;
	int r = parse_number(text, &text, UINT16_MAX, &first);

	last = first;
	if (r == 0 && *text == '-')
		r = parse_number(text + 1, &text, UINT16_MAX, &last);
	if (r < 0 || *text != '\0' || first == 0 || last < first)
		return rh_origin(-EINVAL);
	place->first_port = (uint16_t)first;
	place->last_port = (uint16_t)last;
	return 0;
}

/* Bits behind the prefix must be zero: what is written is what is meant. */
static bool is_network(const struct rh_egress_place *place, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned kept = place->prefix > i * 8 ? place->prefix - (unsigned)i * 8 : 0;
		unsigned mask = kept >= 8 ? 0 : 0xffU >> kept;

		if (place->address[i] & mask)
			return false;
	}
	return true;
}

static int parse_address(char *text, struct rh_egress_place *place)
{
	char *slash = strchr(text, '/');
	const char *end = "";
	size_t size = 0;

	if (slash)
		*slash = '\0';
	place->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	size = place->family == AF_INET6 ? 16 : 4;
	place->prefix = (unsigned)size * 8;
	if (inet_pton(place->family, text, place->address) != 1)
		return rh_origin(-EINVAL);
	if (slash && parse_number(slash + 1, &end, (unsigned)size * 8, &place->prefix) < 0)
		return rh_origin(-EINVAL);
	return *end == '\0' && is_network(place, size) ? 0 : rh_origin(-EINVAL);
}

/* Where the ports begin, behind their colon, or NULL: an IPv6 address has colons of its own. */
static const char *find_ports(const char *text)
{
	const char *colon = strrchr(text, ':');

	if (text[0] == '[')
		return colon && colon > text && colon[-1] == ']' ? colon + 1 : NULL;
	return colon && colon == strchr(text, ':') ? colon + 1 : NULL;
}

/* Letters, digits, - and _ : what is looked up in practice (RFC 1123, 2.1; RFC 8553). */
static const char *wrong_label(const char *label, size_t n)
{
	if (n == 0)
		return "must not have two dots together, nor begin or end with one";
	if (n > RH_EGRESS_LABEL_MAX)
		return "must have at most 63 characters between two dots";
	if (label[0] == '-' || label[n - 1] == '-')
		return "must not have a - next to a dot, at its beginning or at its end";
	for (size_t i = 0; i < n; i++) {
		if (label[i] == '*')
			return "may have a * at its beginning only, with a dot behind it";
		if (!isalnum((unsigned char)label[i]) && label[i] != '-' && label[i] != '_')
			return FORMS;
	}
	return NULL;
}

/* Return: what is wrong, or NULL. */
static const char *parse_name(const char *text, struct rh_egress_place *place)
{
	const char *last = "";
	size_t n_labels = 0;
	size_t n = 0;

	place->below = text[0] == '*' && text[1] == '.';
	text += place->below ? 2 : 0;
	n = strlen(text);
	for (const char *at = text; *at; at++) {
		if ((unsigned char)*at >= 0x80)
			return "must be written in ASCII: an international name begins with xn--";
	}
	if (n > RH_EGRESS_NAME_MAX)
		return "must have at most 253 characters";
	for (const char *at = text; at <= text + n; at += strcspn(at, ".") + 1, n_labels++) {
		const char *wrong = wrong_label(at, strcspn(at, "."));

		if (wrong)
			return wrong;
		last = at;
	}
	/* A mistyped word or address is no name (RFC 3696, 2). */
	if (isdigit((unsigned char)last[0]) || (n_labels < 2 && !place->below))
		return FORMS;
	for (size_t i = 0; i <= n; i++)
		place->name[i] = (char)tolower((unsigned char)text[i]);
	return NULL;
}

/* Return: what is wrong, or NULL. */
static const char *parse(const char *text, struct rh_egress_place *ret_place)
{
	struct rh_egress_place place = {.family = AF_UNSPEC};
	const char *ports = find_ports(text);
	const char *wrong = NULL;
	size_t n = ports ? (size_t)(ports - 1 - text) : strlen(text);
	char where[PLACE_MAX] = "";

	if (n == 0 || (ports && parse_ports(ports, &place) < 0))
		return FORMS;
	if (n >= sizeof(where))
		return "must have at most 253 characters";
	memcpy(where, text, n);
	where[n] = '\0';
	if (where[0] == '[') {
		if (where[n - 1] != ']' || !strchr(where, ':'))
			return FORMS;
		where[n - 1] = '\0';
		memmove(where, where + 1, n - 1);
	}
	if (strcmp(where, "*") != 0 && parse_address(where, &place) < 0) {
		place.family = AF_UNSPEC;
		place.prefix = 0;
		/* It has cut its text at the slash. */
		wrong = strcspn(text, "/[") == strlen(text) ? parse_name(where, &place) : FORMS;
	}
	if (!wrong)
		*ret_place = place;
	return wrong;
}

int rh_egress_parse(const char *text, struct rh_egress_place *ret_place)
{
	return parse(text, ret_place) ? rh_origin(-EINVAL) : 0;
}

bool rh_egress_has_name(const struct rh_egress_place *place, const char *name)
{
	size_t n = strlen(name);
	size_t n_place = strlen(place->name);

	if (n_place == 0)
		return false;
	if (!place->below)
		return strcmp(place->name, name) == 0;
	return n > n_place + 1 && name[n - n_place - 1] == '.' &&
		strcmp(name + n - n_place, place->name) == 0;
}

bool rh_egress_has_names(char *const *list)
{
	struct rh_egress_place place;

	for (; list && *list; list++) {
		if (rh_egress_mode_of(*list) == RH_EGRESS_LIST &&
			rh_egress_parse(*list, &place) == 0 && place.name[0])
			return true;
	}
	return false;
}

bool rh_egress_asks(char *const *list)
{
	return rh_egress_mode(list) == RH_EGRESS_DENY || rh_egress_has_names(list);
}

enum rh_egress_mode rh_egress_mode_of(const char *text)
{
	static const char *const words[] = {[RH_EGRESS_ALLOW] = "allow",
		[RH_EGRESS_AUDIT] = "audit",
		[RH_EGRESS_DENY] = "deny"};

	for (int mode = 0; mode < RH_EGRESS_LIST; mode++) {
		if (strcmp(words[mode], text) == 0)
			return mode;
	}
	return RH_EGRESS_LIST;
}

enum rh_egress_mode rh_egress_mode(char *const *list)
{
	return list && list[0] ? rh_egress_mode_of(list[0]) : RH_EGRESS_ALLOW;
}

const char *rh_egress_check(const char *text)
{
	struct rh_egress_place place;

	return rh_egress_mode_of(text) == RH_EGRESS_LIST ? parse(text, &place) : NULL;
}

const char *rh_egress_check_list(char *const *list)
{
	for (size_t i = 0; list && list[i]; i++) {
		if (rh_egress_mode_of(list[i]) != RH_EGRESS_LIST && (i > 0 || list[1]))
			return "must be allow, audit or deny alone, or a list of places";
	}
	return NULL;
}
