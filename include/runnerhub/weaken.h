/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Switches that turn single defences off, so that the hostile suite can show what each of its
 * attacks does without them. They exist in builds with -Dweaken=true alone: in all others
 * rh_weakened() is the constant false, and a test looks for the variable's name in what was built.
 */

#include <stdbool.h>
#include <stddef.h>

#include "rh-config.h"

#ifdef RH_WEAKEN

#include <stdlib.h>
#include <string.h>

#define RH_WEAKEN_ENV "RUNNERHUB_WEAKEN"

/* "RUNNERHUB_WEAKEN=…" to hand on to a container, or NULL. */
static inline const char *rh_weaken_entry(void)
{
	const char *list = getenv(RH_WEAKEN_ENV);

	return list ? list - strlen(RH_WEAKEN_ENV "=") : NULL;
}

/**
 * rh_weakened() - is this defence to be left out?
 * @name: a word of the comma list in RUNNERHUB_WEAKEN
 *
 * Context: any thread, vfork child.
 */
static inline bool rh_weakened(const char *name)
{
	const char *list = getenv(RH_WEAKEN_ENV);
	size_t n = strlen(name);

	for (const char *at = list; at && (at = strstr(at, name)); at += n) {
		if ((at == list || at[-1] == ',') && (at[n] == ',' || at[n] == '\0'))
			return true;
	}
	return false;
}

#else

static inline const char *rh_weaken_entry(void)
{
	return NULL;
}

static inline bool rh_weakened(const char *name)
{
	(void)name;
	return false;
}

#endif
