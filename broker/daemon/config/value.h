/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Values as people write them: 30s, 4G, 1.5. Pure functions.
 */

#include <stdint.h>

#define RH_VALUE_TEXT_SIZE 32

/* All: 0, or -EINVAL (not of this form), -ERANGE (does not fit). Nothing may stand around it. */
int rh_value_count(const char *text, uint64_t *ret_count);
/* 0, or a number with ms, s, m, h or d. */
int rh_value_duration(const char *text, uint64_t *ret_ms);
/* 0, or a number with K, M, G or T (powers of 1024). */
int rh_value_size(const char *text, uint64_t *ret_bytes);
/* A decimal number with at most three digits after the point. */
int rh_value_thousandths(const char *text, uint64_t *ret_thousandths);

/* In the largest unit that needs no fraction. */
void rh_value_print_duration(uint64_t ms, char ret_text[RH_VALUE_TEXT_SIZE]);
void rh_value_print_size(uint64_t bytes, char ret_text[RH_VALUE_TEXT_SIZE]);
void rh_value_print_thousandths(uint64_t thousandths, char ret_text[RH_VALUE_TEXT_SIZE]);
