/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What we say to a Docker engine: request bodies and the parts of request paths.
 */

#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/engine/docker.h"
#include "runnerhub/cleanup.h"

/* An agent writes a few lines in its life; what it writes is for "why did it not start". */
#define LOG_SIZE_MAX "64k"

static void json_putp(struct json_object **object)
{
	json_object_put(*object);
}

/* Adds @value, consuming it in any case. Return: false if out of memory. */
static bool add(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && json_object_object_add(object, key, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static bool append(struct json_object *array, struct json_object *value)
{
	if (value && json_object_array_add(array, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static bool add_text(struct json_object *object, const char *key, const char *text)
{
	return add(object, key, json_object_new_string(text));
}

static bool add_flag(struct json_object *object, const char *key, bool flag)
{
	return add(object, key, json_object_new_boolean(flag));
}

static bool add_number(struct json_object *object, const char *key, uint64_t number)
{
	int64_t n = number > INT64_MAX ? INT64_MAX : (int64_t)number;

	return add(object, key, json_object_new_int64(n));
}

static bool add_texts(struct json_object *object, const char *key, const char *const *texts)
{
	struct json_object *array = json_object_new_array();

	if (!array)
		return false;
	for (; texts && *texts; texts++) {
		if (!append(array, json_object_new_string(*texts))) {
			json_object_put(array);
			return false;
		}
	}
	return add(object, key, array);
}

static bool add_labels(struct json_object *object, const char *const *pairs)
{
	struct json_object *labels = json_object_new_object();
	bool ok = labels;

	for (; ok && pairs && pairs[0] && pairs[1]; pairs += 2)
		ok = add_text(labels, pairs[0], pairs[1]);
	if (ok)
		return add(object, "Labels", labels);
	json_object_put(labels);
	return false;
}

static bool add_propagation(struct json_object *mount, const struct rh_engine_bind *bind)
{
	struct json_object *options = bind->slave ? json_object_new_object() : NULL;

	if (!bind->slave)
		return true;
	if (options && add_text(options, "Propagation", "rslave"))
		return add(mount, "BindOptions", options);
	json_object_put(options);
	return false;
}

/* As mounts of type bind: unlike Binds, a source that is missing is an error and is not made. */
static bool add_mounts(struct json_object *host, const struct rh_engine_spec *spec)
{
	struct json_object *mounts = json_object_new_array();
	bool ok = mounts;

	for (size_t i = 0; ok && i < spec->n_binds; i++) {
		struct json_object *mount = json_object_new_object();

		ok = mount && append(mounts, mount) && add_text(mount, "Type", "bind") &&
			add_text(mount, "Source", spec->binds[i].source) &&
			add_text(mount, "Target", spec->binds[i].target) &&
			add_flag(mount, "ReadOnly", spec->binds[i].read_only) &&
			add_propagation(mount, &spec->binds[i]);
	}
	if (ok)
		return add(host, "Mounts", mounts);
	json_object_put(mounts);
	return false;
}

static bool append_ulimit(struct json_object *ulimits, const char *name, size_t name_size,
	uint64_t soft, uint64_t hard)
{
	struct json_object *ulimit = json_object_new_object();

	return ulimit && append(ulimits, ulimit) &&
		add(ulimit, "Name", json_object_new_string_len(name, (int)name_size)) &&
		add_number(ulimit, "Soft", soft) && add_number(ulimit, "Hard", hard);
}

/* NAME=SOFT or NAME=SOFT:HARD, checked before. */
static bool append_named_ulimit(struct json_object *ulimits, const char *text)
{
	size_t n = strcspn(text, "=");
	char *end = NULL;
	uint64_t soft = strtoull(text + n + 1, &end, 10);

	return append_ulimit(
		ulimits, text, n, soft, *end == ':' ? strtoull(end + 1, NULL, 10) : soft);
}

static bool add_ulimits(
	struct json_object *host, const struct rh_engine_spec *spec, uint64_t nofile_max)
{
	uint64_t nofile = spec->nofile < nofile_max ? spec->nofile : nofile_max;
	struct json_object *ulimits = json_object_new_array();
	bool ok = ulimits;

	for (size_t i = 0; ok && spec->ulimits && spec->ulimits[i]; i++)
		ok = append_named_ulimit(ulimits, spec->ulimits[i]);
	if (ok && nofile > 0)
		ok = append_ulimit(ulimits, "nofile", strlen("nofile"), nofile, nofile);
	if (ok)
		return add(host, "Ulimits", ulimits);
	json_object_put(ulimits);
	return false;
}

static bool add_log_config(struct json_object *host)
{
	struct json_object *config = json_object_new_object();
	struct json_object *options = NULL;

	if (!config || !add(host, "LogConfig", config))
		return false;
	options = json_object_new_object();
	return options && add(config, "Config", options) && add_text(config, "Type", "json-file") &&
		add_text(options, "max-size", LOG_SIZE_MAX) && add_text(options, "max-file", "1");
}

static bool add_restart_policy(struct json_object *host)
{
	struct json_object *policy = json_object_new_object();

	return policy && add(host, "RestartPolicy", policy) && add_text(policy, "Name", "no");
}

static bool add_limits(struct json_object *host, const struct rh_engine_spec *spec)
{
	bool ok = true;

	/* MemorySwap counts memory and swap: the same number is no swap on top. */
	if (spec->memory_bytes > 0)
		ok = add_number(host, "Memory", spec->memory_bytes) &&
			add_number(host, "MemorySwap", spec->memory_bytes);
	if (ok && spec->cpus > 0)
		ok = add_number(host, "NanoCpus", (uint64_t)llround(spec->cpus * 1e9));
	if (ok && spec->pids > 0)
		ok = add_number(host, "PidsLimit", spec->pids);
	if (ok && spec->shm_bytes > 0)
		ok = add_number(host, "ShmSize", spec->shm_bytes);
	return ok;
}

static bool add_quota(struct json_object *host, uint64_t disk_bytes)
{
	struct json_object *options = NULL;
	char size[24];

	if (disk_bytes == 0)
		return true;
	options = json_object_new_object();
	(void)snprintf(size, sizeof(size), "%" PRIu64, disk_bytes);
	return options && add(host, "StorageOpt", options) && add_text(options, "size", size);
}

/* What is the engine's to choose, unless the profile does. */
static bool add_ways(struct json_object *host, const struct rh_engine_spec *spec)
{
	/* Where control groups are version 1 the engine's default is the host's namespace. */
	return add_text(host, "CgroupnsMode", "private") &&
		(!spec->runtime || add_text(host, "Runtime", spec->runtime)) &&
		(!spec->ipc || add_text(host, "IpcMode", spec->ipc));
}

static bool add_host_config(struct json_object *root, const struct rh_engine_spec *spec,
	uint64_t nofile_max, bool quota)
{
	struct json_object *host = json_object_new_object();

	return host && add(root, "HostConfig", host) && add_mounts(host, spec) &&
		add_text(host, "NetworkMode", spec->network) &&
		(!spec->dns || !spec->dns[0] || add_texts(host, "Dns", spec->dns)) &&
		add_texts(host, "CapDrop", spec->cap_drop) &&
		add_texts(host, "CapAdd", spec->cap_add) &&
		add_texts(host, "SecurityOpt", spec->security) &&
		add_texts(host, "MaskedPaths", spec->masked_paths) &&
		add_texts(host, "ReadonlyPaths", spec->readonly_paths) && add_limits(host, spec) &&
		add_ulimits(host, spec, nofile_max) &&
		add_quota(host, quota ? spec->disk_bytes : 0) && add_ways(host, spec) &&
		add_log_config(host) && add_restart_policy(host) &&
		add_flag(host, "AutoRemove", false) && add_flag(host, "Init", false) &&
		add_flag(host, "Privileged", false);
}

/*
 * A network that was made is told by its identifier twice: from the mode alone the engine remembers
 * its name, by which it looks for it when it starts the container, and names need not be unique.
 */
static bool add_endpoint(struct json_object *root, const char *network)
{
	static const char *const own[] = {"none", "host", "bridge", NULL};
	struct json_object *networking = NULL;
	struct json_object *endpoints = NULL;
	struct json_object *endpoint = NULL;

	for (size_t i = 0; own[i]; i++) {
		if (strcmp(own[i], network) == 0)
			return true;
	}
	networking = json_object_new_object();
	if (!add(root, "NetworkingConfig", networking))
		return false;
	endpoints = json_object_new_object();
	if (!add(networking, "EndpointsConfig", endpoints))
		return false;
	endpoint = json_object_new_object();
	return add(endpoints, network, endpoint) && add_text(endpoint, "NetworkID", network);
}

/* The image's health check would run the image's programs beside the job: it is switched off. */
static bool add_no_healthcheck(struct json_object *root)
{
	static const char *const none[] = {"NONE", NULL};
	struct json_object *check = json_object_new_object();

	return check && add(root, "Healthcheck", check) && add_texts(check, "Test", none);
}

/* The text of @root for the caller, or NULL if it is not complete. */
static char *text_of(struct json_object *root, bool complete)
{
	const char *text =
		complete ? json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN) : NULL;

	return text ? strdup(text) : NULL;
}

char *rh_docker_write_create(const struct rh_engine_spec *spec, uint64_t nofile_max, bool quota)
{
	_cleanup_(json_putp) struct json_object *root = json_object_new_object();
	bool ok = root && add_text(root, "Image", spec->image) &&
		add_text(root, "Hostname", spec->hostname) &&
		add_texts(root, "Entrypoint", spec->entrypoint) && add_texts(root, "Cmd", NULL) &&
		add_texts(root, "Env", spec->env) && add_labels(root, spec->labels) &&
		add_text(root, "User", "0:0") && add_text(root, "WorkingDir", "/") &&
		add_flag(root, "OpenStdin", false) && add_flag(root, "Tty", false) &&
		add_no_healthcheck(root) && add_host_config(root, spec, nofile_max, quota) &&
		add_endpoint(root, spec->network);

	return text_of(root, ok);
}

/* An IPv6 subnet beside the IPv4 one that the engine takes from its own pool. */
static bool add_ip6(struct json_object *root, const char *subnet)
{
	struct json_object *ipam = NULL;
	struct json_object *list = NULL;
	struct json_object *item = NULL;

	if (!subnet || !subnet[0])
		return true;
	ipam = json_object_new_object();
	if (!add_flag(root, "EnableIPv6", true) || !add(root, "IPAM", ipam))
		return false;
	list = json_object_new_array();
	if (!add(ipam, "Config", list))
		return false;
	item = json_object_new_object();
	return append(list, item) && add_text(item, "Subnet", subnet);
}

char *rh_docker_write_network(const struct rh_engine_network_spec *spec)
{
	const char *const labels[] = {
		"runnerhub.managed", "true", "runnerhub.hub", spec->hub ? spec->hub : "", NULL};
	_cleanup_(json_putp) struct json_object *root = json_object_new_object();
	struct json_object *options = NULL;
	bool ok = root && add_text(root, "Name", spec->name) &&
		add_text(root, "Driver", "bridge") && add_flag(root, "CheckDuplicate", true) &&
		add_labels(root, labels) && add_ip6(root, spec->ip6);

	options = ok ? json_object_new_object() : NULL;
	ok = options && add(root, "Options", options) &&
		add_text(options, "com.docker.network.bridge.enable_icc",
			spec->open ? "true" : "false");
	return text_of(root, ok);
}

static bool add_label_lines(struct json_object *root, const char *labels)
{
	struct json_object *array = json_object_new_array();

	if (!array || !add(root, "label", array))
		return false;
	while (*labels) {
		size_t n = strcspn(labels, "\n");

		if (n > 0 && !append(array, json_object_new_string_len(labels, (int)n)))
			return false;
		labels += n + (labels[n] == '\n');
	}
	return true;
}

char *rh_docker_write_filters(const char *labels, bool events)
{
	static const char *const types[] = {"container", NULL};
	static const char *const kinds[] = {"die", "oom", "pause", "destroy", NULL};
	_cleanup_(json_putp) struct json_object *root = json_object_new_object();
	bool ok = root && add_label_lines(root, labels);

	if (ok && events)
		ok = add_texts(root, "type", types) && add_texts(root, "event", kinds);
	return text_of(root, ok);
}

char *rh_docker_write_name_filter(const char *name)
{
	const char *const names[] = {name, NULL};
	_cleanup_(json_putp) struct json_object *root = json_object_new_object();

	return text_of(root, root && add_texts(root, "name", names));
}

int rh_docker_encode(char *buf, size_t size, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";
	size_t at = strlen(buf);

	for (; *text; text++) {
		if (size - at < 4)
			return rh_origin(-ENAMETOOLONG);
		if (strchr(plain, *text))
			buf[at++] = *text;
		else
			at += (size_t)snprintf(buf + at, size - at, "%%%02X", (unsigned char)*text);
	}
	buf[at] = '\0';
	return 0;
}
