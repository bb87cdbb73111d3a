/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The input is lines: the list, the Worker's environment up to an empty line, the step's.
 * Property: what comes out are entries of the step, in order; none of them is an unlisted one of
 * the Worker; PATH is cut at its end only, and never to nothing.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "env.h"
#include "runnerhub/block.h"

#define ENTRIES_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has(char *const *entries, const char *entry)
{
	while (*entries && strcmp(*entries, entry) != 0)
		entries++;
	return *entries != NULL;
}

static void check_path(const struct rh_env *env, char *const *envp)
{
	const char *given = rh_env_get(envp, "PATH");
	const char *sent = rh_env_get(env->envp, "PATH");

	if (!sent) {
		if (env->flags != 0)
			abort();
		return;
	}
	if (!given || !*sent || strncmp(sent, given, strlen(sent)) != 0)
		abort();
}

static void check(const struct rh_env_rules *rules, char *const *envp)
{
	struct rh_env env = {0};

	if (rh_env_filter(rules, envp, &env) < 0)
		return;

	char *const *at = envp;

	for (char **e = env.envp; *e; e++) {
		if (strncmp(*e, "PATH=", 5) == 0)
			continue;
		while (*at && *at != *e)
			at++;
		if (!*at)
			abort();
		if (has(rules->base, *e) && strncmp(*e, "GITHUB_", 7) != 0 &&
			strncmp(*e, "RUNNER_", 7) != 0 &&
			!rh_env_listed(rules->pass, *e, strcspn(*e, "=")))
			abort();
		if (has(rules->base, *e) && strncmp(*e, "LD_", 3) == 0)
			abort();
	}
	check_path(&env, envp);
	rh_env_deinit(&env);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	char *base[ENTRIES_MAX + 1] = {NULL};
	char *envp[ENTRIES_MAX + 1] = {NULL};
	char **to = base;
	size_t n = 0;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';

	struct rh_env_rules rules = {.base = base, .pass = text, .stubs = "/lx/stubs"};

	for (char *line = strchr(text, '\n'); line && n < ENTRIES_MAX; line = strchr(line, '\n')) {
		*line++ = '\0';
		if (to == base && *line == '\n') {
			to = envp;
			n = 0;
			continue;
		}
		to[n++] = line;
	}
	check(&rules, envp);
	free(text);
	return 0;
}
