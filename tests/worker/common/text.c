/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings of the stand-in, see text.h.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/text.h"

void *rh_must(void *p)
{
	if (!p)
		abort();
	return p;
}

void rh_text_deinit(struct rh_text *text)
{
	free(text->data);
	*text = (struct rh_text){0};
}

int rh_text_try_reserve(struct rh_text *text, size_t more)
{
	size_t need = text->size + more + 1;
	char *data = NULL;

	if (need <= text->room)
		return 0;

	size_t room = text->room ? text->room : 64;

	while (room < need)
		room *= 2;
	data = realloc(text->data, room);
	if (!data)
		return -ENOMEM;
	text->data = data;
	text->room = room;
	return 0;
}

void rh_text_add(struct rh_text *text, const void *data, size_t size)
{
	if (rh_text_try_reserve(text, size) < 0)
		abort();
	if (size)
		memcpy(text->data + text->size, data, size);
	text->size += size;
	text->data[text->size] = '\0';
}

void rh_text_puts(struct rh_text *text, const char *string)
{
	rh_text_add(text, string, strlen(string));
}

_printf_(1, 0) static char *format(const char *fmt, va_list ap)
{
	char *out = NULL;

	if (vasprintf(&out, fmt, ap) < 0)
		abort();
	return out;
}

void rh_text_printf(struct rh_text *text, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);

	_cleanup_(rh_freep) char *made = format(fmt, ap);

	va_end(ap);
	rh_text_puts(text, made);
}

char *rh_text_take(struct rh_text *text)
{
	char *data = text->data ? text->data : rh_dup("");

	*text = (struct rh_text){0};
	return data;
}

char *rh_fmt(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);

	char *out = format(fmt, ap);

	va_end(ap);
	return out;
}

char *rh_dup(const char *string)
{
	return rh_must(strdup(string));
}

bool rh_starts_with(const char *string, const char *prefix)
{
	return strncmp(string, prefix, strlen(prefix)) == 0;
}

bool rh_ends_with(const char *string, const char *suffix)
{
	size_t a = strlen(string), b = strlen(suffix);

	return a >= b && strcmp(string + a - b, suffix) == 0;
}

char *rh_trimmed(const char *string)
{
	static const char blanks[] = " \t\r\n";
	size_t n = 0;

	string += strspn(string, blanks);
	n = strlen(string);
	while (n && strchr(blanks, string[n - 1]))
		n--;
	return rh_must(strndup(string, n));
}

char *rh_guid(void)
{
	unsigned char b[16] = {0};

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		abort();
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	return rh_fmt("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
		b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
		b[14], b[15]);
}

void rh_timestamp(char ret[32])
{
	struct timespec now = {0};
	struct tm tm = {0};
	char whole[20] = "";

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	(void)strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(ret, 32, "%s.%07uZ", whole, (unsigned)(now.tv_nsec / 100 % 10000000));
}
