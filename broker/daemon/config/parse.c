/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The configuration file: options, profiles, and what must fit together.
 */

#include "broker/daemon/config/apply.h"
#include "broker/daemon/config/check.h"
#include "broker/daemon/config/egress.h"
#include "broker/daemon/config/load.h"

#define PROFILES_MAX 256

/* What the file's walk must remember to say where a mistake is. */
struct builder {
	struct rh_config *config;
	const char *name;
	uint64_t seen;
	size_t default_profile_line;
	size_t profile_lines[PROFILES_MAX];
	uint64_t profile_seen[PROFILES_MAX];
};

static int add_profile(struct builder *builder, const struct rh_yaml_node *node, struct rh_err *err)
{
	struct rh_config *config = builder->config;
	const char *wrong = rh_check_profile_name(node->path[1]);

	if (wrong)
		return rh_err_set(err, -EINVAL, "%s", wrong);
	if (node->kind != RH_YAML_MAP && !(node->kind == RH_YAML_SCALAR && node->is_null))
		return rh_err_set(err, -EINVAL, "must be a mapping");
	if (config->n_profiles == PROFILES_MAX)
		return rh_err_set(err, -EINVAL, "more than %d profiles", PROFILES_MAX);

	struct rh_profile *grown =
		reallocarray(config->profiles, config->n_profiles + 1, sizeof(*config->profiles));

	if (!grown)
		return rh_origin(-ENOMEM);
	config->profiles = grown;
	builder->profile_lines[config->n_profiles] = node->line;

	struct rh_profile *profile = &grown[config->n_profiles++];

	*profile = (struct rh_profile){.name = strdup(node->path[1])};
	if (!profile->name)
		return rh_origin(-ENOMEM);
	return rh_trace(rh_options_init(&rh_options_profile, profile));
}

static int on_node(void *arg, const struct rh_yaml_node *node, struct rh_err *err)
{
	struct builder *builder = arg;
	struct rh_config *config = builder->config;

	if (strcmp(node->path[0], "default_profile") == 0)
		builder->default_profile_line = node->line;
	if (strcmp(node->path[0], "profiles") != 0)
		return rh_trace(
			rh_option_apply(&rh_options_config, config, node, 0, &builder->seen, err));
	if (node->depth == 1)
		return node->kind == RH_YAML_MAP || (node->kind == RH_YAML_SCALAR && node->is_null)
			? 0
			: rh_err_set(err, -EINVAL, "must be a mapping of names to profiles");
	if (node->depth == 2)
		return rh_trace(add_profile(builder, node, err));
	/* Keys are unique, so that a profile's values follow its beginning. */
	return rh_trace(
		rh_option_apply(&rh_options_profile, &config->profiles[config->n_profiles - 1],
			node, 2, &builder->profile_seen[config->n_profiles - 1], err));
}

/* What is said of the network must be something that we can see to. */
static int check_egress(const struct builder *builder, size_t i, struct rh_err *err)
{
	const struct rh_profile *profile = &builder->config->profiles[i];
	const char *wrong = rh_egress_check_list(profile->egress);

	if (!wrong && rh_egress_mode(profile->egress) != RH_EGRESS_ALLOW &&
		strcmp(profile->network, "isolated") != 0)
		wrong = "needs network: isolated; other networks are the engine's";
	return wrong ? rh_err_set(err, -EINVAL, "%s:%zu: profiles.%s.egress: %s", builder->name,
			       builder->profile_lines[i], profile->name, wrong)
		     : 0;
}

static int check_profile(const struct builder *builder, size_t i, struct rh_err *err)
{
	const struct rh_profile *profile = &builder->config->profiles[i];
	const struct rh_option *missing =
		rh_options_missing(&rh_options_profile, builder->profile_seen[i]);

	if (missing)
		return rh_err_set(err, -EINVAL, "%s:%zu: profiles.%s.%s: must be set (%s)",
			builder->name, builder->profile_lines[i], profile->name, missing->name,
			missing->help);
	if (profile->warm > profile->max)
		return rh_err_set(err, -EINVAL,
			"%s:%zu: profiles.%s.warm: %u is more than max (%u) allows", builder->name,
			builder->profile_lines[i], profile->name, profile->warm, profile->max);
	if (profile->pin && !strstr(profile->image, "sha256:"))
		return rh_err_set(err, -EINVAL,
			"%s:%zu: profiles.%s.pin: the image %s is not named by its digest "
			"(NAME@sha256:…)",
			builder->name, builder->profile_lines[i], profile->name, profile->image);
	return rh_trace(check_egress(builder, i, err));
}

static int check_whole(const struct builder *builder, struct rh_err *err)
{
	const struct rh_config *config = builder->config;

	if (config->n_profiles == 0)
		return rh_err_set(err, -EINVAL,
			"%s: profiles: at least one must be there, with its image", builder->name);
	for (size_t i = 0; i < config->n_profiles; i++) {
		int r = check_profile(builder, i, err);

		if (r < 0)
			return rh_trace(r);
	}
	if (rh_config_profile(config, config->default_profile))
		return 0;
	if (builder->default_profile_line)
		return rh_err_set(err, -EINVAL, "%s:%zu: default_profile: there is no profile %s",
			builder->name, builder->default_profile_line, config->default_profile);
	return rh_err_set(err, -EINVAL,
		"%s: default_profile: must name one of the profiles, since none is called %s",
		builder->name, config->default_profile);
}

int rh_config_parse(const char *name, const char *data, size_t size, struct rh_config **ret_config,
	struct rh_err *err)
{
	_cleanup_(rh_config_unrefp) struct rh_config *config = calloc(1, sizeof(*config));
	_cleanup_(rh_freep) struct builder *builder = calloc(1, sizeof(*builder));
	int r = 0;

	if (!config)
		return rh_err_set(err, -ENOMEM, "%s: out of memory", name);
	config->n_refs = 1; /* its clean-up counts on it */
	config->path = strdup(name);
	if (!builder || !config->path || rh_options_init(&rh_options_config, config) < 0)
		return rh_err_set(err, -ENOMEM, "%s: out of memory", name);
	*builder = (struct builder){.config = config, .name = name};
	r = rh_yaml_walk(name, data, size, on_node, builder, err);
	if (r == 0)
		r = check_whole(builder, err);
	if (r < 0)
		return rh_trace(r);
	*ret_config = rh_steal(&config);
	return 0;
}
