/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A command's options.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/cli.h"

static void print_help(const char *command, const struct rh_option *options)
{
	(void)printf("Options of `runnerhub %s`:\n", command);
	for (const struct rh_option *o = options; o && o->name; o++) {
		char left[64];

		(void)snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value ? " " : "",
			o->value ? o->value : "");
		(void)printf("  %-24s %s\n", left, o->help);
	}
	(void)printf("  %-24s %s\n  %-24s %s\n", "--json", "print data as JSON", "--socket PATH",
		"the broker's control socket");
}

static int usage(const char *command, const char *what, const char *word)
{
	(void)fprintf(stderr, "runnerhub %s: %s %s; see `runnerhub %s --help`\n", command, what,
		word, command);
	return RH_EXIT_USAGE;
}

static const struct rh_option *find(const struct rh_option *options, const char *name, size_t n)
{
	for (; options && options->name; options++) {
		if (strlen(options->name) == n && memcmp(options->name, name, n) == 0)
			return options;
	}
	return NULL;
}

/* One --option at argv[*at]. Return: -1 or an exit status. */
static int take(struct rh_cli *cli, char **argv, int argc, int *at, const struct rh_option *options)
{
	const char *word = argv[*at] + 2;
	size_t n = strcspn(word, "=");
	const char *value = word[n] ? word + n + 1 : NULL;
	const struct rh_option globals[] = {
		{.name = "json", .ret_switch = &cli->json},
		{.name = "socket", .value = "PATH", .ret_text = &cli->socket},
		{0},
	};
	const struct rh_option *o = find(options, word, n);

	if (!o)
		o = find(globals, word, n);
	if (!o)
		return usage(argv[0], "unknown option", argv[*at]);
	if (!o->value) {
		if (value)
			return usage(argv[0], "a switch takes no value:", argv[*at]);
		*o->ret_switch = true;
		return -1;
	}
	if (!value && *at + 1 < argc)
		value = argv[++*at];
	if (!value)
		return usage(argv[0], "a value is missing behind", argv[*at]);
	if (!o->ret_words) {
		*o->ret_text = value;
		return -1;
	}
	if (o->ret_words->n == RH_WORDS_MAX)
		return usage(argv[0], "too many of", argv[*at]);
	o->ret_words->words[o->ret_words->n++] = value;
	return -1;
}

int rh_parse_options(struct rh_cli *cli, int argc, char **argv, const struct rh_option *options,
	const char **positional, int n_positional)
{
	int n = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			print_help(argv[0], options);
			return RH_EXIT_OK;
		}
		if (strncmp(argv[i], "--", 2) == 0 && argv[i][2]) {
			int status = take(cli, argv, argc, &i, options);

			if (status >= 0)
				return status;
		} else if (argv[i][0] == '-' && argv[i][1]) {
			return usage(argv[0], "unknown option", argv[i]);
		} else if (n < n_positional) {
			positional[n++] = argv[i];
		} else {
			return usage(argv[0], "unexpected argument", argv[i]);
		}
	}
	return -1;
}

bool rh_parse_number(
	const char *name, const char *text, int64_t min, int64_t max, int64_t *ret_number)
{
	char *end = NULL;

	errno = 0;

	long long number = strtoll(text, &end, 10);

	if (errno != 0 || end == text || *end || number < min || number > max) {
		(void)fprintf(stderr, "runnerhub: --%s takes a number from %lld to %lld, not %s\n",
			name, (long long)min, (long long)max, text);
		return false;
	}
	*ret_number = number;
	return true;
}
