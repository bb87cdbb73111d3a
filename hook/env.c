/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The environment filter. The Worker's entries are kept in a small hash table, since a job may have
 * tens of thousands of its own.
 */

#include "env.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runnerhub/block.h"
#include "runnerhub/err.h"

struct set {
	const char **slots;
	size_t mask;
};

/* FNV-1a, 64 bits. */
static uint64_t hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return h;
}

/* The slot that holds @entry, or the free one where it belongs. */
static const char **slot_of(const struct set *set, const char *entry)
{
	size_t i = (size_t)hash(entry) & set->mask;

	while (set->slots[i] && strcmp(set->slots[i], entry) != 0)
		i = (i + 1) & set->mask;
	return &set->slots[i];
}

static size_t count(char *const *strings)
{
	size_t n = 0;

	while (strings[n])
		n++;
	return n;
}

static int set_fill(struct set *set, char *const *entries)
{
	size_t n = count(entries);
	size_t size = 16;

	while (size < 2 * n)
		size *= 2;
	set->slots = calloc(size, sizeof(*set->slots));
	if (!set->slots)
		return rh_origin(-ENOMEM);
	set->mask = size - 1;
	for (size_t i = 0; i < n; i++)
		*slot_of(set, entries[i]) = entries[i];
	return 0;
}

static bool begins(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool rh_env_listed(const char *list, const char *name, size_t size)
{
	while (*list) {
		size_t n = strcspn(list, ",");
		bool prefix = n > 0 && list[n - 1] == '*';
		size_t compared = prefix ? n - 1 : n;

		if (n > 0 && (prefix ? size >= compared : size == compared) &&
			memcmp(list, name, compared) == 0)
			return true;
		list += n;
		list += *list == ',';
	}
	return false;
}

static bool always_passes(const struct rh_env_rules *rules, const char *entry)
{
	if (begins(entry, "RUNNERHUB_") || begins(entry, "LD_"))
		return false;
	return begins(entry, "GITHUB_") || begins(entry, "RUNNER_") ||
		rh_env_listed(rules->pass, entry, strcspn(entry, "="));
}

/* Whether @word is one of the words of @list, which blanks and colons part (ld.so(8)). */
static bool has_word(const char *list, const char *word, size_t size)
{
	while (*(list += strspn(list, " :"))) {
		size_t n = strcspn(list, " :");

		if (n == size && memcmp(list, word, n) == 0)
			return true;
		list += n;
	}
	return false;
}

/*
 * The preload library takes its own word out of the Worker's LD_PRELOAD: what is left differs from
 * the value at the start and is the host's all the same.
 */
static bool is_hosts_preload(const struct rh_env_rules *rules, const char *entry)
{
	const char *base = rh_env_get(rules->base, "LD_PRELOAD");

	if (!base || !begins(entry, "LD_PRELOAD="))
		return false;
	for (entry += strlen("LD_PRELOAD="); *(entry += strspn(entry, " :"));) {
		size_t n = strcspn(entry, " :");

		if (!has_word(base, entry, n))
			return false;
		entry += n;
	}
	return true;
}

/* Length of @path without @tail at its end and the colon before, or -1 if it does not end so. */
static ssize_t before_tail(const char *path, size_t size, const char *tail)
{
	size_t n = strlen(tail);

	if (n == 0 || size < n || memcmp(path + size - n, tail, n) != 0)
		return -1;
	if (size == n)
		return 0;
	return path[size - n - 1] == ':' ? (ssize_t)(size - n - 1) : -1;
}

/*
 * Cuts PATH. Return: 1 if an entry is to be sent (env->path), 0 if none is: then the image's own
 * holds; -ENOMEM.
 */
static int cut_path(const struct rh_env_rules *rules, const char *value, struct rh_env *env)
{
	const char *base = rh_env_get(rules->base, "PATH");
	size_t size = strlen(value);
	ssize_t n = before_tail(value, size, rules->stubs);

	if (n >= 0)
		size = (size_t)n;
	n = base ? before_tail(value, size, base) : -1;
	if (n >= 0)
		size = (size_t)n;
	if (size == 0)
		return 0;

	char *entry = malloc(strlen("PATH=") + size + 1);

	if (!entry)
		return rh_origin(-ENOMEM);
	memcpy(entry, "PATH=", strlen("PATH="));
	memcpy(entry + strlen("PATH="), value, size);
	entry[strlen("PATH=") + size] = '\0';
	env->path = entry;
	env->flags = n >= 0 ? RH_BLOCK_PATH_PREFIX : 0;
	return 1;
}

int rh_env_filter(const struct rh_env_rules *rules, char *const *envp, struct rh_env *ret_env)
{
	struct rh_env env = {.envp = calloc(count(envp) + 1, sizeof(char *))};
	struct set base = {0};
	bool path_seen = false;
	size_t n = 0;
	int r = env.envp ? set_fill(&base, rules->base) : rh_origin(-ENOMEM);

	for (; r == 0 && *envp; envp++) {
		if (begins(*envp, "PATH=")) {
			/* Of several the first counts, as for getenv(3). */
			if (path_seen)
				continue;
			path_seen = true;
			r = cut_path(rules, *envp + strlen("PATH="), &env);
			if (r > 0) {
				env.envp[n++] = env.path;
				r = 0;
			}
		} else if (always_passes(rules, *envp) ||
			(!*slot_of(&base, *envp) && !is_hosts_preload(rules, *envp))) {
			env.envp[n++] = *envp;
		}
	}
	free(base.slots);
	if (r < 0) {
		rh_env_deinit(&env);
		return rh_trace(r);
	}
	*ret_env = env;
	return 0;
}

void rh_env_deinit(struct rh_env *env)
{
	free(env->envp);
	free(env->path);
	*env = (struct rh_env){0};
}
