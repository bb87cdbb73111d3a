/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a container is made of: from its profile to what the engine is asked for.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/daemon/config/egress.h"
#include "broker/daemon/container/container_private.h"
#include "broker/daemon/container/hardening.h"
#include "rh-config.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/limits.h"
#include "runnerhub/weaken.h"

static const char *const entrypoint[] = {RH_AGENT_PATH, NULL};

int rh_containers_label_filter(const struct rh_config *config, char *buf, size_t size)
{
	int n = snprintf(buf, size, "runnerhub.managed=true\nrunnerhub.hub=%s", config->state_dir);

	return n < 0 || (size_t)n >= size ? rh_origin(-ENAMETOOLONG) : 0;
}

/* The engine refuses more than the host has: a default must not fail on a small one. */
static double cpus_of(const struct rh_profile *profile)
{
	double online = (double)sysconf(_SC_NPROCESSORS_ONLN);

	return profile->cpus > online && online > 0 ? online : profile->cpus;
}

/* Borrows the strings. A build for tests hands on what is switched off. */
static const char **environment_of(const struct rh_profile *profile)
{
	size_t n = 0;

	while (profile->env && profile->env[n])
		n++;

	const char **env = calloc(n + 2, sizeof(*env));

	if (!env)
		return NULL;
	for (size_t i = 0; i < n; i++)
		env[i] = profile->env[i];
	env[n] = rh_weaken_entry();
	return env;
}

int rh_container_spec_create(struct rh_container *container, rh_engine_create_fn cb, void *arg)
{
	const struct rh_profile *profile = container->profile;
	const struct rh_config *config = container->config;
	_cleanup_(rh_freep) char *agent = NULL;
	_cleanup_(rh_freep) char *socket = NULL;
	_cleanup_(rh_freep) char *slot = NULL;
	_cleanup_(rh_freep) const char **env = environment_of(profile);
	char hostname[13];
	const char *labels[] = {"runnerhub.managed", "true", "runnerhub.profile", profile->name,
		"runnerhub.instance", container->instance_text, "runnerhub.hub",
		container->all->config->state_dir, "runnerhub.revision", container->revision, NULL};
	const char *network = profile->network;
	bool asks = strcmp(network, "isolated") == 0 && rh_egress_asks(profile->egress) &&
		container->all->options.network;
	const char *gateway[] = {
		asks ? rh_network_gateway(container->all->options.network) : NULL, NULL};

	if (strcmp(network, "isolated") == 0)
		network = container->all->network_id;
	else if (strcmp(network, "none") == 0 && rh_weakened("network-none"))
		network = "bridge";
	if (!network[0] || (asks && !gateway[0]))
		return rh_origin(-EADDRNOTAVAIL);
	if (!env)
		return rh_origin(-ENOMEM);
	if (asprintf(&agent, "%s/runnerhub-agent", config->libexec_dir) < 0) {
		agent = NULL;
		return rh_origin(-ENOMEM);
	}
	if (asprintf(&socket, "%s/socket", container->dir) < 0) {
		socket = NULL;
		return rh_origin(-ENOMEM);
	}
	if (asprintf(&slot, "%s/slot", container->dir) < 0) {
		slot = NULL;
		return rh_origin(-ENOMEM);
	}
	(void)snprintf(hostname, sizeof(hostname), "%.12s", container->instance_text);

	struct rh_engine_bind binds[4] = {
		{.source = agent, .target = RH_AGENT_PATH, .read_only = true},
		{.source = socket, .target = RH_AGENT_SOCKET_DIR},
	};
	size_t n_binds = 2;

	if (rh_mounter_uses_slots(container->all->options.mounter))
		binds[n_binds++] = (struct rh_engine_bind){
			.source = slot, .target = RH_AGENT_SLOT_DIR, .slave = true};
	/* Nobody gets this one; an attack shows what it would be good for. */
	if (rh_weakened("engine-socket"))
		binds[n_binds++] = (struct rh_engine_bind){
			.source = config->docker_socket, .target = "/run/docker.sock"};

	struct rh_hardening hardening;
	struct rh_engine_spec spec = {
		.name = container->name,
		.hostname = hostname,
		.image = profile->image,
		.entrypoint = entrypoint,
		.env = env,
		.labels = labels,
		.binds = binds,
		.n_binds = n_binds,
		.network = network,
		.dns = asks ? gateway : (const char *const *)profile->dns,
		.cpus = cpus_of(profile),
		.memory_bytes = profile->memory_bytes,
		.shm_bytes = profile->shm_bytes,
		.pids = profile->pids,
		.nofile = profile->nofile,
		.disk_bytes = container->all->info.may_have_quota ? profile->disk_bytes : 0,
	};

	rh_hardening_apply(profile, &hardening, &spec);
	return rh_trace(rh_engine_create(container->all->options.engine, &spec, cb, arg));
}

/* FNV-1a, 64 bits: tells changes apart, protects from nobody. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
	return hash_bytes(hash, text ? text : "", text ? strlen(text) + 1 : 1);
}

static uint64_t hash_texts(uint64_t hash, char *const *texts)
{
	for (; texts && *texts; texts++)
		hash = hash_text(hash, *texts);
	return hash_text(hash, NULL);
}

void rh_container_revision(const struct rh_profile *profile, char ret_revision[17])
{
	const uint64_t numbers[] = {profile->memory_bytes, profile->pids, profile->nofile,
		profile->shm_bytes, profile->disk_bytes, (uint64_t)(profile->cpus * 1e9)};
	uint64_t hash = hash_text(UINT64_C(0xcbf29ce484222325), RH_VERSION);

	hash = hash_text(hash, profile->image);
	hash = hash_text(hash, profile->network);
	hash = hash_bytes(hash, numbers, sizeof(numbers));
	hash = hash_text(hash, profile->runtime);
	hash = hash_text(hash, profile->apparmor);
	hash = hash_texts(hash, profile->egress);
	hash = hash_texts(hash, profile->dns);
	hash = hash_texts(hash, profile->cap_add);
	hash = hash_texts(hash, profile->ulimits);
	hash = hash_texts(hash, profile->env);
	(void)snprintf(ret_revision, 17, "%016" PRIx64, hash);
}
