/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The configuration, read by the broker's own code: what this finds is what it would find.
 */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "broker/cli/doctor/doctor.h"
#include "broker/daemon/mount/idmap.h"

static bool skip(const struct rh_doctor *doctor, struct rh_finding *f)
{
	if (!doctor->config)
		rh_found(f, RH_HEALTH_SKIPPED, "the configuration cannot be used");
	return !doctor->config;
}

static void check_file(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	const struct rh_config *config = doctor->config;

	if (!config) {
		rh_found(f, RH_HEALTH_FAILURE, "%s", doctor->config_err.text);
		rh_advise(f,
			"`runnerhubd --check-config` says the same; `runnerhubd "
			"--example-config` shows every key");
		return;
	}
	rh_found(f, RH_HEALTH_OK, "%s: %zu profile%s, %zu runner%s", config->path,
		config->n_profiles, config->n_profiles == 1 ? "" : "s", config->n_runners,
		config->n_runners == 1 ? "" : "s");
	if (config->n_runners == 0) {
		rh_found(f, RH_HEALTH_WARNING, "%s is right, but no runner is registered in %s",
			config->path, config->runners_dir);
		rh_advise(f, "scripts/install --runner DIR");
	}
}

static void check_in_use(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	const char *used = rh_json_text(rh_json_member(doctor->status, "broker"), "config");
	struct json_object *runners = rh_json_member(doctor->status, "runners");

	if (skip(doctor, f))
		return;
	if (!*used) {
		rh_found(f, RH_HEALTH_SKIPPED, "the broker was not asked");
		return;
	}
	rh_found(f, RH_HEALTH_OK, "the broker uses it");
	if (strcmp(used, doctor->config->path) != 0) {
		rh_found(f, RH_HEALTH_WARNING, "the broker that answers uses another: %s", used);
		rh_advise(f, "name its file with --config, or its socket with --socket");
		return;
	}
	for (size_t i = 0; i < doctor->config->n_runners; i++) {
		const char *name = doctor->config->runners[i].name;
		bool known = false;

		for (size_t k = 0; k < rh_json_length(runners); k++)
			known |= strcmp(name,
					 rh_json_text(json_object_array_get_idx(runners, k),
						 "name")) == 0;
		if (known)
			continue;
		rh_found(f, RH_HEALTH_FAILURE, "the broker does not know runner %s yet", name);
		rh_advise(f, "runnerhub reload");
		return;
	}
}

static void check_group(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	if (skip(doctor, f))
		return;

	const char *group = doctor->config->group;

	if (!*group) {
		rh_found(f, RH_HEALTH_OK, "none: root alone may use this program");
	} else if (getgrnam(group)) {
		rh_found(f, RH_HEALTH_OK, "%s may use this program", group);
	} else {
		rh_found(f, RH_HEALTH_FAILURE, "there is no group %s", group);
		rh_advise(f, "groupadd --system %s, or set group to \"\"", group);
	}
}

/* "name:first:count" lines. Return: whether one of them has ids of the range at @base. */
static bool overlaps(const char *text, uint32_t base, char ret_line[128])
{
	const uint64_t end = (uint64_t)base + RH_IDMAP_IDS;

	for (const char *line = text; line && *line;) {
		unsigned long long first = 0, count = 0;
		size_t n = strcspn(line, "\n");

		const char *at = line + strcspn(line, ":\n");

		if (*at++ == ':' && rh_look_number(&at, 10, &first) && *at++ == ':' &&
			rh_look_number(&at, 10, &count) && first < end && first + count > base) {
			(void)snprintf(ret_line, 128, "%.*s", (int)n, line);
			return true;
		}
		line += n;
		line += *line == '\n';
	}
	return false;
}

static void check_ids(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	static const char *const files[] = {"/etc/subuid", "/etc/subgid"};

	if (skip(doctor, f))
		return;

	const uint32_t base = doctor->config->id_map_base;
	const struct passwd *user = NULL;

	rh_found(f, RH_HEALTH_OK, "%u to %u are nobody else's", base, base + RH_IDMAP_IDS - 1);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char text[65536], line[128];

		if (rh_look_host(doctor, files[i], text, sizeof(text)) < 0 ||
			!overlaps(text, base, line))
			continue;
		rh_found(f, RH_HEALTH_FAILURE, "%s gives ids of the range from %u to others: %s",
			files[i], base, line);
		rh_advise(f, "set id_map.base to 65536 ids that are free");
		return;
	}
	setpwent();
	while ((user = getpwent())) {
		if (!rh_idmap_in_range(base, user->pw_uid))
			continue;
		rh_found(f, RH_HEALTH_FAILURE, "user %s has uid %u of the range from %u",
			user->pw_name, (unsigned)user->pw_uid, base);
		rh_advise(f, "set id_map.base to 65536 ids that are free");
		break;
	}
	endpwent();
}

const struct rh_check rh_checks_config[] = {
	{"config.file", "file", check_file},
	{"config.used", "in use", check_in_use},
	{"config.group", "group", check_group},
	{"config.ids", "reserved ids", check_ids},
	{0},
};
