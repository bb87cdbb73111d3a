/* SPDX-License-Identifier: Apache-2.0 */

/*
 * YAML values to options: unknown keys, wrong kinds, groups, lists.
 */

#include "broker/daemon/config/apply.h"

#include "broker/daemon/config/strv.h"

#define NAME_SIZE 512

static bool is_list(const struct rh_option *option)
{
	return option->type == RH_OPTION_LIST || option->type == RH_OPTION_ENV;
}

/* What may stand in the same group as @name: the part of each row's name behind the group. */
static int refuse_unknown(const struct rh_option_table *table, const char *name, struct rh_err *err)
{
	const char *point = strrchr(name, '.');
	size_t n_group = point ? (size_t)(point - name) + 1 : 0;
	const char *last = NULL;
	size_t n_last = 0;
	char known[320] = "";
	size_t n = 0;

	for (size_t i = 0; i < table->n && n < sizeof(known); i++) {
		const char *row = table->rows[i].name;
		size_t n_row = 0;

		if (strncmp(row, name, n_group) != 0)
			continue;
		row += n_group;
		n_row = strcspn(row, ".");
		if (last && n_row == n_last && strncmp(row, last, n_row) == 0)
			continue;
		n += (size_t)snprintf(
			known + n, sizeof(known) - n, "%s%.*s", n ? ", " : "", (int)n_row, row);
		last = row;
		n_last = n_row;
	}
	if (n == 0)
		return rh_err_set(err, -EINVAL, "unknown key");
	if (table->also && n_group == 0 && n < sizeof(known))
		(void)snprintf(known + n, sizeof(known) - n, ", %s", table->also);
	return rh_err_set(err, -EINVAL, "unknown key; known here: %s", known);
}

static int refuse_kind(
	const struct rh_option *option, const struct rh_yaml_node *node, struct rh_err *err)
{
	char form[160];

	rh_option_describe(option, form, sizeof(form));
	return rh_err_set(err, -EINVAL, "must be %s, not %s", form,
		node->kind == RH_YAML_MAP            ? "a mapping"
			: node->kind == RH_YAML_LIST ? "a list"
			: node->is_null              ? "nothing"
						     : "a single value");
}

/* A variable may be named once, whether as a mapping's key or in a list. */
static int set_variable(
	const struct rh_option *option, void *object, const char *pair, struct rh_err *err)
{
	char *const *env = *(char ***)rh_option_field(option, object);
	size_t n = strcspn(pair, "=");

	for (; env && *env; env++)
		if (strncmp(*env, pair, n) == 0 && (*env)[n] == '=')
			return rh_err_set(
				err, -EINVAL, "%.*s: the variable was there before", (int)n, pair);
	return rh_trace(rh_option_set(option, object, pair, err));
}

static int set_pair(const struct rh_option *option, void *object, const struct rh_yaml_node *node,
	struct rh_err *err)
{
	_cleanup_(rh_freep) char *pair = NULL;

	if (node->kind != RH_YAML_SCALAR)
		return rh_err_set(err, -EINVAL, "must be a single value");
	if (asprintf(&pair, "%s=%s", node->path[node->depth - 1], node->is_null ? "" : node->text) <
		0) {
		pair = NULL;
		return rh_origin(-ENOMEM);
	}
	/* The value may have a =, the name not. */
	if (strchr(node->path[node->depth - 1], '='))
		return rh_err_set(err, -EINVAL, "must be a variable's name");
	return rh_trace(set_variable(option, object, pair, err));
}

static int set_node(const struct rh_option *option, void *object, const struct rh_yaml_node *node,
	struct rh_err *err)
{
	bool begins = node->kind == RH_YAML_LIST ||
		(node->kind == RH_YAML_MAP && option->type == RH_OPTION_ENV);

	if (begins && is_list(option)) {
		rh_option_clear(option, object);
		return 0;
	}
	if (option->or_word && node->kind == RH_YAML_SCALAR && !node->is_null) {
		rh_option_clear(option, object);
		return rh_trace(rh_option_set(option, object, node->text, err));
	}
	if (begins || node->kind == RH_YAML_MAP || node->is_null ||
		is_list(option) != (node->kind == RH_YAML_ITEM))
		return refuse_kind(option, node, err);
	if (option->type == RH_OPTION_ENV)
		return rh_trace(set_variable(option, object, node->text, err));
	return rh_trace(rh_option_set(option, object, node->text, err));
}

int rh_option_apply(const struct rh_option_table *table, void *object,
	const struct rh_yaml_node *node, size_t skip, uint64_t *seen, struct rh_err *err)
{
	struct rh_yaml_node below = {.path = node->path + skip, .depth = node->depth - skip};
	char name[NAME_SIZE];
	const struct rh_option *option = NULL;

	rh_yaml_path(&below, name, sizeof(name));
	/* A key with a point in it is not a path. */
	for (size_t i = 0; i < below.depth; i++)
		if (strchr(below.path[i], '.'))
			return rh_err_set(err, -EINVAL, "unknown key");
	option = rh_option_find(table, name);
	if (option) {
		*seen |= UINT64_C(1) << (option - table->rows);
		return rh_trace(set_node(option, object, node, err));
	}
	if (rh_option_is_group(table, name))
		return node->kind == RH_YAML_MAP || (node->kind == RH_YAML_SCALAR && node->is_null)
			? 0
			: rh_err_set(err, -EINVAL, "must be a mapping");
	option = below.depth == 2 ? rh_option_find(table, below.path[0]) : NULL;
	if (option && option->type == RH_OPTION_ENV)
		return rh_trace(set_pair(option, object, node, err));
	return refuse_unknown(table, name, err);
}
