/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Property: a found word lies inside and is absolute; what is left of LD_PRELOAD has no word of
 * ours and fits; a root ends before a slash.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	char *rest = malloc(size + 1);
	size_t n = 0;

	if (text && rest) {
		memcpy(text, data, size);
		text[size] = '\0';

		size_t length = strlen(text);
		const char *word = rh_facts_word(text, &n);

		if (word && (word < text || word + n > text + length || *word != '/'))
			abort();
		if (!rh_facts_without(text, rest, length + 1) || strlen(rest) > length)
			abort();
		if (rh_facts_word(rest, &n))
			abort();
		n = rh_facts_root(text);
		if (n > 0 && (n >= length || text[0] != '/' || (n > 1 && text[n] != '/')))
			abort();
	}
	free(text);
	free(rest);
	return 0;
}
