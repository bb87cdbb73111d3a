/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is in force, as a JSON object for the store and for people.
 */

#include "broker/daemon/container/cgroups.h"
#include "broker/daemon/container/enforced.h"

static const char *const ns_names[RH_NS_KINDS] = {
	"mount", "pid", "ipc", "uts", "network", "cgroup", "user"};

/* Out of memory is noticed at the end: whatever is missing makes the whole NULL. */
struct writer {
	bool failed;
};

static struct json_object *put(struct writer *writer, struct json_object *to, const char *key,
	struct json_object *value, bool may_be_null)
{
	if ((!value && !may_be_null) || !to || json_object_object_add(to, key, value) < 0) {
		(void)json_object_put(value);
		writer->failed = true;
		return NULL;
	}
	return value;
}

static void text(struct writer *writer, struct json_object *to, const char *key, const char *value)
{
	(void)put(writer, to, key, json_object_new_string(value), false);
}

/* A limit: null if there is none; left out if it is not known. */
static void limit(struct writer *writer, struct json_object *to, const char *key, uint64_t value)
{
	if (value == RH_CGROUP_UNLIMITED)
		(void)put(writer, to, key, NULL, true);
	else if (value != RH_CGROUP_UNKNOWN)
		(void)put(writer, to, key, json_object_new_int64((int64_t)value), false);
}

static void flag(struct writer *writer, struct json_object *to, const char *key, bool value)
{
	(void)put(writer, to, key, json_object_new_boolean(value), false);
}

static void append(struct writer *writer, struct json_object *to, struct json_object *value)
{
	if (!value || !to || json_object_array_add(to, value) < 0) {
		(void)json_object_put(value);
		writer->failed = true;
	}
}

static void add_capabilities(
	struct writer *writer, struct json_object *to, const char *key, uint64_t bits)
{
	struct json_object *list = put(writer, to, key, json_object_new_array(), false);

	for (int i = 0; i < 64; i++) {
		if (!(bits >> i & 1))
			continue;

		const char *name = rh_capability_name(i);

		append(writer, list, json_object_new_string(name ? name : "unknown"));
	}
}

static void add_privileges(
	struct writer *writer, struct json_object *root, const struct rh_enforced *e)
{
	struct json_object *p = put(writer, root, "privileges", json_object_new_object(), false);

	add_capabilities(writer, p, "capabilities", e->cap_effective);
	add_capabilities(writer, p, "capabilitiesBounding", e->cap_bounding);
	text(writer, p, "seccomp",
		e->seccomp == 2           ? "filter"
			: e->seccomp == 1 ? "strict"
					  : "none");
	if (e->n_filters >= 0)
		(void)put(writer, p, "seccompFilters", json_object_new_int(e->n_filters), false);
	flag(writer, p, "noNewPrivileges", e->no_new_privs);
	if (e->apparmor[0])
		text(writer, p, "apparmor", e->apparmor);
	else
		(void)put(writer, p, "apparmor", NULL, true);
	text(writer, p, "uidMap", e->uid_map);
}

static void add_limits(struct writer *writer, struct json_object *root, const struct rh_enforced *e)
{
	struct json_object *l = put(writer, root, "limits", json_object_new_object(), false);

	(void)put(writer, l, "cgroupVersion", json_object_new_int(e->cgroup_version), false);
	if (e->cpus == 0)
		(void)put(writer, l, "cpus", NULL, true);
	else if (e->cpus > 0)
		(void)put(writer, l, "cpus", json_object_new_double(e->cpus), false);
	limit(writer, l, "memoryBytes", e->memory);
	limit(writer, l, "memoryAndSwapBytes", e->memory_swap);
	limit(writer, l, "pids", e->pids);
	limit(writer, l, "coreBytes", e->core_max);
	limit(writer, l, "fileBytes", e->fsize_max);
	limit(writer, l, "rootBytes", e->root_bytes);
	limit(writer, l, "nofile", e->nofile_max);
}

static void add_namespaces(
	struct writer *writer, struct json_object *root, const struct rh_enforced *e)
{
	struct json_object *n = put(writer, root, "namespaces", json_object_new_object(), false);

	for (int i = 0; i < RH_NS_KINDS; i++)
		text(writer, n, ns_names[i], e->own[i] ? "own" : "host");
}

static void add_mounts(struct writer *writer, struct json_object *root, const struct rh_enforced *e)
{
	struct json_object *list = put(writer, root, "mounts", json_object_new_array(), false);

	for (size_t i = 0; i < e->n_mounts; i++) {
		struct json_object *mount = json_object_new_object();

		append(writer, list, mount);
		if (writer->failed)
			return;
		text(writer, mount, "target", e->mounts[i].target);
		text(writer, mount, "type", e->mounts[i].type);
		text(writer, mount, "options", e->mounts[i].options);
	}
}

static void add_network(
	struct writer *writer, struct json_object *root, const struct rh_enforced *e)
{
	struct json_object *n = put(writer, root, "network", json_object_new_object(), false);
	struct json_object *links = put(writer, n, "interfaces", json_object_new_array(), false);
	struct json_object *addresses = put(writer, n, "addresses", json_object_new_array(), false);

	if (e->firewall[0])
		text(writer, n, "firewall", e->firewall);
	for (size_t i = 0; i < e->n_links; i++)
		append(writer, links, json_object_new_string(e->links[i]));
	for (size_t i = 0; i < e->n_addresses; i++)
		append(writer, addresses, json_object_new_string(e->addresses[i]));
}

struct json_object *rh_enforced_to_json(const struct rh_enforced *enforced)
{
	struct json_object *root = json_object_new_object();
	struct writer writer = {.failed = !root};

	add_privileges(&writer, root, enforced);
	add_limits(&writer, root, enforced);
	add_namespaces(&writer, root, enforced);
	add_network(&writer, root, enforced);
	add_mounts(&writer, root, enforced);
	if (!writer.failed)
		return root;
	(void)json_object_put(root);
	return NULL;
}
