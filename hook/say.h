/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the hook program tells a person, in the job's log.
 */

#include <stddef.h>

#include "runnerhub/cleanup.h"

/* Writes "runnerhub: …" and a newline to stderr, in one write. */
_printf_(1, 2) void rh_say(const char *fmt, ...);

/**
 * rh_say_text() - the same for a line that came from a peer
 *
 * Text that is not valid UTF-8 or holds control characters is not shown.
 */
void rh_say_text(const char *text, size_t size);
