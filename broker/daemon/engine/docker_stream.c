/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Streams of a Docker engine: lines of events, frames of logs.
 */

#include <stdlib.h>
#include <string.h>

#include "broker/daemon/engine/docker.h"

/* Header of a log frame: stream number, three zero bytes, length (big-endian). */
#define FRAME_HEADER_SIZE 8u

/* Keeps an unfinished line for the next piece. */
static int keep(struct rh_docker_lines *lines, const char *data, size_t size)
{
	char *buf = NULL;

	if (size == 0)
		return 0;
	if (size > RH_DOCKER_LINE_MAX - lines->size)
		return rh_origin(-EPROTO);
	buf = realloc(lines->buf, lines->size + size);
	if (!buf)
		return rh_origin(-ENOMEM);
	memcpy(buf + lines->size, data, size);
	lines->buf = buf;
	lines->size += size;
	return 0;
}

int rh_docker_lines_feed(struct rh_docker_lines *lines, const char *data, size_t size,
	void (*fn)(void *arg, const char *line, size_t size), void *arg)
{
	const char *newline = NULL;

	while ((newline = memchr(data, '\n', size))) {
		size_t n = (size_t)(newline - data);
		int r = 0;

		if (lines->size == 0 && n > RH_DOCKER_LINE_MAX)
			return rh_origin(-EPROTO);
		if (lines->size > 0) {
			r = keep(lines, data, n);
			if (r < 0)
				return rh_trace(r);
			fn(arg, lines->buf, lines->size);
			rh_docker_lines_deinit(lines);
		} else if (n > 0) {
			fn(arg, data, n);
		}
		data = newline + 1;
		size -= n + 1;
	}
	return rh_trace(keep(lines, data, size));
}

void rh_docker_lines_deinit(struct rh_docker_lines *lines)
{
	free(lines->buf);
	*lines = (struct rh_docker_lines){0};
}

void rh_docker_read_logs(const char *data, size_t size, char *buf, size_t buf_size)
{
	size_t at = 0;

	while (size >= FRAME_HEADER_SIZE) {
		const unsigned char *header = (const unsigned char *)data;
		size_t n = (size_t)header[4] << 24 | (size_t)header[5] << 16 |
			(size_t)header[6] << 8 | header[7];

		data += FRAME_HEADER_SIZE;
		size -= FRAME_HEADER_SIZE;
		if (n > size)
			n = size;
		for (size_t i = 0; i < n; i++) {
			unsigned char c = (unsigned char)data[i];

			/* Too small: the older half goes. */
			if (at == buf_size - 1) {
				memmove(buf, buf + at / 2, at - at / 2);
				at -= at / 2;
			}
			buf[at++] = (char)((c < 0x20 && c != '\n') || c >= 0x7f ? ' ' : c);
		}
		data += n;
		size -= n;
	}
	buf[at] = '\0';
}
