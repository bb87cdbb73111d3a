/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Everything the library knows. Written by the constructor, read-only afterwards: it fills whole
 * pages, which are then protected.
 */

#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "policy.h"

/* The largest page of the architecture. */
#ifdef __x86_64__
#define RH_PAGE_SIZE 4096
#else
#define RH_PAGE_SIZE 65536
#endif
#define RH_STATE_SIZE 65536

/* Strings of the settings; more than that (paths are at most 4096 bytes) refuses to work. */
#define RH_STATE_TEXT 49152

enum rh_mode {
	RH_MODE_INERT, /* not a Worker (or before the constructor): calls pass through */
	RH_MODE_ARMED,
	RH_MODE_CLOSED, /* a Worker, but the settings are unusable: every exec is refused */
};

/* The next definitions behind ours; NULL where there is none. */
#define RH_ORIGINALS(X) \
	X(execve)       \
	X(execv) X(execvp) X(execvpe) X(fexecve) X(posix_spawn) X(posix_spawnp) X(system) X(popen)
#define RH_ORIGINAL_FIELD(name) __typeof__(name) *name;

struct rh_originals {
	RH_ORIGINALS(RH_ORIGINAL_FIELD)
};

struct rh_state {
	enum rh_mode mode;
	struct rh_originals next;
	struct rh_policy policy;
	const char *verbs[RH_VERDICTS]; /* what is executed instead */
	size_t text_used;
	char text[RH_STATE_TEXT];
};

union rh_state_pages {
	struct rh_state state;
	char pages[RH_STATE_SIZE];
};

_Static_assert(sizeof(union rh_state_pages) == RH_STATE_SIZE, "the state fills its pages exactly");

extern union rh_state_pages rh_state_pages __attribute__((visibility("hidden")));

/**
 * rh_announce() - tell the broker that a Worker has started
 * @run_dir: where broker.sock is
 *
 * One packet, without waiting; it may be lost. Context: constructor.
 */
void rh_announce(const char *run_dir);
