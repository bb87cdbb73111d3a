/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Masking: the places of all secrets are marked first, so that overlapping ones become one ***.
 */

#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "runner/mask.h"

void rh_mask_deinit(struct rh_mask *mask)
{
	for (size_t i = 0; i < mask->n_secrets; i++)
		free(mask->secrets[i]);
	free(mask->secrets);
	*mask = (struct rh_mask){0};
}

static void add_one(struct rh_mask *mask, const char *secret)
{
	for (size_t i = 0; i < mask->n_secrets; i++)
		if (strcmp(mask->secrets[i], secret) == 0)
			return;
	mask->secrets =
		rh_must(reallocarray(mask->secrets, mask->n_secrets + 1, sizeof(*mask->secrets)));
	mask->secrets[mask->n_secrets++] = rh_dup(secret);
}

void rh_mask_add(struct rh_mask *mask, const char *secret)
{
	_cleanup_(rh_freep) char *whole = rh_trimmed(secret);
	_cleanup_(rh_freep) char *lines = rh_dup(whole);
	char *rest = NULL;

	if (!*whole)
		return;
	add_one(mask, whole);
	for (char *line = strtok_r(lines, "\r\n", &rest); line;
		line = strtok_r(NULL, "\r\n", &rest))
		add_one(mask, line);
}

char *rh_mask_apply(const struct rh_mask *mask, const char *text)
{
	_cleanup_(rh_freep) char *hidden = NULL; /* a byte for each byte of the text */
	struct rh_text out = {0};
	size_t size = strlen(text);

	for (size_t i = 0; i < mask->n_secrets; i++) {
		size_t n = strlen(mask->secrets[i]);

		for (const char *p = strstr(text, mask->secrets[i]); p;
			p = strstr(p + 1, mask->secrets[i])) {
			if (!hidden)
				hidden = rh_must(calloc(size + 1, 1));
			memset(hidden + (p - text), 1, n);
		}
	}
	if (!hidden)
		return NULL;
	for (size_t i = 0; i < size; i++) {
		if (!hidden[i])
			rh_text_add(&out, text + i, 1);
		else if (i == 0 || !hidden[i - 1])
			rh_text_puts(&out, "***");
	}
	return rh_text_take(&out);
}
