/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What surrounds every container beyond its profile's numbers. The engine has defaults for most of
 * it; they are said here all the same, so that an older engine or one whose defaults were changed
 * protects as much.
 */

#include "broker/daemon/container/hardening.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runnerhub/weaken.h"

/* Of Docker's default set, what no build needs and what helps to get out or to eavesdrop. */
static const char *const cap_drop[] = {"NET_RAW", "MKNOD", "AUDIT_WRITE", "SYS_CHROOT", NULL};

/* What tells of the host, or of the kernel's inside. */
static const char *const masked_paths[] = {"/proc/acpi", "/proc/asound", "/proc/interrupts",
	"/proc/kcore", "/proc/key-users", "/proc/keys", "/proc/kpagecgroup", "/proc/kpagecount",
	"/proc/kpageflags", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
	"/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
	NULL};

/*
 * The last one is the agent's own: its files belong to root, which a job may be, and one of them
 * (oom_score_adj) would let the kernel choose the agent first when memory is short.
 */
static const char *const readonly_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/proc/1", NULL};

static const char *const nothing[] = {NULL};

/*
 * Counted per user id over the whole host: what a container's root queues must not take the room
 * of the host's root, whose processes are allowed more. The profile may say otherwise.
 */
static const char *const ulimits[] = {"core=0", "msgqueue=819200", "sigpending=8192"};

static bool is_set(char *const *list, const char *entry)
{
	size_t n = strcspn(entry, "=") + 1;

	for (; list && *list; list++) {
		if (strncmp(*list, entry, n) == 0)
			return true;
	}
	return false;
}

static void add_ulimits(const struct rh_profile *profile, struct rh_hardening *room)
{
	size_t n = 0;

	for (size_t i = rh_weakened("core") ? 1 : 0; i < sizeof(ulimits) / sizeof(ulimits[0]);
		i++) {
		if (!is_set(profile->ulimits, ulimits[i]))
			room->ulimits[n++] = ulimits[i];
	}
	/*
	 * What a job fills is looked at each second, and one call is enough to take a whole disk:
	 * no file of its own may be larger than all that it may fill.
	 */
	(void)snprintf(room->fsize, sizeof(room->fsize), "fsize=%" PRIu64, profile->disk_bytes);
	if (profile->disk_bytes > 0 && !is_set(profile->ulimits, room->fsize) &&
		!rh_weakened("fsize"))
		room->ulimits[n++] = room->fsize;
	for (size_t i = 0; profile->ulimits && profile->ulimits[i]; i++) {
		if (n < RH_HARDENING_ULIMITS_MAX)
			room->ulimits[n++] = profile->ulimits[i];
	}
}

static bool is_chosen(const char *name)
{
	return name && strcmp(name, "default") != 0;
}

static void add_security(const struct rh_profile *profile, struct rh_hardening *room)
{
	size_t n = 0;

	if (!rh_weakened("no-new-privileges"))
		room->security[n++] = "no-new-privileges";
	if (rh_weakened("engine-filter"))
		room->security[n++] = "seccomp=unconfined";
	if (is_chosen(profile->apparmor)) {
		(void)snprintf(
			room->apparmor, sizeof(room->apparmor), "apparmor=%s", profile->apparmor);
		room->security[n++] = room->apparmor;
	}
}

void rh_hardening_apply(
	const struct rh_profile *profile, struct rh_hardening *room, struct rh_engine_spec *spec)
{
	static const char *const admin[] = {"SYS_ADMIN", NULL};

	*room = (struct rh_hardening){0};
	add_ulimits(profile, room);
	add_security(profile, room);
	spec->ulimits = room->ulimits;
	spec->security = room->security;
	spec->cap_drop = rh_weakened("cap-drop") ? nothing : cap_drop;
	spec->cap_add = rh_weakened("cap-add") ? admin : (const char *const *)profile->cap_add;
	spec->masked_paths = rh_weakened("proc-paths") ? nothing : masked_paths;
	spec->readonly_paths =
		rh_weakened("proc-paths") || rh_weakened("proc-agent") ? nothing : readonly_paths;
	spec->runtime = is_chosen(profile->runtime) ? profile->runtime : NULL;
	spec->ipc = rh_weakened("ipc") ? "host" : NULL;
	if (rh_weakened("network"))
		spec->network = "host";
	if (rh_weakened("limit-memory"))
		spec->memory_bytes = 0;
	if (rh_weakened("nofile"))
		spec->nofile = UINT32_MAX;
}
