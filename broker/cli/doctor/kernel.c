/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The kernel: what late mounts, the agent and the hook programs need of it.
 */

#include <errno.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "broker/cli/doctor/doctor.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* include/uapi/asm-generic/socket.h, Linux 6.5 */
#endif

#define VERSION(major, minor) ((major)*1000 + (minor))
#define LATE_MOUNTS           VERSION(5, 12) /* mount_setattr(2) with id maps */
#define OLDEST                VERSION(5, 3) /* pidfd_open(2) */

static void check_version(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	struct utsname name;
	unsigned long long major = 0, minor = 0;
	const char *at = uname(&name) == 0 ? name.release : "";

	if (!rh_look_number(&at, 10, &major) || *at++ != '.' || !rh_look_number(&at, 10, &minor)) {
		rh_found(f, RH_HEALTH_WARNING, "cannot tell the kernel's version");
		return;
	}
	rh_found(f, RH_HEALTH_OK, "Linux %s", name.release);
	if (VERSION(major, minor) < OLDEST) {
		rh_found(f, RH_HEALTH_FAILURE, "Linux %s; processes are held by calls of 5.3",
			name.release);
		rh_advise(f, "use a kernel of version 5.12 or newer, of 5.3 at the least");
	} else if (VERSION(major, minor) < LATE_MOUNTS) {
		rh_found(f, RH_HEALTH_WARNING,
			"Linux %s; before 5.12 a job's directories take another way", name.release);
		rh_advise(f, "use a kernel of version 5.12 or newer");
	}
}

static void skip_probe(const struct rh_doctor *doctor, struct rh_finding *f)
{
	if (doctor->probe_r == -EPERM)
		rh_found(f, RH_HEALTH_SKIPPED, "only root can try it");
	else
		rh_found(f, RH_HEALTH_SKIPPED, "could not be tried in %s: %s", doctor->probed,
			strerror(-doctor->probe_r));
}

/* What the way of old kernels loses; also said in docs/kernels.md. */
static void say_slots(struct rh_finding *f)
{
	rh_found(f, RH_HEALTH_WARNING,
		"no detached mounts (Linux 5.12): jobs get their directories through slots. Lost: "
		"id maps, so each job runs as its runner's own user, whatever `user:` says, and a "
		"step of a runner that is not root cannot be root inside");
	rh_advise(f, "use Linux 5.12 or newer, outside a container that forbids its calls");
}

static void check_mounts(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	const struct rh_probe *p = &doctor->probe;
	const struct {
		const char *call;
		int r;
	} calls[] = {{"open_tree", p->clone}, {"mount_setattr with an id map", p->id_map},
		{"move_mount", p->move}};

	if (doctor->probe_r < 0) {
		skip_probe(doctor, f);
		return;
	}
	if (p->slots) {
		say_slots(f);
		return;
	}
	rh_found(f, RH_HEALTH_OK,
		"open_tree, mount_setattr with an id map, move_mount: tried in %s", doctor->probed);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i].r == 0)
			continue;
		rh_found(f, RH_HEALTH_FAILURE, "%s in %s: %s", calls[i].call, doctor->probed,
			strerror(-calls[i].r));
		rh_advise(f,
			"put state_dir on a file system with id maps, such as ext4, xfs or "
			"btrfs, and see that nothing (a container, seccomp) forbids the call");
		return;
	}
}

static void check_userns(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	char max[64];

	if (doctor->probe_r < 0) {
		skip_probe(doctor, f);
		return;
	}
	if (doctor->probe.slots) {
		rh_found(f, RH_HEALTH_SKIPPED, "not used, since no ids are mapped");
		return;
	}
	rh_found(f, RH_HEALTH_OK, "user namespaces can be made");
	if (doctor->probe.user_namespace == 0)
		return;
	rh_found(f, RH_HEALTH_FAILURE, "a user namespace cannot be made: %s",
		strerror(-doctor->probe.user_namespace));
	if (rh_look_host(doctor, "/proc/sys/user/max_user_namespaces", max, sizeof(max)) > 0 &&
		strtol(max, NULL, 10) == 0)
		rh_advise(f, "sysctl -w user.max_user_namespaces=1024 (and in /etc/sysctl.d)");
	else
		rh_advise(f,
			"the id maps of a job's directories need them; look for what "
			"forbids them (sysctl, seccomp, an outer container)");
}

static void check_nosymfollow(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	if (doctor->probe_r < 0) {
		skip_probe(doctor, f);
	} else if (doctor->probe.no_symlinks == 0) {
		rh_found(f, RH_HEALTH_OK, "mounts that follow no symbolic links");
	} else {
		rh_found(f, RH_HEALTH_WARNING, "no mounts that follow no symbolic links (%s)",
			strerror(-doctor->probe.no_symlinks));
		rh_advise(f,
			"Linux 5.10 has them; without, links that a job plants are held off "
			"by the preload library alone");
	}
}

static void check_overlay(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	if (doctor->probe_r < 0) {
		skip_probe(doctor, f);
	} else if (doctor->probe.overlay == 0) {
		rh_found(f, RH_HEALTH_OK, "overlay, for a job's own changes to the tool cache");
	} else {
		rh_found(f, RH_HEALTH_FAILURE, "no overlay file system: %s",
			strerror(-doctor->probe.overlay));
		rh_advise(f, "modprobe overlay, or build the kernel with CONFIG_OVERLAY_FS");
	}
}

static bool try_pidfd(void)
{
	_cleanup_(rh_closep) int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return fd >= 0;
}

static bool try_openat2(void)
{
	const struct open_how how = {.flags = 010000000 /* O_PATH */, .resolve = RESOLVE_BENEATH};
	_cleanup_(rh_closep) int fd =
		(int)syscall(SYS_openat2, -100 /* AT_FDCWD */, ".", &how, sizeof(how));

	return fd >= 0;
}

static bool try_close_range(void)
{
	return syscall(SYS_close_range, ~0U, ~0U, 0) == 0;
}

static bool try_seccomp(void)
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

static void check_calls(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	static const struct {
		const char *name;
		bool (*try)(void);
		bool replaced; /* done by hand where it is missing */
	} calls[] = {{"pidfd_open", try_pidfd, false}, {"openat2", try_openat2, true},
		{"close_range", try_close_range, true}, {"seccomp", try_seccomp, false}};
	char there[128] = "", missing[128] = "";
	enum rh_health health = RH_HEALTH_WARNING;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		bool is_there = calls[i].try();
		char *list = is_there ? there : missing;
		size_t n = strlen(list);

		if (!is_there && !calls[i].replaced)
			health = RH_HEALTH_FAILURE;
		(void)snprintf(list + n, sizeof(there) - n, "%s%s", n ? ", " : "", calls[i].name);
	}
	rh_found(f, RH_HEALTH_OK, "%s", there);
	if (*missing) {
		rh_found(f, health, "missing or forbidden: %s%s", missing,
			health == RH_HEALTH_WARNING ? "; done by other calls" : "");
		rh_advise(f, "use Linux 5.12 or newer, outside a container that forbids them");
	}
}

static void check_landlock(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi > 0) {
		rh_found(f, RH_HEALTH_OK, "ABI %ld", abi);
		return;
	}
	rh_found(f, RH_HEALTH_WARNING, "not there: action archives are unpacked without it");
	rh_advise(f, "Linux 5.13 has it; add landlock to the kernel's lsm= list");
}

static void check_peer(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	int pair[2] = {-1, -1}, pidfd = -1;
	socklen_t size = sizeof(pidfd);

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		rh_found(f, RH_HEALTH_FAILURE, "no Unix sockets: %s", strerror(errno));
		return;
	}
	if (getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
		rh_found(f, RH_HEALTH_OK, "SO_PEERPIDFD");
	else
		rh_found(f, RH_HEALTH_OK,
			"no SO_PEERPIDFD (Linux 6.5); start times are compared instead");
	rh_close(pidfd);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

const struct rh_check rh_checks_kernel[] = {
	{"kernel.version", "version", check_version},
	{"kernel.calls", "system calls", check_calls},
	{"kernel.mounts", "late mounts", check_mounts},
	{"kernel.userns", "user namespaces", check_userns},
	{"kernel.nosymfollow", "link-free mounts", check_nosymfollow},
	{"kernel.overlay", "overlay", check_overlay},
	{"kernel.landlock", "Landlock", check_landlock},
	{"kernel.peer", "peer's identity", check_peer},
	{0},
};
