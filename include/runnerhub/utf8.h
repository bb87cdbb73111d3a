/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * UTF-8 (RFC 3629, section 4): no surrogates, nothing overlong, nothing above U+10FFFF.
 */

#include <stddef.h>

/* Length of the sequence at @p, of which @left bytes may be looked at, or 0 if it is not one. */
static inline size_t rh_utf8_sequence(const unsigned char *p, size_t left)
{
	static const struct {
		unsigned char first_low, first_high, second_low, second_high;
		size_t length;
	} rows[] = {
		{0x00, 0x7f, 0x00, 0x00, 1},
		{0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; left > 0 && i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (p[0] < rows[i].first_low || p[0] > rows[i].first_high)
			continue;
		if (rows[i].length > left)
			return 0;
		if (rows[i].length > 1 && (p[1] < rows[i].second_low || p[1] > rows[i].second_high))
			return 0;
		for (size_t k = 2; k < rows[i].length; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return rows[i].length;
	}
	return 0;
}
