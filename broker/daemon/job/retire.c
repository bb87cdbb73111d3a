/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is left of a workspace, and what is done for a runner once no Worker of it lives: _temp is
 * uncovered and swapped, and what was moved away is deleted. If it fails, the attach of the
 * runner's next job tries once more.
 */

#include <stdlib.h>
#include <string.h>

#include "broker/daemon/job/internal.h"

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

struct retire {
	struct rh_mounter *mounter;
	struct rh_log *log;
	char work[];
};

static void on_retired(
	void *arg, int r, const struct rh_mount_result *result, const struct rh_err *err)
{
	struct retire *retire = arg;

	if (r == 0)
		(void)rh_mounter_sweep(retire->mounter, retire->work, NULL, NULL);
	else if (r != -ECANCELED)
		rh_log_error(retire->log, "a runner's _temp could not be made fresh",
			RH_STR("work", retire->work), RH_STR("why", err->text));
	free(retire);
}

void rh_jobs_retire(struct rh_jobs *jobs, const struct rh_runner *runner)
{
	const struct rh_mount_retire request = {
		.root = runner->root,
		.work = runner->work,
		.runner_uid = runner->uid,
		.runner_gid = runner->gid,
	};
	size_t size = strlen(runner->work) + 1;
	struct retire *retire = malloc(sizeof(*retire) + size);

	if (!retire)
		return;
	retire->mounter = jobs->options.mounter;
	retire->log = jobs->options.log;
	memcpy(retire->work, runner->work, size);
	if (rh_mounter_retire(jobs->options.mounter, &request, on_retired, retire) < 0)
		free(retire);
}
