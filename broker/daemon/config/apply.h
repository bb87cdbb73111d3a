/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One value of a YAML file to one option of a table.
 */

#include <stdint.h>

#include "broker/daemon/config/option.h"
#include "broker/daemon/config/yaml.h"

/**
 * rh_option_apply() - find the option that @node is of, and set it
 * @skip: how many keys of the path stand above the table's names
 * @seen: the option's bit is set in it; see rh_options_missing()
 *
 * Return: 0; -ENOMEM; -EINVAL with @err.
 */
int rh_option_apply(const struct rh_option_table *table, void *object,
	const struct rh_yaml_node *node, size_t skip, uint64_t *seen, struct rh_err *err);
