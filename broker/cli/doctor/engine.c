/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The container engine.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "broker/cli/doctor/doctor.h"
#include "runnerhub/fd.h"

#define CAP_SYS_RESOURCE 24 /* linux/capability.h */

/* What the broker says about the engine, or NULL. */
static struct json_object *broker_view(const struct rh_doctor *doctor)
{
	return rh_json_member(doctor->status, "engine");
}

bool rh_doctor_skip_engine(const struct rh_doctor *doctor, struct rh_finding *f)
{
	if (doctor->engine_info)
		return false;
	rh_found(f, RH_HEALTH_SKIPPED, "%s",
		doctor->engine_r == -EACCES ? "only root and the engine's group can ask it"
					    : "the engine did not answer");
	return true;
}

static void check_socket(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	const char *path = doctor->docker_socket;
	struct stat st;

	if (stat(path, &st) < 0) {
		rh_found(f, RH_HEALTH_FAILURE, "%s: %s", path, strerror(errno));
		rh_advise(f, "install and start Docker, or set docker.socket");
	} else if (!S_ISSOCK(st.st_mode)) {
		rh_found(f, RH_HEALTH_FAILURE, "%s is not a socket", path);
		rh_advise(f, "set docker.socket to the engine's socket");
	} else if (st.st_mode & 0002) {
		rh_found(f, RH_HEALTH_FAILURE,
			"everybody may write to %s, and so become root on this host", path);
		rh_advise(f, "chmod o-rwx %s", path);
	} else {
		rh_found(f, RH_HEALTH_OK, "%s", path);
	}
}

static void check_answer(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	struct json_object *view = broker_view(doctor);
	const char *how = "";

	if (view && !rh_json_bool(view, "up")) {
		rh_found(f, RH_HEALTH_FAILURE, "the broker cannot reach it: %s",
			rh_json_text(view, "problem"));
		rh_advise(f, "see the logs of the engine and of the broker");
		return;
	}
	if (view)
		how = ", as the broker says";
	if (doctor->engine_r == 0) {
		rh_found(f, RH_HEALTH_OK, "Docker %s",
			rh_json_text(doctor->engine_version, "Version"));
	} else if (view) {
		rh_found(f, RH_HEALTH_OK, "Docker %s%s", rh_json_text(view, "version"), how);
	} else if (doctor->engine_r == -EACCES) {
		rh_found(f, RH_HEALTH_SKIPPED, "only root and the engine's group can ask it");
	} else {
		rh_found(f, RH_HEALTH_FAILURE, "the engine does not answer: %s",
			doctor->engine_err.text);
		rh_advise(f, "systemctl start docker, and see its log");
	}
}

static void check_api(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	const char *api = doctor->engine_version
		? rh_json_text(doctor->engine_version, "ApiVersion")
		: rh_json_text(broker_view(doctor), "apiVersion");
	unsigned long long major = 0, minor = 0;
	const char *at = api;

	if (!*api) {
		(void)rh_doctor_skip_engine(doctor, f);
		return;
	}
	rh_found(f, RH_HEALTH_OK, "version %s", api);
	if (!rh_look_number(&at, 10, &major) || *at++ != '.' || !rh_look_number(&at, 10, &minor) ||
		major != 1 || minor < 41) {
		rh_found(f, RH_HEALTH_FAILURE, "version %s; 1.41 is the oldest that will do", api);
		rh_advise(f, "use Docker 20.10 or newer");
	}
}

static void check_storage(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	const char *driver = doctor->engine_info
		? rh_json_text(doctor->engine_info, "Driver")
		: rh_json_text(broker_view(doctor), "storageDriver");

	if (!*driver) {
		(void)rh_doctor_skip_engine(doctor, f);
		return;
	}
	rh_found(f, RH_HEALTH_OK, "%s", driver);
	if (strcmp(driver, "vfs") == 0 || strcmp(driver, "devicemapper") == 0) {
		rh_found(f, RH_HEALTH_WARNING, "%s makes new containers slowly", driver);
		rh_advise(f, "use overlay2");
	}
}

static void check_cgroups(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	static const char *const limits[] = {
		"MemoryLimit", "SwapLimit", "PidsLimit", "CpuCfsQuota"};
	char missing[128] = "";

	if (rh_doctor_skip_engine(doctor, f))
		return;
	rh_found(f, RH_HEALTH_OK, "driver %s, v%s",
		rh_json_text(doctor->engine_info, "CgroupDriver"),
		rh_json_text(doctor->engine_info, "CgroupVersion"));
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		size_t n = strlen(missing);

		if (!rh_json_bool(doctor->engine_info, limits[i]))
			(void)snprintf(
				missing + n, sizeof(missing) - n, "%s%s", n ? ", " : "", limits[i]);
	}
	if (*missing) {
		rh_found(f, RH_HEALTH_WARNING, "the engine cannot set: %s", missing);
		rh_advise(f, "boot with cgroup_enable=memory swapaccount=1, or use cgroup v2");
	}
}

static void check_userns(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	struct json_object *options = rh_json_member(doctor->engine_info, "SecurityOptions");
	size_t n = rh_json_length(options);

	if (rh_doctor_skip_engine(doctor, f))
		return;
	rh_found(f, RH_HEALTH_OK, "the engine runs as root, without a user namespace of its own");
	for (size_t i = 0; i < n; i++) {
		const char *option = json_object_get_string(json_object_array_get_idx(options, i));

		if (option && strncmp(option, "name=userns", 11) == 0) {
			rh_found(f, RH_HEALTH_FAILURE,
				"userns-remap is on: job directories would "
				"belong to ids that are not there inside");
			rh_advise(f,
				"take userns-remap out of daemon.json: RunnerHub maps the ids "
				"of a job's directories itself");
		} else if (option && strncmp(option, "name=rootless", 13) == 0) {
			rh_found(f, RH_HEALTH_FAILURE,
				"the engine is rootless: a job's "
				"directories cannot reach its containers");
			rh_advise(f, "use an engine that runs as root");
		}
	}
}

static void check_images(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	const struct rh_config *config = doctor->config;
	char missing[256] = "", first[256] = "";

	if (rh_doctor_skip_engine(doctor, f))
		return;
	if (!config) {
		rh_found(f, RH_HEALTH_SKIPPED, "the configuration cannot be used");
		return;
	}
	for (size_t i = 0; i < config->n_profiles; i++) {
		_cleanup_(json_object_putp) struct json_object *body = NULL;
		struct rh_err err = {0};
		size_t n = strlen(missing);
		char path[700];
		int status = 0;

		/* The configuration admits nothing in an image's name that needs quoting. */
		(void)snprintf(path, sizeof(path), "/images/%s/json", config->profiles[i].image);
		if (rh_ask_engine(doctor->docker_socket, path, &status, &body, &err) == 0 &&
			status == 200)
			continue;
		(void)snprintf(missing + n, sizeof(missing) - n, "%s%s (profile %s)", n ? ", " : "",
			config->profiles[i].image, config->profiles[i].name);
		if (n == 0)
			(void)snprintf(first, sizeof(first), "%s", config->profiles[i].image);
	}
	rh_found(f, RH_HEALTH_OK, "of all %zu profiles", config->n_profiles);
	if (*missing) {
		rh_found(f, RH_HEALTH_FAILURE, "not there: %s", missing);
		rh_advise(f, "docker pull %s", first);
	}
}

/* The daemon's name, whether it may raise limits, and its hard limit of open files. */
static bool read_limits(const struct rh_doctor *doctor, pid_t pid, bool *ret_may_raise,
	unsigned long long *ret_limit)
{
	char path[64], text[16384];
	unsigned long long caps = 0, limit = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (rh_look_host(doctor, path, text, sizeof(text)) < 0)
		return false;

	const char *line = strstr(text, "\nCapEff:");

	line = line ? line + strlen("\nCapEff:") : "";
	if (!rh_look_number(&line, 16, &caps))
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	if (rh_look_host(doctor, path, text, sizeof(text)) < 0)
		return false;
	line = strstr(text, "\nMax open files");
	if (!line)
		return false;
	/* The soft limit, the hard one; each may be the word "unlimited". */
	line += strlen("\nMax open files");
	line += strspn(line, " ");
	line += strcspn(line, " ");
	if (!rh_look_number(&line, 10, &limit))
		limit = ULLONG_MAX;
	*ret_may_raise = caps >> CAP_SYS_RESOURCE & 1;
	*ret_limit = limit;
	return true;
}

static unsigned long long most_wanted(const struct rh_config *config)
{
	unsigned long long most = 0;

	for (size_t i = 0; config && i < config->n_profiles; i++) {
		if (config->profiles[i].nofile > most)
			most = config->profiles[i].nofile;
	}
	return most;
}

static void check_nofile(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	_cleanup_(rh_closep) int fd = rh_unix_connect(doctor->docker_socket, SOCK_STREAM);
	unsigned long long limit = 0, wanted = most_wanted(doctor->config);
	struct ucred cred = {0};
	socklen_t size = sizeof(cred);
	bool may_raise = false;
	char text[64];

	if (rh_doctor_skip_engine(doctor, f))
		return;
	/* Whoever called listen(2): a service manager, where it hands the socket over. */
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0 || cred.pid <= 1) {
		rh_found(f, RH_HEALTH_SKIPPED, "cannot tell which process the engine is");
		return;
	}
	if (!read_limits(doctor, cred.pid, &may_raise, &limit)) {
		rh_found(f, RH_HEALTH_SKIPPED, "only root can see the engine's limits");
		return;
	}
	if (may_raise && rh_look_host(doctor, "/proc/sys/fs/nr_open", text, sizeof(text)) > 0)
		limit = strtoull(text, NULL, 10);
	rh_found(f, RH_HEALTH_OK, "up to %llu of one process", limit);
	if (wanted > limit) {
		rh_found(f, RH_HEALTH_WARNING,
			"capped: profiles ask for %llu, the engine cannot give more than %llu, so "
			"containers get its own limit",
			wanted, limit);
		rh_advise(f,
			may_raise ? "sysctl -w fs.nr_open=%llu, or lower nofile"
				  : "raise LimitNOFILE of the engine to %llu, or lower nofile",
			wanted);
	}
}

const struct rh_check rh_checks_engine[] = {
	{"engine.socket", "socket", check_socket},
	{"engine.answer", "answers", check_answer},
	{"engine.api", "API", check_api},
	{"engine.storage", "storage driver", check_storage},
	{"engine.cgroups", "cgroups", check_cgroups},
	{"engine.userns", "ids", check_userns},
	{"engine.images", "images", check_images},
	{"engine.nofile", "open files", check_nofile},
	{0},
};
