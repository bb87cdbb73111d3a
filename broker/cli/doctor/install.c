/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What was installed and what the broker has set up: sockets, directories, the programs that
 * runners and containers are given.
 */

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/cli/doctor/doctor.h"
#include "rh-config.h"
#include "runnerhub/limits.h"

#define LIBRARY "librunnerhub-preload.so"
#define HOOK    "runnerhub-hook"

static void check_broker(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	struct json_object *broker = rh_json_member(doctor->status, "broker");
	const char *version = rh_json_text(broker, "version");

	if (doctor->status_exit == RH_EXIT_NO_PERMISSION) {
		rh_found(f, RH_HEALTH_SKIPPED,
			"only root and the members of its group can ask the broker");
		rh_advise(f, "add yourself to the group (usermod -aG runnerhub NAME), or be root");
	} else if (!doctor->status) {
		rh_found(f, RH_HEALTH_FAILURE, "%s", doctor->status_err.text);
		rh_advise(f,
			"systemctl start runnerhubd; jobs of registered runners fail until then");
	} else if (strcmp(version, RH_VERSION) != 0) {
		rh_found(f, RH_HEALTH_WARNING, "the broker is version %s, this program %s", version,
			RH_VERSION);
		rh_advise(f, "systemctl restart runnerhubd; running steps go on undisturbed");
	} else if (rh_json_bool(broker, "draining")) {
		rh_found(f, RH_HEALTH_WARNING, "running, but takes no new jobs");
		rh_advise(f, "runnerhub drain --resume");
	} else {
		rh_found(f, RH_HEALTH_OK, "running, pid %lld, version %s",
			(long long)rh_json_number(broker, "pid"), version);
	}
}

static void check_root_only(struct rh_finding *f, const char *path, const char *what)
{
	char culprit[PATH_MAX];
	int r = rh_look_root_only(path, culprit);

	if (r == 0) {
		rh_found(f, RH_HEALTH_OK, "%s", path);
	} else if (r == -EPERM) {
		rh_found(f, RH_HEALTH_FAILURE, "others than root can change %.300s", culprit);
		rh_advise(f, "chown root %.200s; chmod go-w %.200s", culprit, culprit);
	} else {
		rh_found(f, r == -EACCES ? RH_HEALTH_SKIPPED : RH_HEALTH_FAILURE, "%.300s: %s",
			path, strerror(-r));
		if (r != -EACCES)
			rh_advise(f, "%s", what);
	}
}

/* What a broker makes when it starts is not missed while none runs. */
static bool skip_stopped(const struct rh_doctor *doctor, struct rh_finding *f)
{
	if (doctor->status_exit == RH_EXIT_NO_BROKER)
		rh_found(f, RH_HEALTH_SKIPPED, "the broker is not running");
	return doctor->status_exit == RH_EXIT_NO_BROKER;
}

static bool skip_libexec(const struct rh_doctor *doctor, struct rh_finding *f)
{
	bool there = access(doctor->libexec_dir, F_OK) == 0;

	if (!there)
		rh_found(f, RH_HEALTH_SKIPPED, "%s is not there", doctor->libexec_dir);
	return !there;
}

static void check_runtime(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	if (!skip_stopped(doctor, f))
		check_root_only(f, doctor->runtime_dir, "rerestart the broker, which makes it");
}

static void check_state(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	if (!skip_stopped(doctor, f))
		check_root_only(f, doctor->state_dir, "rerestart the broker, which makes it");
}

/* Return: false after saying that it is not there. */
static bool stat_socket(
	const struct rh_doctor *doctor, const char *name, struct stat *ret_st, struct rh_finding *f)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", doctor->runtime_dir, name);
	if (stat(path, ret_st) < 0) {
		rh_found(f, RH_HEALTH_FAILURE, "%.300s: %s", path, strerror(errno));
		rh_advise(f, "restart the broker, which makes it");
		return false;
	}
	if (!S_ISSOCK(ret_st->st_mode)) {
		rh_found(f, RH_HEALTH_FAILURE, "%.300s is not a socket", path);
		rh_advise(f, "remove it and restart the broker");
		return false;
	}
	return true;
}

static void check_broker_socket(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	struct stat st;

	if (skip_stopped(doctor, f) || !stat_socket(doctor, RH_BROKER_SOCKET, &st, f))
		return;
	rh_found(f, RH_HEALTH_OK, "every runner can reach it; the broker looks at who calls");
	if ((st.st_mode & 0666) != 0666 || st.st_uid != 0) {
		rh_found(f, RH_HEALTH_FAILURE,
			"mode %04o, owner %u: runners cannot reach the broker",
			(unsigned)st.st_mode & 07777, (unsigned)st.st_uid);
		rh_advise(f, "restart the broker, which sets mode 0666");
	}
}

static void check_control_socket(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	const char *group = doctor->config ? doctor->config->group : NULL;
	const struct group *entry = group && *group ? getgrnam(group) : NULL;
	struct stat st;

	if (skip_stopped(doctor, f) || !stat_socket(doctor, RH_CONTROL_SOCKET, &st, f))
		return;
	if (st.st_mode & 0007) {
		rh_found(f, RH_HEALTH_FAILURE, "mode %04o: everybody may command the broker",
			(unsigned)st.st_mode & 07777);
		rh_advise(f, "restart the broker, which sets mode 0660");
	} else if (entry && st.st_gid != entry->gr_gid) {
		rh_found(f, RH_HEALTH_WARNING, "belongs to group %u, not to %s",
			(unsigned)st.st_gid, group);
		rh_advise(f, "restart the broker, which sets it");
	} else {
		rh_found(f, RH_HEALTH_OK, "for root%s%s", entry ? " and group " : " alone",
			entry ? group : "");
	}
}

static void check_libexec(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	static const char *const files[] = {
		LIBRARY, HOOK, "runnerhub-agent", "job-started.sh", "job-completed.sh"};
	char path[PATH_MAX];

	check_root_only(f, doctor->libexec_dir, "run scripts/install");
	for (size_t i = 0; f->health == RH_HEALTH_OK && i < sizeof(files) / sizeof(files[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", doctor->libexec_dir, files[i]);
		check_root_only(f, path, "run scripts/install again");
	}
	if (f->health == RH_HEALTH_OK)
		rh_found(f, RH_HEALTH_OK, "%s, root's alone to change", doctor->libexec_dir);
}

/* A name in libexec that must lead to the hook program. */
static bool leads_to_hook(const struct rh_doctor *doctor, const char *name)
{
	char path[PATH_MAX];
	struct stat st, hook;

	(void)snprintf(path, sizeof(path), "%s/" HOOK, doctor->libexec_dir);
	if (stat(path, &hook) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "%s/%s", doctor->libexec_dir, name);
	return stat(path, &st) == 0 && st.st_dev == hook.st_dev && st.st_ino == hook.st_ino &&
		(st.st_mode & 0111) == 0111;
}

static void check_verbs(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	static const char *const names[] = {RH_LIBEXEC_EXEC, RH_LIBEXEC_JOB_STARTED,
		RH_LIBEXEC_JOB_COMPLETED, RH_LIBEXEC_UNTAR, RH_LIBEXEC_REFUSE,
		RH_LIBEXEC_STUBS "/bash", RH_LIBEXEC_STUBS "/sh", RH_LIBEXEC_STUBS "/python",
		RH_LIBEXEC_STUBS "/python3", RH_LIBEXEC_STUBS "/pwsh", RH_LIBEXEC_STUBS "/docker"};
	const size_t n_names = sizeof(names) / sizeof(names[0]);
	char missing[256] = "";

	if (skip_libexec(doctor, f))
		return;
	for (size_t i = 0; i < n_names; i++) {
		size_t n = strlen(missing);

		if (!leads_to_hook(doctor, names[i]))
			(void)snprintf(
				missing + n, sizeof(missing) - n, "%s%s", n ? ", " : "", names[i]);
	}
	rh_found(f, RH_HEALTH_OK, "all %zu lead to " HOOK, n_names);
	if (*missing) {
		rh_found(f, RH_HEALTH_FAILURE, "do not lead to %s/" HOOK ": %s",
			doctor->libexec_dir, missing);
		rh_advise(f, "run scripts/install again");
	}
}

static void check_run_link(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	char path[PATH_MAX], target[PATH_MAX], wanted[PATH_MAX];

	if (skip_libexec(doctor, f) || skip_stopped(doctor, f))
		return;
	(void)snprintf(path, sizeof(path), "%s/" RH_LIBEXEC_RUN, doctor->libexec_dir);
	if (!realpath(path, target)) {
		rh_found(f, RH_HEALTH_FAILURE, "%.300s: %s", path, strerror(errno));
		rh_advise(f, "run scripts/install again");
	} else if (realpath(doctor->runtime_dir, wanted) && strcmp(target, wanted) != 0) {
		rh_found(f, RH_HEALTH_FAILURE, "%.200s leads to %.200s, the broker's is %.200s",
			path, target, wanted);
		rh_advise(f, "run scripts/install again, or set runtime_dir");
	} else {
		rh_found(f, RH_HEALTH_OK, "leads to %s", target);
	}
}

static void check_static(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	static const char *const names[] = {HOOK, "runnerhub-agent"};

	if (skip_libexec(doctor, f))
		return;
	rh_found(f, RH_HEALTH_OK, "static, they need nothing of an image");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[PATH_MAX];
		struct rh_elf elf;

		(void)snprintf(path, sizeof(path), "%s/%s", doctor->libexec_dir, names[i]);

		int r = rh_elf_read(path, &elf);

		if (r == 0 && !elf.interpreter)
			continue;
		rh_found(f, RH_HEALTH_FAILURE, "%.300s: %s", path,
			r == 0 ? "is not a static program" : strerror(-r));
		rh_advise(f, "build it with musl-gcc and run scripts/install again");
		return;
	}
}

const struct rh_check rh_checks_install[] = {
	{"broker.running", "broker", check_broker},
	{"broker.runtime", "runtime directory", check_runtime},
	{"broker.state", "state directory", check_state},
	{"broker.socket", "broker.sock", check_broker_socket},
	{"broker.control", "control.sock", check_control_socket},
	{"libexec.owner", "programs", check_libexec},
	{"libexec.verbs", "verbs and stubs", check_verbs},
	{"libexec.run", "sockets' link", check_run_link},
	{"libexec.static", "hook and agent", check_static},
	{0},
};
