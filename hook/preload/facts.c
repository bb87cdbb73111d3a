/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Text about a process. Runs in the constructor only.
 */

#include "policy.h"

#include <string.h>

#define WORKER     "Runner.Worker"
#define SEPARATORS " :"

/* Where the last component of the first @n bytes starts. */
static size_t base_of(const char *path, size_t n)
{
	while (n > 0 && path[n - 1] != '/')
		n--;
	return n;
}

size_t rh_facts_root(const char *exe)
{
	size_t file = base_of(exe, strlen(exe));

	if (exe[0] != '/' || file < 2 || strcmp(exe + file, WORKER) != 0)
		return 0;

	size_t bin = base_of(exe, file - 1);
	size_t n = file - 1 - bin; /* of the directory's name */

	if (n < 3 || memcmp(exe + bin, "bin", 3) != 0 || (n > 3 && exe[bin + 3] != '.'))
		return 0;
	return bin > 1 ? bin - 1 : bin;
}

static bool is_ours(const char *word, size_t n)
{
	size_t base = base_of(word, n);

	return n - base == strlen(RH_PRELOAD_NAME) &&
		memcmp(word + base, RH_PRELOAD_NAME, n - base) == 0;
}

const char *rh_facts_word(const char *preload, size_t *ret_size)
{
	for (const char *word = preload; *(word += strspn(word, SEPARATORS));) {
		size_t n = strcspn(word, SEPARATORS);

		if (word[0] == '/' && is_ours(word, n)) {
			*ret_size = n;
			return word;
		}
		word += n;
	}
	return NULL;
}

bool rh_facts_without(const char *preload, char *ret_rest, size_t size)
{
	size_t used = 0;

	if (size < strlen(preload) + 1)
		return false;
	for (const char *word = preload; *(word += strspn(word, SEPARATORS));) {
		size_t n = strcspn(word, SEPARATORS);

		if (!is_ours(word, n)) {
			if (used > 0)
				ret_rest[used++] = ':';
			memcpy(ret_rest + used, word, n);
			used += n;
		}
		word += n;
	}
	ret_rest[used] = '\0';
	return true;
}
