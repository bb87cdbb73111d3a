/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Property: an accepted block's strings lie one behind the other and fill it exactly.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runnerhub/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1);
	struct rh_block block = {0};

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	if (rh_block_parse(copy, size, &block) == 0) {
		const char *at = copy + sizeof(struct rh_block_header);

		if (block.path != at || block.cwd != at + strlen(at) + 1)
			abort();
		at = block.cwd + strlen(block.cwd) + 1;
		for (char **p = block.argv; *p; at += strlen(at) + 1, p++) {
			if (*p != at)
				abort();
		}
		for (char **p = block.envp; *p; at += strlen(at) + 1, p++) {
			if (*p != at)
				abort();
		}
		if (at != copy + size)
			abort();
		free(block.argv);
	}
	free(copy);
	return 0;
}
