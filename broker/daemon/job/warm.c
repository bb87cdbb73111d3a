/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Trusted runs: the next job of a repository on a runner may write the host's copy of the tool
 * cache, because root has said so. Once, and not for long: every other job writes into an overlay.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/job/internal.h"
#include "runnerhub/clock.h"

#define WARM_MS  (INT64_C(3600) * 1000)
#define WARM_MAX 256

static void drop(struct rh_warm **at)
{
	struct rh_warm *warm = *at;

	*at = warm->next;
	free(warm);
}

int rh_jobs_warm_tools(
	struct rh_jobs *jobs, const char *runner, const char *repository, struct rh_err *err)
{
	struct rh_warm *warm = NULL;
	size_t n = 0;

	if (!rh_config_runner(jobs->options.config, runner))
		return rh_err_set(err, -ENOENT, "there is no runner %.100s", runner);
	if (!strchr(repository, '/') || strlen(repository) >= sizeof(warm->repository))
		return rh_err_set(err, -EINVAL, "a repository is OWNER/NAME");
	for (struct rh_warm **at = &jobs->warm; *at; n++) {
		if (strcmp((*at)->runner, runner) == 0)
			drop(at); /* the later word counts */
		else
			at = &(*at)->next;
	}
	if (n >= WARM_MAX)
		return rh_err_set(err, -EUSERS, "%d runners wait for such a job already", WARM_MAX);
	warm = calloc(1, sizeof(*warm));
	if (!warm)
		return rh_err_set(err, -ENOMEM, "out of memory");
	(void)snprintf(warm->runner, sizeof(warm->runner), "%s", runner);
	(void)snprintf(warm->repository, sizeof(warm->repository), "%s", repository);
	warm->until_ms = rh_now_ms() + WARM_MS;
	warm->next = jobs->warm;
	jobs->warm = warm;
	return 0;
}

bool rh_job_is_trusted(struct rh_job *job)
{
	bool found = false;

	for (struct rh_warm **at = &job->all->warm; *at;) {
		bool late = rh_now_ms() > (*at)->until_ms;
		bool fits = !found && strcmp((*at)->runner, job->runner->name) == 0 &&
			strcmp((*at)->repository, job->request.repository) == 0;

		found = found || (fits && !late);
		if (fits || late)
			drop(at);
		else
			at = &(*at)->next;
	}
	return found;
}

void rh_jobs_warm_free(struct rh_jobs *jobs)
{
	while (jobs->warm)
		drop(&jobs->warm);
}
