/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small part of YAML: nested mappings whose values are scalars or lists of scalars.
 *
 * Everything that makes YAML surprising is refused with its line: anchors, aliases, tags, duplicate
 * keys, several documents, control characters, deep nesting, huge files.
 */

#include <stdbool.h>
#include <stddef.h>

#include "runnerhub/err.h"

#define RH_YAML_SIZE_MAX  ((size_t)256 * 1024)
#define RH_YAML_DEPTH_MAX 5
/* Of one mapping or list. */
#define RH_YAML_ENTRIES_MAX 1024

enum rh_yaml_kind {
	RH_YAML_MAP, /* a mapping begins */
	RH_YAML_LIST, /* a list begins */
	RH_YAML_ITEM, /* of a list */
	RH_YAML_SCALAR,
};

struct rh_yaml_node {
	enum rh_yaml_kind kind;
	const char *const *path; /* keys from the root */
	size_t depth; /* of them, at least one */
	const char *text; /* of an item or scalar */
	bool is_null; /* nothing was written, or null, or ~ */
	size_t line;
};

typedef int (*rh_yaml_fn)(void *arg, const struct rh_yaml_node *node, struct rh_err *err);

/**
 * rh_yaml_walk() - parse and visit
 * @name: of the file, for messages
 * @fn:   a negative result ends the walk; its message gets "FILE:LINE: path: " in front
 *
 * Context: any thread. Return: 0; negative errno with @err; what @fn returned.
 * Source:  YAML 1.1, libyaml
 */
int rh_yaml_walk(const char *name, const char *data, size_t size, rh_yaml_fn fn, void *arg,
	struct rh_err *err);

/* Writes "a.b.c", cut to @size. */
void rh_yaml_path(const struct rh_yaml_node *node, char *ret_text, size_t size);
