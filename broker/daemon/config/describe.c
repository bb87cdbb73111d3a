/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Options in words: what a value must be, --help, the example file.
 */

#include <inttypes.h>

#include "broker/daemon/config/config.h"
#include "broker/daemon/config/option.h"
#include "broker/daemon/config/value.h"

#define WIDTH 96

const char *rh_option_unit(const struct rh_option *option)
{
	if (option->unit)
		return option->unit;
	switch (option->type) {
	case RH_OPTION_PATH:
		return "PATH";
	case RH_OPTION_DURATION:
		return "DURATION";
	case RH_OPTION_SIZE:
		return "SIZE";
	case RH_OPTION_CHOICE:
		return "WORD";
	default:
		return "N";
	}
}

static void print_number(
	const struct rh_option *option, uint64_t number, char ret_text[RH_VALUE_TEXT_SIZE])
{
	if (option->type == RH_OPTION_DURATION)
		rh_value_print_duration(number, ret_text);
	else if (option->type == RH_OPTION_SIZE)
		rh_value_print_size(number, ret_text);
	else if (option->type == RH_OPTION_DECIMAL)
		rh_value_print_thousandths(number, ret_text);
	else
		(void)snprintf(ret_text, RH_VALUE_TEXT_SIZE, "%" PRIu64, number);
}

static void describe_choices(const struct rh_option *option, char *ret_text, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; option->choices[i] && n < size; i++)
		n += (size_t)snprintf(ret_text + n, size - n, "%s%s",
			i == 0                           ? ""
				: option->choices[i + 1] ? ", "
							 : " or ",
			option->choices[i]);
}

void rh_option_describe(const struct rh_option *option, char *ret_text, size_t size)
{
	char min[RH_VALUE_TEXT_SIZE];
	char max[RH_VALUE_TEXT_SIZE];
	const char *what = "a number";

	switch (option->type) {
	case RH_OPTION_TEXT:
	case RH_OPTION_PATH:
	case RH_OPTION_USER:
		(void)snprintf(ret_text, size, "%s", "a text");
		return;
	case RH_OPTION_LIST:
		(void)snprintf(ret_text, size, "%s", "a list");
		return;
	case RH_OPTION_ENV:
		(void)snprintf(ret_text, size, "%s", "a mapping of names to values, or a list");
		return;
	case RH_OPTION_CHOICE:
		describe_choices(option, ret_text, size);
		return;
	case RH_OPTION_DURATION:
		what = "a duration such as 30s (ms, s, m, h, d)";
		break;
	case RH_OPTION_SIZE:
		what = "a size such as 512M (K, M, G, T)";
		break;
	default:
		break;
	}
	print_number(option, option->min, min);
	print_number(option, option->max, max);
	(void)snprintf(ret_text, size, "%s from %s to %s%s", what, min, max,
		option->zero_is_none ? ", or none" : "");
}

/* Writes @text in lines of WIDTH, each after @prefix. */
static void print_wrapped(FILE *out, const char *prefix, const char *text)
{
	size_t room = WIDTH - strlen(prefix);

	while (*text) {
		size_t n = strlen(text);

		if (n > room) {
			n = room;
			while (n > 0 && text[n] != ' ')
				n--;
			if (n == 0)
				n = strcspn(text, " ");
		}
		(void)fprintf(out, "%s%.*s\n", prefix, (int)n, text);
		text += n;
		text += strspn(text, " ");
	}
}

/* "what it is; 1 to 64". Units are explained once, above it. */
static void full_help(const struct rh_option *option, char *ret_text, size_t size)
{
	size_t n = (size_t)snprintf(ret_text, size, "%s", option->help);
	char min[RH_VALUE_TEXT_SIZE];
	char max[RH_VALUE_TEXT_SIZE];

	if (n + 2 >= size)
		return;
	switch (option->type) {
	case RH_OPTION_CHOICE:
		n += (size_t)snprintf(ret_text + n, size - n, "; ");
		describe_choices(option, ret_text + n, size - n);
		return;
	case RH_OPTION_DURATION:
	case RH_OPTION_SIZE:
	case RH_OPTION_COUNT:
	case RH_OPTION_COUNT32:
	case RH_OPTION_DECIMAL:
		print_number(option, option->min, min);
		print_number(option, option->max, max);
		(void)snprintf(ret_text + n, size - n, "; %s to %s%s", min, max,
			option->zero_is_none ? ", or none" : "");
		return;
	default:
		return;
	}
}

static void print_help_of(FILE *out, const char *group, const struct rh_option_table *table)
{
	char text[512];

	for (size_t i = 0; i < table->n; i++) {
		const struct rh_option *option = &table->rows[i];

		(void)fprintf(out, "  %s%s %s", group, option->name, rh_option_unit(option));
		if (option->required)
			(void)fputs(" (required)", out);
		else if (option->fallback && *option->fallback)
			(void)fprintf(out, " (%s)", option->fallback);
		(void)fputc('\n', out);
		full_help(option, text, sizeof(text));
		print_wrapped(out, "      ", text);
	}
}

void rh_config_print_help(FILE *out)
{
	(void)fputs(
		"Options of the configuration file (default in parentheses); durations are in ms,\n"
		"s, m, h or d, sizes in K, M, G or T:\n",
		out);
	print_help_of(out, "", &rh_options_config);
	(void)fputs("Of each profile:\n", out);
	print_help_of(out, "profiles.NAME.", &rh_options_profile);
	(void)fputs("Of each registered runner, in RUNNERS_DIR/NAME.yaml:\n", out);
	print_help_of(out, "", &rh_options_runner);
}

/* A list's default is written in YAML's own short form. */
static void print_example_value(FILE *out, const struct rh_option *option)
{
	static const char *const must_quote = "*,\"";

	if (option->type == RH_OPTION_ENV) {
		(void)fputs("{}", out);
	} else if (option->type == RH_OPTION_LIST) {
		(void)fputc('[', out);
		for (const char *p = option->fallback; *p;) {
			size_t n = strcspn(p, ",");
			const char *quote = strcspn(p, must_quote) < n ? "\"" : "";

			(void)fprintf(out, "%s%.*s%s", quote, (int)n, p, quote);
			p += n + (p[n] == ',');
			(void)fputs(*p ? ", " : "", out);
		}
		(void)fputc(']', out);
	} else {
		(void)fputs(option->fallback ? option->fallback : "debian:bookworm", out);
	}
}

static void print_example_of(FILE *out, const struct rh_option *option, const char *indent)
{
	const char *point = strrchr(option->name, '.');
	char prefix[16];
	char text[512];

	(void)snprintf(prefix, sizeof(prefix), "%s# ", indent);
	full_help(option, text, sizeof(text));
	print_wrapped(out, prefix, text);
	(void)fprintf(out, "%s%s%s: ", indent, option->required ? "" : "#",
		point ? point + 1 : option->name);
	print_example_value(out, option);
	(void)fputc('\n', out);
}

void rh_config_print_example(FILE *out)
{
	const struct rh_option_table *table = &rh_options_config;
	const char *group = "";
	size_t n_group = 0;

	(void)fputs("# RunnerHub: configuration of the broker.\n"
		    "# What stands behind a # is the default; take the # away to change it.\n"
		    "# runnerhubd --check-config says whether the file is right.\n"
		    "#\n"
		    "# Durations are in ms, s, m, h or d, sizes in K, M, G or T.\n",
		out);
	for (size_t i = 0; i < table->n; i++) {
		const char *name = table->rows[i].name;
		size_t n = strcspn(name, ".");
		bool grouped = name[n] == '.';

		(void)fputc('\n', out);
		if (grouped && (n != n_group || strncmp(name, group, n) != 0))
			(void)fprintf(out, "%.*s:\n", (int)n, name);
		group = name;
		n_group = n;
		print_example_of(out, &table->rows[i], grouped ? "  " : "");
	}
	(void)fputs(
		"\n# What containers of jobs are made of, by name.\nprofiles:\n  default:\n", out);
	for (size_t i = 0; i < rh_options_profile.n; i++) {
		(void)fputs(i ? "\n" : "", out);
		print_example_of(out, &rh_options_profile.rows[i], "    ");
	}
}
