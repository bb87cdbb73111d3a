/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines out of a byte stream, see lines.h.
 */

#include <string.h>

#include "runner/lines.h"
#include "runnerhub/utf8.h"

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

char *rh_utf8_clean(const char *data, size_t size)
{
	const unsigned char *s = (const unsigned char *)data;
	struct rh_text out = {0};
	size_t start = 0;

	for (size_t i = 0; i < size;) {
		size_t n = s[i] ? rh_utf8_sequence(s + i, size - i) : 0;

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
