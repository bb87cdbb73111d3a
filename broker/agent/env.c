/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A step's environment.
 *
 * HOME: the step's own; else the image's, if it is not merely what the runtime fills in, which is
 * root's home; else the home of the step's user in the image.
 */

#include "broker/agent/env.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *rh_env_image_path(char *const *image)
{
	const char *path = rh_env_get(image, "PATH");

	return path && *path ? path : RH_ENV_PATH_DEFAULT;
}

/* Whether two entries are of the same variable. */
static bool same_name(const char *a, const char *b)
{
	while (*a == *b && *a != '=' && *a != '\0') {
		a++;
		b++;
	}
	return *a == *b;
}

static bool has_name(char *const *envp, const char *entry)
{
	for (; *envp; envp++) {
		if (same_name(*envp, entry))
			return true;
	}
	return false;
}

static char *make_entry(const char *name, const char *value, const char *more)
{
	char *entry = NULL;
	int n = asprintf(&entry, "%s=%s%s%s", name, value, more ? ":" : "", more ? more : "");

	return n < 0 ? NULL : entry;
}

static char *path_entry(char *const *image, const struct rh_block *block)
{
	const char *path = rh_env_get(block->envp, "PATH");
	const char *image_path = rh_env_image_path(image);

	if (path && !(block->header->flags & RH_BLOCK_PATH_PREFIX))
		return make_entry("PATH", path, NULL);
	if (path && *path)
		return make_entry("PATH", path, image_path);
	return make_entry("PATH", image_path, NULL);
}

static const char *home_of(
	char *const *image, const struct rh_block *block, const struct rh_user *user)
{
	const char *home = rh_env_get(block->envp, "HOME");

	if (!home && user->image_has_home)
		home = rh_env_get(image, "HOME");
	return home ? home : user->home;
}

static size_t count(char *const *strings)
{
	size_t n = 0;

	while (strings[n])
		n++;
	return n;
}

char **rh_env_compose(char *const *image, const struct rh_block *block, const struct rh_user *user)
{
	char **env = calloc(count(image) + count(block->envp) + 3, sizeof(char *));
	char *path = path_entry(image, block);
	char *home = make_entry("HOME", home_of(image, block, user), NULL);
	size_t n = 0;

	if (!env || !path || !home) {
		free((void *)env);
		free(path);
		free(home);
		return NULL;
	}
	/* The two that rh_env_free() frees. */
	env[n++] = path;
	env[n++] = home;
	for (; *image; image++) {
		if (!same_name(*image, path) && !same_name(*image, home) &&
			!has_name(block->envp, *image))
			env[n++] = *image;
	}
	for (char *const *p = block->envp; *p; p++) {
		if (!same_name(*p, path) && !same_name(*p, home))
			env[n++] = *p;
	}
	return env;
}

void rh_env_free(char **env)
{
	if (!env)
		return;
	free(env[0]);
	free(env[1]);
	free((void *)env);
}
