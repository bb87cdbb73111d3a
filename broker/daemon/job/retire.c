/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is left of a workspace, and what is done for a runner once no Worker of it lives: _temp is
 * uncovered and swapped, _actions moved away, and what was moved away is deleted.
 *
 * A _temp that a job has spoilt fails the runner's next Worker before its hook, and so every later
 * one. Therefore a retire that could not be done is not forgotten: it is tried again when a Worker
 * of the runner goes, when one comes (it does not use _temp yet), and each second, until it is done
 * or a job of the runner lives, whose own end brings the next. A new broker begins with one for
 * each runner without a job.
 */

#include <stdlib.h>
#include <string.h>

#include "broker/daemon/job/internal.h"
#include "runnerhub/clock.h"

#define BUSY_MS   1000
#define FAILED_MS 60000

const char *rh_job_keep_list(const struct rh_profile *profile, char buf[RH_JOB_KEEP_MAX])
{
	size_t used = 0;

	for (size_t i = 0; profile->keep && profile->keep[i]; i++) {
		size_t n = strlen(profile->keep[i]) + 1;

		/* With room for the end, and as a message takes it (PATH_MAX). */
		if (n + 1 > RH_JOB_KEEP_MAX - used)
			break;
		memcpy(buf + used, profile->keep[i], n - 1);
		buf[used + n - 1] = '\n';
		used += n;
	}
	buf[used] = '\0';
	return used > 0 ? buf : NULL;
}

struct rh_retire {
	struct rh_retire *next;
	struct rh_jobs *jobs; /* NULL: closed while a helper was at it */
	struct rh_mounter *mounter;
	struct rh_log *log;
	char *runner; /* its name: it may be registered anew meanwhile */
	char *work;
	bool asked; /* a helper is at it */
	bool again; /* wanted once more when that is done */
	int64_t due_ms; /* when it is tried again */
};

static void retire_free(struct rh_retire *retire)
{
	free(retire->runner);
	free(retire->work);
	free(retire);
}

/* Takes it off the list of its jobs, if it is there. */
static void drop(struct rh_retire *retire)
{
	for (struct rh_retire **at = retire->jobs ? &retire->jobs->retires : NULL; at && *at;
		at = &(*at)->next) {
		if (*at == retire) {
			*at = retire->next;
			break;
		}
	}
	retire_free(retire);
}

static void ask(struct rh_retire *retire);

static void on_retired(
	void *arg, int r, const struct rh_mount_result *result, const struct rh_err *err)
{
	struct rh_retire *retire = arg;

	retire->asked = false;
	if (r == 0)
		(void)rh_mounter_sweep(retire->mounter, retire->work, NULL, NULL);
	else if (r != -ECANCELED && r != -EAGAIN)
		rh_log_error(retire->log, "a runner's work directory could not be made fresh",
			RH_STR("work", retire->work), RH_STR("why", err->text));
	if (!retire->jobs || r == -ECANCELED || (r == 0 && !retire->again)) {
		drop(retire);
		return;
	}
	retire->due_ms =
		rh_now_ms() + (r == 0 || r == -EAGAIN || r == -EPIPE ? BUSY_MS : FAILED_MS);
	if (retire->again)
		ask(retire);
}

static void ask(struct rh_retire *retire)
{
	const struct rh_runner *runner =
		rh_config_runner(retire->jobs->options.config, retire->runner);

	retire->again = false;
	if (!runner || strcmp(runner->work, retire->work) != 0) {
		drop(retire); /* no runner of ours any more */
		return;
	}

	const struct rh_mount_retire request = {
		.root = runner->root,
		.work = runner->work,
		.runner_uid = runner->uid,
		.runner_gid = runner->gid,
	};

	retire->due_ms = rh_now_ms() + BUSY_MS;
	retire->asked = rh_mounter_retire(retire->mounter, &request, on_retired, retire) == 0;
}

static struct rh_retire *find(struct rh_jobs *jobs, const char *runner)
{
	struct rh_retire *retire = jobs->retires;

	while (retire && strcmp(retire->runner, runner) != 0)
		retire = retire->next;
	return retire;
}

static struct rh_retire *retire_new(struct rh_jobs *jobs, const struct rh_runner *runner)
{
	struct rh_retire *retire = calloc(1, sizeof(*retire));

	if (!retire)
		return NULL;
	retire->jobs = jobs;
	retire->mounter = jobs->options.mounter;
	retire->log = jobs->options.log;
	retire->runner = strdup(runner->name);
	retire->work = strdup(runner->work);
	if (!retire->runner || !retire->work) {
		retire_free(retire);
		return NULL;
	}
	retire->next = jobs->retires;
	jobs->retires = retire;
	return retire;
}

static void now(struct rh_retire *retire)
{
	if (retire->asked)
		retire->again = true;
	else
		ask(retire);
}

void rh_jobs_retire(struct rh_jobs *jobs, const struct rh_runner *runner)
{
	struct rh_retire *retire = find(jobs, runner->name);

	if (!retire)
		retire = retire_new(jobs, runner);
	if (retire)
		now(retire);
}

/* Does a job of the runner have a Worker that will bring a retire of its own when it goes? */
static bool comes_later(const struct rh_jobs *jobs, const char *runner)
{
	for (const struct rh_job *job = jobs->jobs; job; job = job->next) {
		if (!job->worker_gone && strcmp(job->runner->name, runner) == 0)
			return true;
	}
	return false;
}

void rh_jobs_retire_owed(struct rh_jobs *jobs, const char *runner)
{
	struct rh_retire *retire = find(jobs, runner);

	if (retire && !comes_later(jobs, runner))
		now(retire);
}

void rh_jobs_retire_due(struct rh_jobs *jobs)
{
	for (struct rh_retire *retire = jobs->retires, *next = NULL; retire; retire = next) {
		next = retire->next;
		if (retire->asked)
			continue;
		if (comes_later(jobs, retire->runner))
			drop(retire);
		else if (rh_now_ms() >= retire->due_ms)
			ask(retire);
	}
}

void rh_jobs_retire_close(struct rh_jobs *jobs)
{
	while (jobs->retires) {
		struct rh_retire *retire = jobs->retires;

		jobs->retires = retire->next;
		retire->jobs = NULL;
		if (!retire->asked)
			retire_free(retire);
	}
}
