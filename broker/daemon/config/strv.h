/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * NULL-terminated arrays of owned strings; NULL is an empty one.
 */

#include <stdbool.h>
#include <stddef.h>

size_t rh_strv_length(char *const *strv);
/* Copies @text. Return: 0; -ENOMEM, @strv unchanged. */
int rh_strv_append(char ***strv, const char *text);
bool rh_strv_contains(char *const *strv, const char *text);
bool rh_strv_equal(char *const *a, char *const *b);
void rh_strv_free(char **strv);
