/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The runner's .env: KEY=VALUE lines without quotes or comments, read by the Listener when it
 * starts. And environment blocks as the kernel shows them.
 */

#include <string.h>

#include "broker/cli/doctor/doctor.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

bool rh_dotenv_get(const char *text, const char *key, char *buf, size_t size)
{
	size_t n_key = strlen(key);
	const char *found = NULL;
	size_t n_found = 0;

	if (strncmp(text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
		text += strlen(BYTE_ORDER_MARK);
	while (*text) {
		size_t n = strcspn(text, "\r\n");

		if (n > n_key && memcmp(text, key, n_key) == 0 && text[n_key] == '=') {
			found = text + n_key + 1;
			n_found = n - n_key - 1;
		}
		text += n;
		text += strspn(text, "\r\n");
	}
	if (n_found == 0 || n_found >= size)
		return false;
	memcpy(buf, found, n_found);
	buf[n_found] = '\0';
	return true;
}

const char *rh_environ_get(const char *block, size_t size, const char *key)
{
	size_t n_key = strlen(key);

	for (size_t at = 0; at < size;) {
		size_t n = strnlen(block + at, size - at);

		/* The last one may have been cut. */
		if (at + n < size && n > n_key && memcmp(block + at, key, n_key) == 0 &&
			block[at + n_key] == '=')
			return block + at + n_key + 1;
		at += n + 1;
	}
	return NULL;
}
