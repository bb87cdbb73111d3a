/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A runner's wiring: what its .env must say, and what it must not.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/cli/doctor/runner.h"

#define LIBRARY "librunnerhub-preload.so"

bool rh_runner_skip(const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	if (runner->env)
		return false;
	if (runner->env_error == -ELOOP || runner->env_error == -EINVAL) {
		rh_found(f, RH_HEALTH_FAILURE, "%.300s/.env is not a regular file", runner->root);
		rh_advise(f, "make it a file");
	} else {
		rh_found(f, runner->env_error == -EACCES ? RH_HEALTH_SKIPPED : RH_HEALTH_FAILURE,
			"%.300s/.env: %s", runner->root, strerror(-runner->env_error));
	}
	return true;
}

static void check_registration(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	char work[PATH_MAX];

	if (!runner->registered) {
		rh_found(f, RH_HEALTH_FAILURE, "not registered: the broker refuses its jobs");
		rh_advise(f, "scripts/install --runner %.300s", runner->root);
		return;
	}
	rh_found(f, RH_HEALTH_OK, "as %s, uid %u, gid %u", runner->name, (unsigned)runner->uid,
		(unsigned)runner->gid);

	int r = rh_runner_work(runner->root, work);

	if (r == 0 && strcmp(work, runner->work) != 0) {
		rh_found(f, RH_HEALTH_FAILURE,
			"registered with work directory %.200s, the runner uses %.200s",
			runner->work, work);
		rh_advise(f, "scripts/install --runner %.300s", runner->root);
	} else if (r < 0 && r != -ENOENT && r != -EACCES) {
		rh_found(f, RH_HEALTH_WARNING, "%.300s/.runner cannot be read: %s", runner->root,
			strerror(-r));
	}
}

static void check_program(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	char worker[PATH_MAX], library[PATH_MAX];
	struct rh_elf a = {0}, b = {0};

	(void)snprintf(worker, sizeof(worker), "%s/bin/Runner.Worker", runner->root);
	(void)snprintf(library, sizeof(library), "%s/" LIBRARY, doctor->libexec_dir);

	int r = rh_elf_read(worker, &a);

	if (r < 0) {
		rh_found(f, r == -EACCES ? RH_HEALTH_SKIPPED : RH_HEALTH_FAILURE, "%.300s: %s",
			worker, strerror(-r));
		if (r != -EACCES)
			rh_advise(f, "name the directory that config.sh lies in");
		return;
	}
	r = rh_elf_read(library, &b);
	rh_found(f, RH_HEALTH_OK, "bin/Runner.Worker, and the preload library fits it");
	if (r < 0) {
		rh_found(f, RH_HEALTH_FAILURE, "%.300s: %s", library, strerror(-r));
		rh_advise(f, "run scripts/install again");
	} else if (a.class != b.class || a.machine != b.machine) {
		rh_found(f, RH_HEALTH_FAILURE,
			"the preload library is for another machine than bin/Runner.Worker");
		rh_advise(f, "build RunnerHub for the runner's architecture");
	}
}

static void check_preload(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	char value[4096], wanted[PATH_MAX], found[PATH_MAX] = "";
	size_t others = 0;

	if (rh_runner_skip(runner, f))
		return;
	(void)snprintf(wanted, sizeof(wanted), "%s/" LIBRARY, doctor->libexec_dir);
	if (!rh_dotenv_get(runner->env, "LD_PRELOAD", value, sizeof(value)))
		value[0] = '\0';
	/* As ld.so(8) and the library itself take it apart. */
	for (char *save = NULL, *word = strtok_r(value, " :", &save); word;
		word = strtok_r(NULL, " :", &save)) {
		const char *slash = strrchr(word, '/');

		if (!found[0] && slash && strcmp(slash + 1, LIBRARY) == 0)
			(void)snprintf(found, sizeof(found), "%s", word);
		else
			others++;
	}
	if (strcmp(found, wanted) == 0) {
		rh_found(f, RH_HEALTH_OK, "%s%s", wanted, others ? ", beside others" : "");
		return;
	}
	if (found[0])
		rh_found(f, RH_HEALTH_FAILURE, "LD_PRELOAD in .env has %.200s, not %.200s", found,
			wanted);
	else
		rh_found(f, RH_HEALTH_FAILURE, "LD_PRELOAD in .env does not have %.300s", wanted);
	rh_advise(f, "scripts/install --runner %.300s", runner->root);
}

static void check_hook(const struct rh_doctor *doctor, const struct rh_doctor_runner *runner,
	const char *key, const char *file, struct rh_finding *f)
{
	char value[PATH_MAX], wanted[PATH_MAX], culprit[PATH_MAX];

	if (rh_runner_skip(runner, f))
		return;
	(void)snprintf(wanted, sizeof(wanted), "%s/%s", doctor->libexec_dir, file);
	if (!rh_dotenv_get(runner->env, key, value, sizeof(value))) {
		rh_found(f, RH_HEALTH_FAILURE, "%s is not in .env", key);
		rh_advise(f, "scripts/install --runner %.300s", runner->root);
		return;
	}
	if (strcmp(value, wanted) != 0) {
		rh_found(f, RH_HEALTH_FAILURE, "%s in .env is %.200s, not %.200s", key, value,
			wanted);
		rh_advise(f,
			"scripts/install --runner %.200s; a hook of your own moves into the "
			"runner's registration and still runs",
			runner->root);
		return;
	}

	int r = rh_look_root_only(value, culprit);

	rh_found(f, RH_HEALTH_OK, "%s", value);
	if (r == -EPERM)
		rh_found(f, RH_HEALTH_FAILURE, "others than root can change %.300s", culprit);
	else if (r < 0)
		rh_found(f, RH_HEALTH_FAILURE, "%.300s: %s", value, strerror(-r));
	else if (rh_look_is_below(value, runner->root) || rh_look_is_below(value, runner->work))
		rh_found(f, RH_HEALTH_FAILURE, "%.300s lies in the runner's own directory", value);
	if (f->health != RH_HEALTH_OK)
		rh_advise(f, "install RunnerHub with a --prefix that is root's alone");
}

static void check_started(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	check_hook(doctor, runner, "ACTIONS_RUNNER_HOOK_JOB_STARTED", "job-started.sh", f);
}

static void check_completed(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	check_hook(doctor, runner, "ACTIONS_RUNNER_HOOK_JOB_COMPLETED", "job-completed.sh", f);
}

/* The administrator's own hooks run on the host: a job must not be able to write them. */
static void check_own_hooks(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	const struct rh_runner *r =
		doctor->config ? rh_config_runner(doctor->config, runner->name) : NULL;
	const char *const hooks[] = {r ? r->started_hook : NULL, r ? r->completed_hook : NULL};
	size_t n = 0;

	for (size_t i = 0; i < 2; i++) {
		struct stat st;

		if (!hooks[i])
			continue;
		n++;
		if (stat(hooks[i], &st) < 0)
			rh_found(f, RH_HEALTH_FAILURE, "%.300s: %s", hooks[i], strerror(errno));
		else if (rh_look_is_below(hooks[i], runner->work))
			rh_found(f, RH_HEALTH_FAILURE,
				"%.300s lies in the work directory, where jobs can change it",
				hooks[i]);
		else
			continue;
		rh_advise(f, "mend it, or take it out of the runner's registration");
		return;
	}
	rh_found(f, RH_HEALTH_OK, "%s", n == 0 ? "none" : n == 1 ? "one" : "two");
}

const struct rh_check rh_checks_runner[] = {
	{"runner.registration", "registration", check_registration},
	{"runner.program", "program", check_program},
	{"runner.preload", "preload library", check_preload},
	{"runner.started", "started hook", check_started},
	{"runner.completed", "completed hook", check_completed},
	{"runner.hooks", "your own hooks", check_own_hooks},
	{"runner.settings", "settings", rh_check_runner_settings},
	{"runner.user", "user", rh_check_runner_user},
	{"runner.work", "work directory", rh_check_runner_work},
	{"runner.idmap", "id maps", rh_check_runner_idmap},
	{"runner.tar", "tar", rh_check_runner_tar},
	{"runner.running", "running", rh_check_runner_running},
	{0},
};
