/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines and program names, see args.h.
 */

#include <stdlib.h>
#include <string.h>

#include "common/files.h"
#include "common/text.h"
#include "common/yaml.h"
#include "runner/args.h"

/* Backslashes before a quote: two make one, an odd one makes the quote a plain character. */
static const char *take_backslashes(const char *p, struct rh_text *word, bool *ret_literal_quote)
{
	size_t n = strspn(p, "\\");

	*ret_literal_quote = p[n] == '"' && n % 2;
	for (size_t i = 0; i < (p[n] == '"' ? n / 2 : n); i++)
		rh_text_puts(word, "\\");
	return p + n;
}

/* One word, up to a blank outside quotes. Return: where it ended. */
static const char *take_word(const char *p, struct rh_text *word)
{
	bool quoted = false;

	rh_text_puts(word, "");
	while (*p) {
		bool literal = false;

		if (*p == '\\') {
			p = take_backslashes(p, word, &literal);
			if (literal)
				rh_text_add(word, p++, 1);
		} else if (*p == '"' && quoted && p[1] == '"') {
			rh_text_add(word, p, 1);
			p += 2;
		} else if (*p == '"') {
			quoted = !quoted;
			p++;
		} else if (!quoted && (*p == ' ' || *p == '\t')) {
			break;
		} else {
			rh_text_add(word, p++, 1);
		}
	}
	return p;
}

char **rh_args_split(const char *program, const char *arguments)
{
	size_t n = 1;
	char **argv = rh_must(calloc(strlen(arguments) / 2 + 3, sizeof(*argv)));

	argv[0] = rh_dup(program);
	for (const char *p = arguments + strspn(arguments, " \t"); *p; p += strspn(p, " \t")) {
		struct rh_text word = {0};

		p = take_word(p, &word);
		word.data[strcspn(word.data, (const char[]){RH_YAML_NUL, '\0'})] = '\0';
		argv[n++] = rh_text_take(&word);
	}
	return argv;
}

void rh_args_free(char **argv)
{
	for (char **p = argv; p && *p; p++)
		free(*p);
	free(argv);
}

static char *search(const char *name, const char *path)
{
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, ":");
		char *candidate = rh_fmt("%.*s/%s", (int)n, p, name);

		if (n && rh_file_exists(candidate))
			return candidate;
		free(candidate);
		p += n + (p[n] == ':');
	}
	return NULL;
}

char *rh_which(const char *name, const char *prepend, const char *path)
{
	if (*name == '/')
		return rh_file_exists(name) ? rh_dup(name) : NULL;
	if (!*name)
		return NULL;

	char *found = search(name, prepend);

	return found ? found : search(name, path);
}
