/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines out of a byte stream, see lines.h.
 */

#include <stdint.h>
#include <string.h>

#include "runner/lines.h"

static size_t find_end(const char *data, size_t size)
{
	const char *lf = memchr(data, '\n', size);
	size_t n = lf ? (size_t)(lf - data) : size;
	const char *cr = memchr(data, '\r', n);

	return cr ? (size_t)(cr - data) : n;
}

void rh_lines_feed(struct rh_lines *lines, const char *data, size_t size)
{
	while (size) {
		if (lines->after_cr && *data == '\n') {
			lines->after_cr = false;
			data++;
			size--;
			continue;
		}
		lines->after_cr = false;

		size_t n = find_end(data, size);

		if (n == size) {
			rh_text_add(&lines->held, data, n);
			return;
		}
		lines->after_cr = data[n] == '\r';
		if (lines->held.size) {
			rh_text_add(&lines->held, data, n);
			lines->on_line(
				lines->arg, lines->stream, lines->held.data, lines->held.size);
			lines->held.size = 0;
		} else {
			lines->on_line(lines->arg, lines->stream, data, n);
		}
		data += n + 1;
		size -= n + 1;
	}
}

void rh_lines_end(struct rh_lines *lines)
{
	if (lines->held.size)
		lines->on_line(lines->arg, lines->stream, lines->held.data, lines->held.size);
	rh_text_deinit(&lines->held);
}

/* Length of the valid sequence at @s, 0 if it is invalid or cut (RFC 3629). */
static size_t sequence(const uint8_t *s, size_t size)
{
	static const struct {
		uint8_t first, last; /* of the lead byte */
		uint8_t low, high; /* of the byte behind it */
		uint8_t length;
	} rows[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	if (s[0] < 0x80)
		return s[0] ? 1 : 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (s[0] < rows[i].first || s[0] > rows[i].last)
			continue;
		if (size < rows[i].length || s[1] < rows[i].low || s[1] > rows[i].high)
			return 0;
		for (size_t k = 2; k < rows[i].length; k++)
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		return rows[i].length;
	}
	return 0;
}

char *rh_utf8_clean(const char *data, size_t size)
{
	const uint8_t *s = (const uint8_t *)data;
	struct rh_text out = {0};
	size_t start = 0;

	for (size_t i = 0; i < size;) {
		size_t n = sequence(s + i, size - i);

		if (n) {
			i += n;
			continue;
		}
		rh_text_add(&out, data + start, i - start);
		rh_text_puts(&out, "\xef\xbf\xbd");
		start = ++i;
	}
	rh_text_add(&out, data + start, size - start);
	return rh_text_take(&out);
}
