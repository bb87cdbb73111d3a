/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Strings of the stand-in: a growing buffer and a few helpers.
 *
 * The stand-in is a test program: when memory runs out it aborts, so nothing here can fail.
 */

#include <stdbool.h>
#include <stddef.h>

#include "runnerhub/cleanup.h"

/* A growing buffer; {0} is an empty one. "data" is NUL-terminated once something was added. */
struct rh_text {
	char *data;
	size_t size; /* bytes, without the NUL */
	size_t room;
};

void rh_text_deinit(struct rh_text *text);
void rh_text_add(struct rh_text *text, const void *data, size_t size);
/* Room for what may be larger than memory: -ENOMEM then, and the text is as before. */
int rh_text_try_reserve(struct rh_text *text, size_t more);
void rh_text_puts(struct rh_text *text, const char *string);
_printf_(2, 3) void rh_text_printf(struct rh_text *text, const char *fmt, ...);
/* Takes the string out, never NULL; the buffer is empty afterwards. */
__attribute__((returns_nonnull)) char *rh_text_take(struct rh_text *text);

/* Return: allocated strings, never NULL. */
__attribute__((returns_nonnull)) _printf_(1, 2) char *rh_fmt(const char *fmt, ...);
__attribute__((returns_nonnull)) char *rh_dup(const char *string);

/* Aborts if an allocation failed; compiles to its argument otherwise. */
__attribute__((returns_nonnull)) void *rh_must(void *p);

bool rh_starts_with(const char *string, const char *prefix);
bool rh_ends_with(const char *string, const char *suffix);
/* A copy without blanks and line ends at both sides. */
__attribute__((returns_nonnull)) char *rh_trimmed(const char *string);
/* A new random identifier, 8-4-4-4-12 hex digits, allocated. */
__attribute__((returns_nonnull)) char *rh_guid(void);
/* The wall clock as the runner writes it: 2026-01-31T12:00:00.1234567Z. */
void rh_timestamp(char ret[32]);
