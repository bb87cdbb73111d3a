/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * 128-bit identifiers of jobs and containers, from getrandom(2); written as 32 lower-case hex
 * digits.
 */

#include <stdbool.h>
#include <stdint.h>

#define RH_ID_TEXT_SIZE 33

struct rh_id {
	uint8_t bytes[16];
};

/* Return: 0; negative errno of getrandom(2). Context: any thread. */
int rh_id_new(struct rh_id *ret_id);
void rh_id_format(const struct rh_id *id, char ret_text[RH_ID_TEXT_SIZE]);
/* Return: 0; -EINVAL if it is not exactly 32 hex digits. */
int rh_id_parse(const char *text, struct rh_id *ret_id);
bool rh_id_equal(const struct rh_id *a, const struct rh_id *b);
bool rh_id_is_null(const struct rh_id *id);
