/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The loaded configuration: life, look-up, comparison.
 */

#include "broker/daemon/config/config.h"

#include <fcntl.h>

#include "broker/daemon/config/load.h"
#include "broker/daemon/config/option.h"

int rh_config_load(const char *path, struct rh_config **ret_config, struct rh_err *err)
{
	_cleanup_(rh_config_unrefp) struct rh_config *config = NULL;
	_cleanup_(rh_freep) char *data = NULL;
	size_t size = 0;
	int r = rh_config_read_file(AT_FDCWD, path, path, &data, &size, err);

	if (r == 0)
		r = rh_config_parse(path, data, size, &config, err);
	if (r == 0)
		r = rh_config_load_runners(config, err);
	if (r < 0)
		return rh_trace(r);
	*ret_config = rh_steal(&config);
	return 0;
}

static int keep_in_force(struct rh_config *config, const struct rh_config *old, struct rh_err *err)
{
	for (size_t i = 0; i < rh_options_config.n; i++) {
		const struct rh_option *option = &rh_options_config.rows[i];

		if (option->restart && rh_option_copy(option, config, old) < 0)
			return rh_err_set(err, -ENOMEM, "%s: out of memory", config->path);
	}
	return rh_trace(rh_config_check_runner_ids(config, err));
}

int rh_config_reload(const struct rh_config *old, struct rh_config **ret_config,
	const char **ret_fixed, struct rh_err *err)
{
	_cleanup_(rh_config_unrefp) struct rh_config *config = NULL;
	const char *fixed = NULL;
	int r = rh_config_load(old->path, &config, err);

	if (r < 0)
		return rh_trace(r);
	fixed = rh_config_needs_restart(old, config);
	r = keep_in_force(config, old, err);
	if (r < 0)
		return rh_trace(r);
	*ret_fixed = fixed;
	*ret_config = rh_steal(&config);
	return 0;
}

struct rh_config *rh_config_ref(struct rh_config *config)
{
	config->n_refs++;
	return config;
}

void rh_config_unref(struct rh_config *config)
{
	if (!config || --config->n_refs > 0)
		return;
	for (size_t i = 0; i < config->n_profiles; i++) {
		rh_options_deinit(&rh_options_profile, &config->profiles[i]);
		free(config->profiles[i].name);
	}
	for (size_t i = 0; i < config->n_runners; i++)
		rh_runner_deinit(&config->runners[i]);
	rh_options_deinit(&rh_options_config, config);
	free(config->profiles);
	free(config->runners);
	free(config->path);
	free(config);
}

const char *rh_config_needs_restart(const struct rh_config *old, const struct rh_config *new_config)
{
	for (size_t i = 0; i < rh_options_config.n; i++) {
		const struct rh_option *option = &rh_options_config.rows[i];

		if (option->restart && !rh_option_equal(option, old, new_config))
			return option->name;
	}
	return NULL;
}

const struct rh_profile *rh_config_profile(const struct rh_config *config, const char *name)
{
	for (size_t i = 0; i < config->n_profiles; i++)
		if (strcmp(config->profiles[i].name, name) == 0)
			return &config->profiles[i];
	return NULL;
}

const struct rh_runner *rh_config_runner(const struct rh_config *config, const char *name)
{
	for (size_t i = 0; i < config->n_runners; i++)
		if (strcmp(config->runners[i].name, name) == 0)
			return &config->runners[i];
	return NULL;
}
