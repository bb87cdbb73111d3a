/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Lines of the log: escaping, cutting, text and JSON.
 *
 * A line is built in a buffer that keeps a reserve for its end. Each field is written whole or its
 * beginning is taken back, so that the line is well-formed wherever it was cut.
 */

#include "broker/daemon/log/format.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runnerhub/utf8.h"

/* Room for the mark of a cut line and its end. */
#define RESERVE 16u
/* Of one value: a single field must not push out all others. */
#define VALUE_MAX 1024u

struct line {
	char *text;
	size_t n;
	size_t max;
	bool full;
};

const char *rh_log_level_name(enum rh_log_level level)
{
	static const char *const names[] = {"error", "warning", "notice", "info", "debug"};

	return (size_t)level < sizeof(names) / sizeof(names[0]) ? names[level] : "error";
}

static void put(struct line *line, const char *text, size_t n)
{
	if (line->full || n > line->max - line->n) {
		line->full = true;
		return;
	}
	memcpy(line->text + line->n, text, n);
	line->n += n;
}

static void put_text(struct line *line, const char *text)
{
	put(line, text, strlen(text));
}

/* Length of the sequence at @s and its code, or 0. The terminating NUL ends a short one. */
static size_t sequence(const unsigned char *s, uint32_t *ret_code)
{
	size_t n = rh_utf8_sequence(s, 4);

	if (n == 0)
		return 0;
	*ret_code = n == 1 ? s[0] : s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++)
		*ret_code = *ret_code << 6 | (s[i] & 0x3fu);
	return n;
}

/* Control characters, C1 ones too, and those that turn the direction of text or end a line. */
static bool is_unsafe(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
		(code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

static void put_escaped_char(
	struct line *line, const unsigned char *s, size_t n_bytes, uint32_t code, bool json)
{
	char text[16];

	if (n_bytes == 0)
		(void)snprintf(text, sizeof(text), json ? "\\ufffd" : "\\x%02x", s[0]);
	else if (code == '"' || code == '\\')
		(void)snprintf(text, sizeof(text), "\\%c", (char)code);
	else if (code == '\n' || code == '\t' || code == '\r')
		(void)snprintf(text, sizeof(text), "\\%c",
			code == '\n'           ? 'n'
				: code == '\t' ? 't'
					       : 'r');
	else
		(void)snprintf(text, sizeof(text), "\\u%04x", (unsigned)code);
	put_text(line, text);
}

/* Return: false if the value was cut. */
static bool put_quoted(struct line *line, const char *value, bool json)
{
	const unsigned char *s = (const unsigned char *)value;
	size_t start = line->n;

	put(line, "\"", 1);
	while (*s && !line->full && line->n - start < VALUE_MAX) {
		uint32_t code = 0;
		size_t n = sequence(s, &code);

		if (n == 0 || is_unsafe(code) || code == '"' || code == '\\')
			put_escaped_char(line, s, n, code, json);
		else
			put(line, (const char *)s, n);
		s += n ? n : 1;
	}
	put(line, "\"", 1);
	return *s == '\0';
}

static bool is_plain(const char *value)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-./:@%+,~";
	size_t n = strspn(value, plain);

	return n > 0 && value[n] == '\0' && n < VALUE_MAX;
}

/* Return: false if the field was cut or left out. */
static bool put_field(struct line *line, const struct rh_log_field *field, bool json)
{
	size_t start = line->n;
	bool whole = true;

	if (json) {
		put(line, ",", 1);
		(void)put_quoted(line, field->key, true);
		put(line, ":", 1);
	} else {
		put(line, " ", 1);
		put_text(line, field->key);
		put(line, "=", 1);
	}
	if (!field->text) {
		char number[24];

		(void)snprintf(number, sizeof(number), "%lld", (long long)field->number);
		put_text(line, number);
	} else if (!json && is_plain(field->text)) {
		put_text(line, field->text);
	} else {
		whole = put_quoted(line, field->text, json);
	}
	if (!line->full)
		return whole;
	line->n = start;
	line->full = false;
	return false;
}

static void put_time(struct line *line, int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm = {0};
	char text[64];

	(void)gmtime_r(&seconds, &tm);
	size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);

	(void)snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)(wall_ms % 1000));
	put_text(line, text);
}

size_t rh_log_format_line(
	enum rh_log_format format, const struct rh_log_entry *entry, char ret_line[RH_LOG_LINE_MAX])
{
	struct line line = {.text = ret_line, .max = RH_LOG_LINE_MAX - RESERVE};
	bool json = format == RH_LOG_JSON;
	bool whole = true;

	put_text(&line, json ? "{\"time\":\"" : "");
	put_time(&line, entry->wall_ms);
	put_text(&line, json ? "\",\"level\":\"" : " ");
	put_text(&line, rh_log_level_name(entry->level));
	if (json) {
		put_text(&line, "\",\"event\":");
		whole = put_quoted(&line, entry->event, true);
	} else {
		put(&line, " ", 1);
		put_text(&line, entry->event);
	}
	for (size_t i = 0; i < entry->n_fields; i++)
		whole = put_field(&line, &entry->fields[i], json) && whole;

	line.max = RH_LOG_LINE_MAX;
	line.full = false;
	if (!whole)
		put_text(&line, json ? ",\"cut\":1" : " cut=1");
	put_text(&line, json ? "}\n" : "\n");
	return line.n;
}
