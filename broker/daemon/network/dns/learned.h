/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Addresses that names stood for when a container looked them up: what is remembered of them, and
 * how they stand in the rules.
 *
 * In the rules each is an element, (container's address . learned address), of a set which its
 * egress chain looks into; names of a list that have the same ports share a set. Elements end by
 * themselves, in the kernel, also when nobody is left who knows of them. Pure but for memory.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "broker/daemon/config/egress.h"
#include "broker/daemon/network/rules.h"

#define RH_LEARNED_MAX      512 /* of a container */
#define RH_LEARNED_SET_SIZE 64
#define RH_LEARNED_MIN_S    30 /* what an answer may be used for, at least and at most */
#define RH_LEARNED_MAX_S    3600
#define RH_LEARNED_GRACE_S  5 /* between the answer and its use */

struct rh_learned_place {
	int family;
	uint8_t address[16];
	uint16_t first_port; /* 0: any protocol and port */
	uint16_t last_port;
	int64_t until_ms; /* rh_now_ms() */
};

struct rh_learned {
	size_t n;
	struct rh_learned_place places[RH_LEARNED_MAX];
};

/* @visit of each port range that names of the list have, once. */
void rh_learned_each_range(char *const *egress,
	void (*visit)(void *arg, const struct rh_egress_place *place), void *arg);
/* Of the addresses of a family that come with these ports. */
void rh_learned_set_name(char buf[RH_LEARNED_SET_SIZE], char *const *egress, int family,
	uint16_t first_port, uint16_t last_port);
/* An element's key in the kernel's form. Return: its size; 0: the container has no such address. */
size_t rh_learned_key(
	uint8_t key[32], const struct rh_rules_port *port, int family, const uint8_t *address);

/**
 * rh_learned_add() - remember one
 * @ret_covered: it is in the rules already, for as long
 * @ret_lost: that it takes the place of; its family is AF_UNSPEC if there is none
 *
 * Return: 0; -ENOMEM.
 */
int rh_learned_add(struct rh_rules_port *port, const struct rh_learned_place *place, int64_t now_ms,
	bool *ret_covered, struct rh_learned_place *ret_lost);

/* The sets and rules of a list's chain. */
void rh_learned_write_policy(FILE *out, const char *table, const char *chain, char *const *egress);
/* What is remembered of a container and has not ended. */
void rh_learned_write(
	FILE *out, const char *table, const struct rh_rules_port *port, int64_t now_ms);
