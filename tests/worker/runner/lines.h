/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Lines out of a byte stream, as .NET's StreamReader makes them: ended by \n, \r\n or \r.
 */

#include "common/text.h"

typedef void (*rh_line_fn)(void *arg, int stream, const char *line, size_t size);

struct rh_lines {
	struct rh_text held; /* the unfinished line */
	bool after_cr;
	int stream;
	rh_line_fn on_line;
	void *arg;
};

void rh_lines_feed(struct rh_lines *lines, const char *data, size_t size);
/* The end of the stream: what is left is a line, too. Frees. */
void rh_lines_end(struct rh_lines *lines);

/* A copy in which every invalid UTF-8 sequence and NUL became U+FFFD, allocated. */
char *rh_utf8_clean(const char *data, size_t size);
