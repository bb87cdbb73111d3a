/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Control groups: what holds a job to its limits. Source: cgroups(7).
 */

#include <stdio.h>
#include <string.h>

#include "broker/cli/doctor/doctor.h"

#define TEXT_MAX 8192

static bool is_unified(const struct rh_doctor *doctor, char text[TEXT_MAX])
{
	return rh_look_host(doctor, "/sys/fs/cgroup/cgroup.controllers", text, TEXT_MAX) >= 0;
}

static void check_layout(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	char text[TEXT_MAX];

	if (is_unified(doctor, text))
		rh_found(f, RH_HEALTH_OK, "v2");
	else if (rh_look_host(doctor, "/sys/fs/cgroup/unified/cgroup.procs", text, TEXT_MAX) >= 0)
		rh_found(f, RH_HEALTH_OK, "v1, with an empty v2 beside it (hybrid)");
	else if (rh_look_host(doctor, "/proc/cgroups", text, TEXT_MAX) >= 0)
		rh_found(f, RH_HEALTH_OK, "v1");
	else
		rh_found(f, RH_HEALTH_FAILURE, "there are no control groups");
	if (f->health == RH_HEALTH_FAILURE)
		rh_advise(f, "mount cgroup2 at /sys/fs/cgroup");
}

/* "cpuset cpu io memory pids" */
static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = text; (p = strstr(p, word)); p += n) {
		if ((p == text || p[-1] == ' ') && strchr(" \n", p[n]))
			return true;
	}
	return false;
}

/* Of v1: a line "memory 4 41 1" with a hierarchy and enabled. */
static bool has_v1(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *line = text; line && *line;) {
		unsigned long long hierarchy = 0, n_groups = 0, enabled = 0;
		const char *at = line + n;

		if (strncmp(line, name, n) == 0 && (*at == '\t' || *at == ' ') &&
			rh_look_number(&at, 10, &hierarchy) && rh_look_number(&at, 10, &n_groups) &&
			rh_look_number(&at, 10, &enabled))
			return hierarchy > 0 && enabled == 1;
		line = strchr(line, '\n');
		line += line != NULL;
	}
	return false;
}

static void check_controllers(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	static const char *const names[] = {"memory", "pids", "cpu"};
	char text[TEXT_MAX], missing[64] = "";
	bool unified = is_unified(doctor, text);

	if (!unified && rh_look_host(doctor, "/proc/cgroups", text, TEXT_MAX) < 0) {
		rh_found(f, RH_HEALTH_SKIPPED, "there are no control groups");
		return;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n = strlen(missing);

		if (unified ? has_word(text, names[i]) : has_v1(text, names[i]))
			continue;
		(void)snprintf(missing + n, sizeof(missing) - n, "%s%s", n ? ", " : "", names[i]);
	}
	rh_found(f, RH_HEALTH_OK, "memory, pids, cpu");
	if (!*missing)
		return;
	rh_found(f, RH_HEALTH_FAILURE, "missing: %s; a job is not held to that limit", missing);
	if (strstr(missing, "memory"))
		rh_advise(f, "boot with cgroup_enable=memory (and without cgroup_disable=memory)");
	else
		rh_advise(f, "boot a kernel that has them, and mount their hierarchies");
}

const struct rh_check rh_checks_cgroup[] = {
	{"cgroup.layout", "layout", check_layout},
	{"cgroup.controllers", "controllers", check_controllers},
	{0},
};
