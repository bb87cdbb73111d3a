/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Errors: negative errno for code, a fixed buffer for people.
 *
 * A function that can fail returns 0, a negative errno, or a positive condition that its own header
 * names and that its direct caller must handle. Where a person will read why, it takes a struct
 * rh_err too: the origin writes it, outer layers may prefix it.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runnerhub/cleanup.h"

struct rh_err {
	char text[512]; /* one line, UTF-8, NUL-terminated, cut if longer */
};

/**
 * rh_origin() - raise an error here
 * @r: negative errno
 *
 * Context: any thread. A place for a breakpoint; compiles to its argument.
 */
static inline int rh_origin(int r)
{
	return r;
}

/* Passes an error on unchanged. */
static inline int rh_trace(int r)
{
	return r;
}

/* Turns a positive condition that nobody handled into a failure. */
static inline int rh_fold(int r)
{
	return r > 0 ? -ENOTRECOVERABLE : r;
}

/**
 * rh_err_set() - write the message for people
 * @err: NULL is allowed
 * @r:   returned as it is, so that "return rh_err_set(err, -EINVAL, …)" raises
 */
_printf_(3, 4) static inline int rh_err_set(struct rh_err *err, int r, const char *fmt, ...)
{
	if (err) {
		va_list ap;

		va_start(ap, fmt);
		(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
	}
	return r;
}

/* Puts "prefix: " before what is there. */
static inline void rh_err_prefix(struct rh_err *err, const char *prefix)
{
	if (!err)
		return;

	struct rh_err inner = *err;

	/* Looking at the result tells gcc that cutting is meant (-Wformat-truncation). */
	if (snprintf(err->text, sizeof(err->text), "%s: %.*s", prefix,
		    (int)(sizeof(inner.text) - 1), inner.text) < 0)
		*err = inner;
}
