/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Secrets that must not reach a log: job secrets and what ::add-mask:: names.
 */

#include <stddef.h>

struct rh_mask {
	char **secrets;
	size_t n_secrets;
};

void rh_mask_deinit(struct rh_mask *mask);
/* Adds a value; of one with several lines, each line too. Blank ones are ignored. */
void rh_mask_add(struct rh_mask *mask, const char *secret);
/* The text with every secret replaced by ***, allocated; NULL if it holds none. */
char *rh_mask_apply(const struct rh_mask *mask, const char *text);
