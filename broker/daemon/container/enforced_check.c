/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is in force against what the profile asks for, and for people.
 */

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/daemon/container/cgroups.h"
#include "broker/daemon/container/enforced.h"
#include "runnerhub/limits.h"

/* In the order of linux/capability.h. */
static const char *const capabilities[] = {"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER",
	"FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE",
	"NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO",
	"SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE",
	"AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM",
	"BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"};

#define N_CAPABILITIES ((int)(sizeof(capabilities) / sizeof(capabilities[0])))

/* What the engine grants, without what hardening.c drops. */
static const char *const usual[] = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID",
	"SETUID", "SETPCAP", "NET_BIND_SERVICE", "SETFCAP"};

int rh_capability_number(const char *name)
{
	for (int i = 0; i < N_CAPABILITIES; i++) {
		if (strcmp(capabilities[i], name) == 0)
			return i;
	}
	return -1;
}

const char *rh_capability_name(int number)
{
	return number >= 0 && number < N_CAPABILITIES ? capabilities[number] : NULL;
}

struct findings {
	char *text;
	size_t size;
	size_t at;
	int n;
};

_printf_(2, 3) static void found(struct findings *findings, const char *fmt, ...)
{
	va_list ap;

	if (findings->n++ > 0 && findings->at + 2 < findings->size)
		findings->at += (size_t)snprintf(
			findings->text + findings->at, findings->size - findings->at, "; ");
	va_start(ap, fmt);
	if (findings->at < findings->size)
		findings->at += (size_t)vsnprintf(
			findings->text + findings->at, findings->size - findings->at, fmt, ap);
	va_end(ap);
}

static uint64_t bits_of(const char *const *names, size_t n)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < n && names[i]; i++) {
		int number = rh_capability_number(names[i]);

		if (number >= 0)
			bits |= UINT64_C(1) << number;
	}
	return bits;
}

static void check_privileges(
	const struct rh_enforced *e, const struct rh_profile *profile, struct findings *findings)
{
	uint64_t granted = bits_of(usual, sizeof(usual) / sizeof(usual[0]));

	if (profile->cap_add)
		granted |= bits_of((const char *const *)profile->cap_add, SIZE_MAX);
	for (int i = 0; i < 64; i++) {
		if (((e->cap_bounding | e->cap_effective) & ~granted) >> i & 1)
			found(findings, "capability %s is there",
				rh_capability_name(i) ? rh_capability_name(i) : "(unknown)");
	}
	if (e->seccomp != 2)
		found(findings, "no system call filter");
	else if (e->n_filters == 1)
		found(findings, "only one of two system call filters");
	if (!e->no_new_privs)
		found(findings, "no_new_privs is not set");
	if (e->core_max != 0)
		found(findings, "core dumps are allowed");
	if (strcmp(profile->apparmor, "default") != 0 &&
		strncmp(e->apparmor, profile->apparmor, strlen(profile->apparmor)) != 0)
		found(findings, "AppArmor profile %s is not in force", profile->apparmor);
}

static void check_namespaces(const struct rh_enforced *e, struct findings *findings)
{
	static const struct {
		enum rh_enforced_ns kind;
		const char *name;
	} rows[] = {{RH_NS_MNT, "mount"}, {RH_NS_PID, "pid"}, {RH_NS_IPC, "ipc"},
		{RH_NS_UTS, "uts"}, {RH_NS_NET, "network"}, {RH_NS_CGROUP, "control group"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!e->own[rows[i].kind])
			found(findings, "no %s namespace of its own", rows[i].name);
	}
}

static void check_limit(struct findings *findings, const char *what, uint64_t is, uint64_t wanted)
{
	if (wanted == 0 || is == RH_CGROUP_UNKNOWN || is <= wanted)
		return;
	if (is == RH_CGROUP_UNLIMITED)
		found(findings, "%s is not limited", what);
	else
		found(findings, "%s is limited to %" PRIu64 ", not %" PRIu64, what, is, wanted);
}

/* The profile's own word about the size of a file goes before its disk's. */
static uint64_t wanted_fsize(const struct rh_profile *profile)
{
	for (char *const *at = profile->ulimits; at && *at; at++) {
		if (strncmp(*at, "fsize=", strlen("fsize=")) == 0)
			return 0;
	}
	return profile->disk_bytes;
}

static void check_limits(
	const struct rh_enforced *e, const struct rh_profile *profile, struct findings *findings)
{
	double online = (double)sysconf(_SC_NPROCESSORS_ONLN);

	check_limit(findings, "memory", e->memory, profile->memory_bytes);
	/* Without accounting of swap the engine cannot limit it; doctor says so. */
	check_limit(findings, "memory and swap", e->memory_swap, profile->memory_bytes);
	check_limit(findings, "the number of processes", e->pids, profile->pids);
	check_limit(findings, "the size of a file", e->fsize_max, wanted_fsize(profile));
	if (profile->cpus > 0 && profile->cpus <= online && e->cpus >= 0 &&
		(e->cpus < 0.001 || e->cpus > profile->cpus + 0.011))
		found(findings, "processor time is limited to %g, not %g", e->cpus, profile->cpus);
}

static const struct rh_enforced_mount *find_mount(const struct rh_enforced *e, const char *target)
{
	const struct rh_enforced_mount *last = NULL;

	/* The last one hides those below. */
	for (size_t i = 0; i < e->n_mounts; i++) {
		if (strcmp(e->mounts[i].target, target) == 0)
			last = &e->mounts[i];
	}
	return last;
}

static bool has_option(const struct rh_enforced_mount *mount, const char *option)
{
	size_t n = strlen(option);

	for (const char *at = mount->options; *at;
		at += strcspn(at, ",") + (at[strcspn(at, ",")] == ','))
		if (strncmp(at, option, n) == 0 && (at[n] == ',' || at[n] == '\0'))
			return true;
	return false;
}

static void check_mounts(const struct rh_enforced *e, const struct rh_enforced_wanted *wanted,
	struct findings *findings)
{
	/* sysrq-trigger is not in every kernel. */
	static const char *const read_only[] = {"/proc/sys", "/proc/1", RH_AGENT_PATH};
	static const char *const safe[] = {"nosuid", "nodev"};
	const struct rh_enforced_mount *workspace = find_mount(e, wanted->workspace);

	for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++) {
		const struct rh_enforced_mount *mount = find_mount(e, read_only[i]);

		if (!mount || !has_option(mount, "ro"))
			found(findings, "%s is not read-only", read_only[i]);
	}
	if (find_mount(e, RH_AGENT_SOCKET_DIR))
		found(findings, "the agent's socket is still mounted");
	if (find_mount(e, RH_AGENT_SLOT_DIR))
		found(findings, "the slot of its mounts is still there");
	/* A name with a blank or more in it is escaped there: not compared. */
	if (strpbrk(wanted->workspace, " \t\n\\"))
		return;
	if (!workspace) {
		found(findings, "the workspace is not mounted");
		return;
	}
	for (size_t i = 0; i < sizeof(safe) / sizeof(safe[0]); i++) {
		if (!has_option(workspace, safe[i]))
			found(findings, "the workspace is mounted without %s", safe[i]);
	}
	if (wanted->id_mapped && !has_option(workspace, "idmapped"))
		found(findings, "the workspace is mounted without its id map");
}

static void check_network(
	const struct rh_enforced *e, const struct rh_profile *profile, struct findings *findings)
{
	size_t most = strcmp(profile->network, "none") == 0 ? 0 : 1;
	size_t n = 0;

	if (most == 1 && strcmp(profile->network, "isolated") != 0)
		return; /* the administrator's own network */
	for (size_t i = 0; i < e->n_links; i++) {
		/* Tunnels that a module makes in each namespace, and that lead nowhere. */
		n += strncmp(e->links[i], "eth", 3) == 0 || strncmp(e->links[i], "en", 2) == 0;
	}
	if (n > most)
		found(findings, "%zu network interfaces, not %zu", n, most);
}

int rh_enforced_check(const struct rh_enforced *enforced, const struct rh_enforced_wanted *wanted,
	char *ret_text, size_t size)
{
	struct findings findings = {.text = ret_text, .size = size};

	ret_text[0] = '\0';
	check_privileges(enforced, wanted->profile, &findings);
	check_namespaces(enforced, &findings);
	check_limits(enforced, wanted->profile, &findings);
	check_mounts(enforced, wanted, &findings);
	check_network(enforced, wanted->profile, &findings);
	return findings.n;
}
