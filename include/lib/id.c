/* SPDX-License-Identifier: Apache-2.0 */

/*
 * 128-bit identifiers.
 */

#include "runnerhub/id.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "runnerhub/err.h"

int rh_id_new(struct rh_id *ret_id)
{
	struct rh_id id = {0};

	/* Up to 256 bytes are never cut or interrupted once the pool is ready (getrandom(2)). */
	if (getrandom(id.bytes, sizeof(id.bytes), 0) != (ssize_t)sizeof(id.bytes))
		return rh_origin(-errno);
	*ret_id = id;
	return 0;
}

void rh_id_format(const struct rh_id *id, char ret_text[RH_ID_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < sizeof(id->bytes); i++) {
		ret_text[2 * i] = digits[id->bytes[i] >> 4];
		ret_text[2 * i + 1] = digits[id->bytes[i] & 15];
	}
	ret_text[2 * sizeof(id->bytes)] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int rh_id_parse(const char *text, struct rh_id *ret_id)
{
	struct rh_id id = {0};

	if (strlen(text) != 2 * sizeof(id.bytes))
		return rh_origin(-EINVAL);
	for (size_t i = 0; i < sizeof(id.bytes); i++) {
		int high = hex_digit(text[2 * i]);
		int low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return rh_origin(-EINVAL);
		id.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*ret_id = id;
	return 0;
}

bool rh_id_equal(const struct rh_id *a, const struct rh_id *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool rh_id_is_null(const struct rh_id *id)
{
	static const struct rh_id null = {0};

	return rh_id_equal(id, &null);
}
