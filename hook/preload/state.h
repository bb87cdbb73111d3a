/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Everything the library knows. Written by the constructor, then protected: it starts at a page and
 * fills pages, whatever their size. */

#include <dirent.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "policy.h"
#include "runnerhub/weaken.h"

#define RH_PAGE_SIZE_MAX 65536
#define RH_STATE_TEXT    49152 /* strings of the settings; what needs more is refused */

enum rh_mode {
	RH_MODE_INERT, /* not a Worker (or before the constructor): calls pass through */
	RH_MODE_ARMED,
	RH_MODE_CLOSED, /* a Worker, but the settings are unusable: every exec is refused */
};

/* The next definitions behind ours; NULL where there is none. By hand: else a name a line. */
/* clang-format off */
#define RH_ORIGINALS(X)                                                                          \
	X(execve) X(execv) X(execvp) X(execvpe) X(fexecve) X(posix_spawn) X(posix_spawnp) X(system) \
	X(popen) X(opendir)
/* clang-format on */
#define RH_ORIGINAL_FIELD(name) __typeof__(name) *name;

struct rh_originals {
	RH_ORIGINALS(RH_ORIGINAL_FIELD)
};

struct rh_state {
	_Alignas(RH_PAGE_SIZE_MAX) enum rh_mode mode;
	struct rh_originals next;
	struct rh_policy policy;
	const char *verbs[RH_VERDICTS]; /* what is executed instead */
	const char *work; /* the runner's work directory, as the Worker names it */
	const char *real_work; /* and as the kernel does */
	size_t text_used;
	char text[RH_STATE_TEXT];
};

#define EXPORT __attribute__((visibility("default")))

extern struct rh_state rh_state __attribute__((visibility("hidden")));
