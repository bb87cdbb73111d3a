/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a profile lets its jobs reach: one of three words, or a list of places.
 *
 *   allow | audit | deny | PLACE[:PORT[-PORT]] …
 *
 * A place is an IPv4 or IPv6 address, alone or with a prefix length (an IPv6 one with ports stands
 * in brackets), or * for any. Pure functions.
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

struct rh_egress_place {
	int family; /* AF_INET, AF_INET6, or AF_UNSPEC for any */
	uint8_t address[16];
	unsigned prefix;
	uint16_t first_port; /* 0: any protocol and port */
	uint16_t last_port;
};

/* Return: 0; -EINVAL. */
int rh_egress_parse(const char *text, struct rh_egress_place *ret_place);
/* The mode that an item of the list stands for; LIST if it is no word. */
enum rh_egress_mode rh_egress_mode_of(const char *text);
/* Of a whole list; NULL or an empty one is ALLOW. */
enum rh_egress_mode rh_egress_mode(char *const *list);
/* A word stands alone. Return: what is wrong ("must …"), or NULL. */
const char *rh_egress_check_list(char *const *list);
/* One item. Return: what is wrong, or NULL. */
const char *rh_egress_check(const char *text);
