/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How stand-ins answer.
 */

#include <stdint.h>

/* Calls @fn from the loop, not before @wait_ms. */
void fakes_later(uint64_t wait_ms, void (*fn)(void *arg), void *arg);
