/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Property: a file is either refused with a message that names it, or every option of the result is
 * in its form and range, and profiles fit together.
 */

#include <stdint.h>

#include "broker/daemon/config/check.h"
#include "broker/daemon/config/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_profile(const struct rh_profile *profile)
{
	require(!rh_check_profile_name(profile->name));
	require(profile->image && !rh_check_image(profile->image));
	require(!rh_check_network(profile->network));
	require(profile->warm <= profile->max && profile->max >= 1 && profile->max <= 4096);
	require(profile->memory_bytes == 0 || profile->memory_bytes >= 16u << 20);
	require(profile->cpus >= 0 && profile->cpus <= 4096);
	require(profile->user == RH_USER_IDS ? profile->uid > 0 : profile->uid == 0);
	for (char **p = profile->cap_add; p && *p; p++)
		require(!rh_check_capability(*p));
	for (char **p = profile->env; p && *p; p++)
		require(!rh_check_env(*p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rh_config *config = NULL;
	struct rh_runner runner = {0};
	struct rh_err err = {0};
	const char *text = (const char *)data;

	if (rh_config_parse("f.yaml", text, size, &config, &err) < 0) {
		require(!config && strncmp(err.text, "f.yaml:", 7) == 0);
	} else {
		require(config->id_map_base >= 65536 && config->n_profiles > 0);
		require(!rh_check_path(config->runtime_dir) && !rh_check_path(config->state_dir));
		require(rh_config_profile(config, config->default_profile) != NULL);
		for (size_t i = 0; i < config->n_profiles; i++)
			check_profile(&config->profiles[i]);
		for (char **p = config->env_pass; p && *p; p++)
			require(!rh_check_pattern(*p));
		rh_config_unref(config);
	}
	if (rh_runner_parse("d/r.yaml", text, size, &runner, &err) == 0)
		require(runner.root && runner.work && !rh_check_path(runner.root) &&
			strcmp(runner.name, "r") == 0);
	rh_runner_deinit(&runner);
	return 0;
}
