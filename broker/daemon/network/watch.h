/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Watching our tables: the kernel tells of every change of the firewall, and who made it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * rh_watch_is_foreign() - does this datagram tell of a change of @table by somebody else?
 * @own: process whose changes are ours
 * Pure.
 */
bool rh_watch_is_foreign(const uint8_t *data, size_t size, const char *table, pid_t own);
/* Return: a descriptor that does not block; negative errno. */
int rh_watch_open(void);
