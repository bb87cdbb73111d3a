/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a Docker engine says of itself and of its host (GET /info). Hostile like all that it says.
 */

#include <stdio.h>
#include <string.h>

#include "broker/daemon/engine/docker.h"
#include "broker/daemon/engine/docker_json.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"
#include "runnerhub/wire.h"

/* What the engine starts is a program's path, or the type of a shim. */
static void copy_runtimes(struct json_object *runtimes, struct rh_engine_info *info)
{
	size_t n = 0;

	if (!runtimes)
		return;
	json_object_object_foreach (runtimes, name, value) {
		const char *program = rh_docker_json_text(value, "path");

		if (!*program)
			program = rh_docker_json_text(value, "runtimeType");
		if (strpbrk(name, " \n") || strchr(program, '\n') ||
			strlen(name) + strlen(program) + 3 > sizeof(info->runtimes) - n)
			continue;
		n += (size_t)snprintf(info->runtimes + n, sizeof(info->runtimes) - n, "%s %s\n",
			name, *program ? program : name);
	}
}

static bool is_text(struct json_object *value, const char *text)
{
	return json_object_is_type(value, json_type_string) &&
		strcmp(json_object_get_string(value), text) == 0;
}

/* DriverStatus is a list of pairs. */
static bool may_have_quota(struct json_object *root)
{
	const char *driver = rh_docker_json_text(root, "Driver");
	struct json_object *list = rh_docker_json_member(root, "DriverStatus", json_type_array);

	if (strcmp(driver, "btrfs") == 0 || strcmp(driver, "zfs") == 0)
		return true;
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *pair = json_object_array_get_idx(list, i);

		if (json_object_is_type(pair, json_type_array) &&
			is_text(json_object_array_get_idx(pair, 0), "Backing Filesystem"))
			return is_text(json_object_array_get_idx(pair, 1), "xfs");
	}
	return false;
}

int rh_docker_read_info(const char *data, size_t size, struct rh_engine_info *ret_info)
{
	_cleanup_(rh_docker_json_putp) struct json_object *root = NULL;
	int r = rh_docker_json_parse(data, size, json_type_object, &root);

	if (r < 0)
		return rh_trace(r);

	int64_t n_cpus = rh_docker_json_number(root, "NCPU");
	int64_t memory = rh_docker_json_number(root, "MemTotal");
	const char *cgroup_version = rh_docker_json_text(root, "CgroupVersion");
	struct rh_engine_info info = {
		.cgroup_version = strcmp(cgroup_version, "2") == 0 ? 2 : 1,
		.n_cpus = n_cpus > 0 && n_cpus < UINT32_MAX ? (uint32_t)n_cpus : 0,
		.memory_bytes = memory > 0 ? (uint64_t)memory : 0,
	};

	rh_wire_text_copy(
		rh_docker_json_text(root, "ServerVersion"), info.version, sizeof(info.version));
	rh_wire_text_copy(rh_docker_json_text(root, "Driver"), info.storage_driver,
		sizeof(info.storage_driver));
	rh_wire_text_copy(rh_docker_json_text(root, "CgroupDriver"), info.cgroup_driver,
		sizeof(info.cgroup_driver));
	rh_wire_text_copy(
		rh_docker_json_text(root, "DockerRootDir"), info.root_dir, sizeof(info.root_dir));
	rh_wire_text_copy(
		rh_docker_json_text(root, "KernelVersion"), info.kernel, sizeof(info.kernel));
	rh_wire_text_copy(rh_docker_json_text(root, "DefaultRuntime"), info.default_runtime,
		sizeof(info.default_runtime));
	info.may_have_quota = may_have_quota(root);
	copy_runtimes(rh_docker_json_member(root, "Runtimes", json_type_object), &info);
	*ret_info = info;
	return 0;
}
