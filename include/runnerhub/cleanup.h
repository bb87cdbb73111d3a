/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Scope-bound ownership: the cleanup attribute and the hand-over.
 */

#include <stdlib.h>
#include <unistd.h>

/* A guard that nobody reads is used, too: clang does not think so by itself. */
#define _cleanup_(fn)  __attribute__((__cleanup__(fn), __unused__))
#define _printf_(a, b) __attribute__((__format__(__printf__, a, b)))

/* Defines fn##p(), the cleanup helper of a pointer type whose destructor takes NULL. */
#define RH_DEFINE_CLEANUP(type, fn)       \
	static inline void fn##p(type *p) \
	{                                 \
		fn(*p);                   \
	}                                 \
	struct rh_require_semicolon_

/* Takes the pointer out of *p, so that its cleanup finds NULL. */
#define rh_steal(p)                                 \
	({                                          \
		__typeof__(*(p)) rh_stolen_ = *(p); \
		*(p) = NULL;                        \
		rh_stolen_;                         \
	})

static inline void rh_freep(void *p)
{
	free(*(void **)p);
}

/* close() is never retried: after EINTR the descriptor is closed (close(2)). */
static inline void rh_close(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

static inline void rh_closep(int *fd)
{
	rh_close(*fd);
}

static inline int rh_steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}
