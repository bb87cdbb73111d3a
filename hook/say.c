/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the hook program tells a person.
 */

#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runnerhub/fd.h"
#include "runnerhub/wire.h"

#define PREFIX "runnerhub: "

void rh_say(const char *fmt, ...)
{
	char line[RH_WIRE_BODY_MAX + sizeof(PREFIX) + 1] = PREFIX;
	const size_t room = sizeof(line) - sizeof(PREFIX);
	va_list ap;

	va_start(ap, fmt);

	int n = vsnprintf(line + sizeof(PREFIX) - 1, room, fmt, ap);

	va_end(ap);

	size_t size = strlen(PREFIX) + (n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1);

	line[size] = '\n';
	(void)rh_write_all(STDERR_FILENO, line, size + 1); /* there is nobody else to tell */
}

void rh_say_text(const char *text, size_t size)
{
	if (size == 0 || !rh_wire_text_valid(text, size, false)) {
		rh_say("the broker gave no readable reason; see its log");
		return;
	}
	while (size > 0 && text[size - 1] == '\n')
		size--;
	if (size >= strlen(PREFIX) && memcmp(text, PREFIX, strlen(PREFIX)) == 0) {
		text += strlen(PREFIX);
		size -= strlen(PREFIX);
	}
	rh_say("%.*s", (int)size, text);
}
