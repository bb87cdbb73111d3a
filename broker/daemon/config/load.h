/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The steps of rh_config_load(), for its own files, the tests and the fuzz target.
 */

#include <stddef.h>

#include "broker/daemon/config/config.h"

/**
 * rh_config_parse() - the configuration file alone, without the runners
 * @name: of the file, for messages
 *
 * Context: any thread. Return: 0; negative errno with @err.
 */
int rh_config_parse(const char *name, const char *data, size_t size, struct rh_config **ret_config,
	struct rh_err *err);

/* One runner's file; @ret_runner is empty and gets its name. rh_runner_deinit() also on failure. */
int rh_runner_parse(const char *path, const char *data, size_t size, struct rh_runner *ret_runner,
	struct rh_err *err);
void rh_runner_deinit(struct rh_runner *runner);

/**
 * rh_config_load_runners() - every NAME.yaml of the runners directory, in the order of the names
 *
 * Context: start-up or worker thread. Return: 0; negative errno with @err.
 */
int rh_config_load_runners(struct rh_config *config, struct rh_err *err);

/* No runner's ids are among those of id_map.base. Return: 0; -EINVAL with @err. */
int rh_config_check_runner_ids(const struct rh_config *config, struct rh_err *err);

/**
 * rh_config_read_file() - read a file that only its owner may have written
 * @dir_fd:   as openat(2)
 * @path:     for messages too
 * @ret_data: to be freed
 *
 * Return: 0; -EPERM if others could have written it; negative errno with @err.
 */
int rh_config_read_file(int dir_fd, const char *name, const char *path, char **ret_data,
	size_t *ret_size, struct rh_err *err);
struct stat;
/* The same check on what fstat(2) said. */
int rh_config_check_owner(const struct stat *st, const char *path, struct rh_err *err);
