/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a profile's containers need of the engine before any can be made: a runtime that can do what
 * RunnerHub does with it, and an image, fetched if the profile says so.
 */

#include <errno.h>
#include <string.h>

#include "broker/daemon/container/container_private.h"
#include "runnerhub/clock.h"

/*
 * Runtimes whose containers are processes of this host's kernel. Others (gVisor, Kata) run a kernel
 * of their own, into which no directory can be mounted late.
 */
static const char *const compatible[] = {"runc", "crun", "youki", "nvidia-container-runtime",
	"io.containerd.runc.v1", "io.containerd.runc.v2", "io.containerd.runtime.v1.linux"};

static bool is_compatible(const char *program, size_t size)
{
	for (size_t i = 0; i < sizeof(compatible) / sizeof(compatible[0]); i++) {
		if (strlen(compatible[i]) == size && memcmp(compatible[i], program, size) == 0)
			return true;
	}
	return false;
}

/* The base name of what the engine starts for @name: "NAME PROGRAM" lines. NULL: not known. */
static const char *program_of(const char *runtimes, const char *name, size_t *ret_size)
{
	size_t n = strlen(name);

	for (const char *line = runtimes; *line;) {
		size_t size = strcspn(line, "\n");

		if (strncmp(line, name, n) == 0 && line[n] == ' ') {
			const char *slash = memrchr(line + n, '/', size - n);
			const char *program = slash ? slash + 1 : line + n + 1;

			*ret_size = (size_t)(line + size - program);
			return program;
		}
		line += size + (line[size] == '\n');
	}
	return NULL;
}

static void list_names(const char *runtimes, char *ret_text, size_t size)
{
	size_t n = 0;

	ret_text[0] = '\0';
	for (const char *line = runtimes; *line && n < size;) {
		n += (size_t)snprintf(ret_text + n, size - n, "%s%.*s", n > 0 ? ", " : "",
			(int)strcspn(line, " \n"), line);
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
}

int rh_runtime_check(const struct rh_engine_info *info, const char *wanted, struct rh_err *err)
{
	const char *name = strcmp(wanted, "default") == 0 ? info->default_runtime : wanted;
	size_t size = 0;
	const char *program = program_of(info->runtimes, name, &size);
	char names[256];

	/* An engine that lists none cannot be asked. */
	if (!info->runtimes[0] || (program && is_compatible(program, size)))
		return 0;
	if (program)
		return rh_err_set(err, -EINVAL,
			"the runtime %s (%.*s) cannot be used: RunnerHub mounts a job's "
			"directories into "
			"running containers, which takes one that shares the host's kernel, such "
			"as "
			"runc or crun",
			name, (int)size, program);
	list_names(info->runtimes, names, sizeof(names));
	return rh_err_set(
		err, -EINVAL, "the container engine knows no runtime %s; it has %s", name, names);
}

static void on_info(void *arg, int r, const struct rh_engine_info *info, const struct rh_err *err)
{
	struct rh_containers *all = arg;

	if (r == 0) {
		all->info = *info;
		all->info_known = true;
	}
	if (r == 0 && !all->closing)
		rh_containers_fill(all);
	rh_containers_unref(all);
}

void rh_containers_ask_info(struct rh_containers *all)
{
	all->n_refs++;
	if (rh_engine_info(all->options.engine, on_info, all) < 0)
		rh_containers_unref(all);
}

static void on_pulled(void *arg, int r, const struct rh_err *err)
{
	struct rh_container_pool *pool = arg;
	struct rh_containers *all = pool->all;

	pool->pulling = false;
	pool->pulled_ms = rh_now_ms();
	if (r == 0) {
		pool->pulled = true;
		pool->problem[0] = '\0';
		rh_pool_backoff_succeeded(&pool->backoff);
	}
	if (!all->closing && r < 0)
		rh_containers_pool_failed(all, pool, r, err);
	if (!all->closing)
		rh_containers_fill(all);
	rh_containers_unref(all);
}

static void pull(struct rh_containers *all, struct rh_container_pool *pool)
{
	const char *image = pool->profile->image;
	struct rh_err err = {0};
	int r = 0;

	if (pool->pulling)
		return;
	pool->all = all;
	pool->pulling = true;
	all->n_refs++;
	rh_log_notice(all->log, "fetching an image", RH_STR("profile", pool->name),
		RH_STR("image", image));
	(void)snprintf(
		pool->problem, sizeof(pool->problem), "its image %.300s is being fetched", image);
	r = rh_engine_pull(all->options.engine, image, on_pulled, pool);
	if (r < 0) {
		(void)rh_err_set(
			&err, r, "the image %s could not be fetched: %s", image, strerror(-r));
		on_pulled(pool, r, &err);
	}
}

bool rh_containers_needs_met(struct rh_containers *all, struct rh_container_pool *pool)
{
	const struct rh_profile *profile = pool->profile;
	struct rh_err err = {0};
	int r = 0;

	if (!profile)
		return false;
	/* What is chosen by name waits for the engine's list; the engine's own choice need not. */
	if (!all->info_known && strcmp(profile->runtime, "default") != 0)
		return false;
	if (all->info_known)
		r = rh_runtime_check(&all->info, profile->runtime, &err);
	if (r < 0) {
		rh_containers_pool_failed(all, pool, r, &err);
		return false;
	}
	if (profile->pull == RH_PULL_ALWAYS && !pool->pulled)
		pull(all, pool);
	return !pool->pulling;
}

bool rh_containers_image_missing(struct rh_containers *all, struct rh_container_pool *pool)
{
	if (!pool->profile || pool->profile->pull == RH_PULL_NEVER || all->closing)
		return false;
	/* Fetched a moment ago and not there: another time does not help. */
	if (pool->pulled && rh_now_ms() - pool->pulled_ms < (int64_t)all->config->engine_timeout_ms)
		return false;
	pull(all, pool);
	return true;
}
