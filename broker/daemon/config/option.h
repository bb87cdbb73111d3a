/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One option is one row: name, type, default, range, unit, help. From these tables come the parser,
 * the defaults, --help, the example file, and what a reload may change.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runnerhub/err.h"

#define RH_OPTION_LIST_MAX 256

enum rh_option_type {
	RH_OPTION_TEXT, /* char * */
	RH_OPTION_PATH, /* char *, absolute, without . and .. */
	RH_OPTION_CHOICE, /* enum, index into choices */
	RH_OPTION_DURATION, /* uint64_t, milliseconds */
	RH_OPTION_SIZE, /* uint64_t, bytes */
	RH_OPTION_COUNT, /* uint64_t */
	RH_OPTION_COUNT32, /* uint32_t */
	RH_OPTION_DECIMAL, /* double; the range is in thousandths */
	RH_OPTION_LIST, /* char ** */
	RH_OPTION_ENV, /* char ** of NAME=VALUE, written as a mapping or a list */
	RH_OPTION_USER, /* struct rh_profile's user, uid, gid */
};

/* Return: what is wrong with @text ("must …"), or NULL. */
typedef const char *(*rh_option_check_fn)(const char *text);

struct rh_option {
	const char *name; /* with its groups: "docker.socket" */
	size_t offset; /* of the field */
	const char *fallback; /* default, as in the file; a list's is separated by commas */
	uint64_t min;
	uint64_t max;
	const char *const *choices; /* NULL-terminated */
	rh_option_check_fn check;
	const char *unit; /* what stands for its value in help: "N", "PATH" */
	const char *help;
	enum rh_option_type type;
	bool zero_is_none; /* "none" may be written, and 0 whatever the range */
	bool required;
	bool restart; /* cannot change on reload */
	bool or_word; /* a list whose only item may be written without being one */
};

struct rh_option_table {
	const struct rh_option *rows;
	size_t n;
	const char *also; /* a key beside the rows, for messages */
};

extern const struct rh_option_table rh_options_config; /* struct rh_config */
extern const struct rh_option_table rh_options_profile; /* struct rh_profile */
extern const struct rh_option_table rh_options_runner; /* struct rh_runner */

/* The option's field in @object. */
static inline void *rh_option_field(const struct rh_option *option, const void *object)
{
	return (void *)((uintptr_t)object + option->offset);
}

const struct rh_option *rh_option_find(const struct rh_option_table *table, const char *name);
/* Whether @name is a group of options: "docker". */
bool rh_option_is_group(const struct rh_option_table *table, const char *name);

/**
 * rh_option_set() - parse @text and store it, replacing what was there; a list's next item
 * @object: the structure that the table's offsets belong to
 *
 * Return: 0; -ENOMEM; -EINVAL with @err ("must be …").
 */
int rh_option_set(
	const struct rh_option *option, void *object, const char *text, struct rh_err *err);
void rh_option_clear(const struct rh_option *option, void *object);
bool rh_option_equal(const struct rh_option *option, const void *a, const void *b);
/* Gives @object a copy of what @from has. Return: 0; -ENOMEM, @object unchanged. */
int rh_option_copy(const struct rh_option *option, void *object, const void *from);

/* Defaults for all. Return: 0; -ENOMEM. */
int rh_options_init(const struct rh_option_table *table, void *object);
void rh_options_deinit(const struct rh_option_table *table, void *object);
/* The first required option that is not among @seen (bit i: row i), or NULL. */
const struct rh_option *rh_options_missing(const struct rh_option_table *table, uint64_t seen);

/* "DURATION", "PATH", and "a duration such as 30s, from 1s to 10m", for messages and help. */
const char *rh_option_unit(const struct rh_option *option);
void rh_option_describe(const struct rh_option *option, char *ret_text, size_t size);
