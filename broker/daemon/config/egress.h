/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a profile lets its jobs reach: one of three words, or a list of places.
 *
 *   allow | audit | deny | PLACE[:PORT[-PORT]] …
 *
 * A place is an IPv4 or IPv6 address, alone or with a prefix length (an IPv6 one with ports stands
 * in brackets), a name with at least one dot (github.com), all names below one (*.example.org), or
 * * for any. Pure functions.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum rh_egress_mode {
	RH_EGRESS_ALLOW,
	RH_EGRESS_AUDIT, /* allow, and record */
	RH_EGRESS_DENY,
	RH_EGRESS_LIST,
};

#define RH_EGRESS_NAME_MAX  253 /* RFC 1035, 2.3.4, as text without the dot at its end */
#define RH_EGRESS_LABEL_MAX 63

struct rh_egress_place {
	int family; /* AF_INET, AF_INET6, or AF_UNSPEC for a name or any */
	uint8_t address[16];
	unsigned prefix;
	uint16_t first_port; /* 0: any protocol and port */
	uint16_t last_port;
	char name[RH_EGRESS_NAME_MAX + 1]; /* lower case; "": no name */
	bool below; /* whatever is below the name, not the name itself */
};

/* Return: 0; -EINVAL. */
int rh_egress_parse(const char *text, struct rh_egress_place *ret_place);
/* The mode that an item of the list stands for; LIST if it is no word. */
enum rh_egress_mode rh_egress_mode_of(const char *text);
/* Of a whole list; NULL or an empty one is ALLOW. */
enum rh_egress_mode rh_egress_mode(char *const *list);
/* Is this name, in lower case, what the place stands for? */
bool rh_egress_has_name(const struct rh_egress_place *place, const char *name);
/*
 * Must its lookups come to us, to be let pass one by one? So it is with names in a list, and with
 * deny: the engine's resolver works for a container on the host, past the container's rules.
 */
bool rh_egress_asks(char *const *list);
bool rh_egress_has_names(char *const *list);
/* A word stands alone. Return: what is wrong ("must …"), or NULL. */
const char *rh_egress_check_list(char *const *list);
/* One item. Return: what is wrong, or NULL. */
const char *rh_egress_check(const char *text);
