/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The engine's containers against the broker's records; endpoints and control groups that outlived
 * theirs.
 */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/cli/doctor/verify/verify.h"

#define RESTART "systemctl restart runnerhubd"

static const char *name_of(struct json_object *listed)
{
	struct json_object *names = rh_json_member(listed, "Names");
	const char *name = rh_json_length(names) > 0
		? json_object_get_string(json_object_array_get_idx(names, 0))
		: rh_json_text(listed, "Id");

	return name[0] == '/' ? name + 1 : name;
}

static void check_listed(struct rh_verify *verify, struct json_object *listed)
{
	const char *name = name_of(listed), *state = rh_json_text(listed, "State");
	struct json_object *record = rh_verify_find(verify->records, "instance",
		rh_json_text(rh_json_member(listed, "Labels"), "runnerhub.instance"));
	const char *recorded = rh_json_text(record, "state");
	char fix[256], quoted[128];

	verify->n_compared++;
	(void)snprintf(
		fix, sizeof(fix), "docker rm -f %s", rh_verify_quote(name, quoted, sizeof(quoted)));
	if (!record || strcmp(recorded, "removed") == 0)
		rh_verify_differs(verify, fix,
			"container %s is %s, and the broker has no record of it", name, state);
	else if (rh_verify_is_live(record) && strcmp(state, "running") != 0)
		rh_verify_differs(verify, fix, "container %s is %s, and recorded as %s", name,
			state, recorded);
	else if (strcmp(recorded, "stopping") == 0 || strcmp(recorded, "failed") == 0)
		rh_verify_differs(
			verify, fix, "container %s is %s, and was to be removed", name, state);
}

static void check_record(struct rh_verify *verify, struct json_object *record)
{
	const char *engine_id = rh_json_text(record, "engineId");
	const char *state = rh_json_text(record, "state");

	if (strcmp(state, "removed") == 0 || strcmp(state, "creating") == 0)
		return;
	verify->n_compared++;
	if (!rh_verify_find(verify->listed, "Id", engine_id))
		rh_verify_differs(verify, RESTART,
			"container %.12s is recorded as %s, and the engine has none of that id",
			*engine_id ? engine_id : rh_json_text(record, "instance"), state);
}

/* A job that runs has a container that runs. */
static void check_job(struct rh_verify *verify, struct json_object *job)
{
	const char *name = rh_json_text(job, "container");

	verify->n_compared++;
	for (size_t i = 0; i < rh_json_length(verify->listed); i++) {
		if (!*name ||
			strcmp(name_of(json_object_array_get_idx(verify->listed, i)), name) == 0)
			return;
	}
	rh_verify_differs(verify, RESTART,
		"job %s has container %s, and the engine has none of that name",
		rh_json_text(job, "id"), name);
}

void rh_verify_containers(struct rh_verify *verify)
{
	struct json_object *jobs = rh_json_member(verify->status, "jobs");

	for (size_t i = 0; verify->records && i < rh_json_length(verify->listed); i++) {
		struct json_object *listed = json_object_array_get_idx(verify->listed, i);

		if (rh_verify_is_ours(verify, listed))
			check_listed(verify, listed);
	}
	for (size_t i = 0; verify->listed && i < rh_json_length(verify->records); i++)
		check_record(verify, json_object_array_get_idx(verify->records, i));
	for (size_t i = 0; verify->listed && i < rh_json_length(jobs); i++)
		check_job(verify, json_object_array_get_idx(jobs, i));
}

void rh_verify_networks(struct rh_verify *verify)
{
	struct json_object *attached = rh_json_member(verify->network, "Containers");
	const char *network = rh_doctor_network(verify->doctor);

	if (!verify->listed || !json_object_is_type(attached, json_type_object))
		return;
	json_object_object_foreach (attached, id, endpoint) {
		const char *name = rh_json_text(endpoint, "Name");
		char fix[256], quoted[128];

		verify->n_compared++;
		if (rh_verify_find(verify->listed, "Id", id))
			continue;
		(void)snprintf(fix, sizeof(fix), "docker network disconnect -f %.64s %s", network,
			rh_verify_quote(*name ? name : id, quoted, sizeof(quoted)));
		rh_verify_differs(verify, fix,
			"container %.12s (%s) is gone, and still has its place in network %s", id,
			name, network);
	}
}

/* As the engine names them by its two drivers, below the hierarchies of v1 and v2. */
static void check_cgroup(struct rh_verify *verify, const char *id)
{
	static const char *const tops[] = {"", "memory/", "pids/", "unified/", "systemd/"};
	char name[160], path[PATH_MAX], fix[PATH_MAX + 16], quoted[PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < 2 * sizeof(tops) / sizeof(tops[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s%.64s%s",
			i % 2 ? "system.slice/docker-" : "docker/", id, i % 2 ? ".scope" : "");
		(void)snprintf(path, sizeof(path), "%s/sys/fs/cgroup/%s%s", verify->doctor->host,
			tops[i / 2], name);
		if (stat(path, &st) < 0)
			continue;
		(void)snprintf(fix, sizeof(fix), "rmdir %s",
			rh_verify_quote(path, quoted, sizeof(quoted)));
		rh_verify_differs(verify, fix,
			"container %.12s is gone, and its control group %s is not", id, path);
	}
}

void rh_verify_cgroups(struct rh_verify *verify)
{
	for (size_t i = 0; verify->listed && i < rh_json_length(verify->records); i++) {
		const char *id =
			rh_json_text(json_object_array_get_idx(verify->records, i), "engineId");

		if (*id && !rh_verify_find(verify->listed, "Id", id)) {
			verify->n_compared++;
			check_cgroup(verify, id);
		}
	}
}
