/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Words and tables for people.
 */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "broker/cli/cli.h"

#include "runnerhub/weaken.h"

const char *rh_colour(const struct rh_cli *cli, enum rh_colour colour)
{
	static const char *const codes[] = {
		[RH_PLAIN] = "\033[0m",
		[RH_BOLD] = "\033[1m",
		[RH_DIM] = "\033[2m",
		[RH_GREEN] = "\033[32m",
		[RH_YELLOW] = "\033[33m",
		[RH_RED] = "\033[31m",
	};

	return cli->colour ? codes[colour] : "";
}

/* Whether a character follows the one at @text. */
static bool is_more(const char *text, size_t size)
{
	for (size_t i = 1; i < size; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return true;
	}
	return false;
}

/* C0, DEL, or C1, which some terminals obey too. */
static bool is_control(const char *text, size_t size)
{
	const unsigned char *c = (const unsigned char *)text;

	return c[0] < 0x20 || c[0] == 0x7f || (c[0] == 0xc2 && size > 1 && c[1] < 0xa0);
}

/* Prints @size bytes, in at most @width columns if that is not 0. Return: columns. */
static int print_columns(const char *text, size_t size, int width)
{
	int columns = 0;

	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];
		bool starts = (c & 0xc0) != 0x80;

		/* Room for the dots of a cut cell. */
		if (width > 0 && starts && columns == width - 1 && is_more(text + i, size - i)) {
			(void)fputs("…", stdout);
			return columns + 1;
		}
		if (is_control(text + i, size - i) && !rh_weakened("printable")) {
			(void)putchar('?');
			i += c == 0xc2; /* of the two bytes of a C1 control */
		} else {
			(void)putchar(c);
		}
		columns += starts;
	}
	return columns;
}

void rh_print_text(const char *text, int width)
{
	for (int columns = print_columns(text, strlen(text), width); columns < width; columns++)
		(void)putchar(' ');
}

void rh_print_wrapped(const char *text, int indent, int width)
{
	int at = 0;

	while (*text) {
		int n = 0;
		size_t word = strcspn(text, " ");

		for (size_t i = 0; i < word; i++)
			n += ((unsigned char)text[i] & 0xc0) != 0x80;
		if (at > 0 && at + 1 + n > width) {
			(void)printf("\n%*s", indent, "");
			at = 0;
		}
		if (at > 0)
			(void)putchar(' ');
		print_columns(text, word, 0);
		at += n + (at > 0);
		text += word;
		text += strspn(text, " ");
	}
}

const char *rh_short_id(const char *id, char buf[13])
{
	(void)snprintf(buf, 13, "%.12s", *id ? id : "-");
	return buf;
}

/* Never what the next larger unit would show. */
static int rounded(int64_t us, int64_t unit, int most)
{
	int64_t n = (us + unit / 2) / unit;

	return n < most ? (int)n : most;
}

const char *rh_duration(int64_t us, char *buf, size_t size)
{
	int64_t s = us / 1000000;

	if (us < 0)
		(void)snprintf(buf, size, "-");
	else if (us < 9950)
		(void)snprintf(buf, size, "%.1f ms", (double)us / 1000);
	else if (us < 1000000)
		(void)snprintf(buf, size, "%d ms", rounded(us, 1000, 999));
	else if (us < 9950000)
		(void)snprintf(buf, size, "%.1f s", (double)us / 1000000);
	else if (s < 60)
		(void)snprintf(buf, size, "%d s", rounded(us, 1000000, 59));
	else if (s < 3600)
		(void)snprintf(buf, size, "%d min %d s", (int)(s / 60), (int)(s % 60));
	else if (s < 86400)
		(void)snprintf(buf, size, "%d h %d min", (int)(s / 3600), (int)(s / 60 % 60));
	else
		(void)snprintf(
			buf, size, "%lld d %d h", (long long)(s / 86400), (int)(s / 3600 % 24));
	return buf;
}

const char *rh_bytes(int64_t bytes, char *buf, size_t size)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	(void)snprintf(
		buf, size, unit > 0 && value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return buf;
}

const char *rh_time(int64_t wall_ms, char *buf, size_t size)
{
	time_t then = (time_t)(wall_ms / 1000), now = time(NULL);
	struct tm t = {0}, today = {0};

	if (wall_ms == 0 || !localtime_r(&then, &t) || !localtime_r(&now, &today)) {
		(void)snprintf(buf, size, "-");
		return buf;
	}
	if (t.tm_yday == today.tm_yday && t.tm_year == today.tm_year)
		(void)strftime(buf, size, "%H:%M:%S", &t);
	else
		(void)strftime(buf, size, "%Y-%m-%d %H:%M", &t);
	return buf;
}

const char *rh_time_exact(int64_t wall_ms, char *buf, size_t size)
{
	time_t then = (time_t)(wall_ms / 1000);
	struct tm t = {0};
	size_t n = localtime_r(&then, &t) ? strftime(buf, size, "%Y-%m-%d %H:%M:%S", &t) : 0;

	(void)snprintf(buf + n, size - n, ".%03d", (int)(wall_ms % 1000));
	return buf;
}
