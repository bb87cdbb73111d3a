/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the started hook says in the job's log.
 */

#include <stdio.h>

#include "broker/daemon/job/internal.h"

void rh_job_say_ready(const struct rh_job *job, char *buf, size_t size)
{
	/* What it is made from, which a reload may have changed since the job came. */
	const struct rh_profile *p = rh_container_profile(job->container);
	char limits[160];
	const char *user = "";
	int n = 0;

	if (!p->image)
		p = job->profile; /* an adopted one, of a profile that is gone */
	if (job->profile->user != RH_USER_RUNNER &&
		!rh_containers_map_ids(job->all->options.containers))
		user = "user: the runner's own, since this kernel (before 5.12) maps no ids\n";
	if (p->cpus > 0)
		n += snprintf(limits + n, sizeof(limits) - (size_t)n, "%g cpus, ", p->cpus);
	if (p->memory_bytes > 0)
		n += snprintf(limits + n, sizeof(limits) - (size_t)n, "%llu MiB memory, ",
			(unsigned long long)(p->memory_bytes >> 20));
	if (p->pids > 0)
		n += snprintf(limits + n, sizeof(limits) - (size_t)n, "%u processes, ", p->pids);
	(void)snprintf(limits + (n >= 2 ? n - 2 : 0), sizeof(limits) - (size_t)(n >= 2 ? n - 2 : 0),
		"%s", n > 0 ? "" : "none");

	(void)snprintf(buf, size,
		"::group::RunnerHub: isolated container ready in %.1f ms\n"
		"container: %s (%s)\n"
		"image: %s\n"
		"profile: %s\n"
		"limits: %s\n"
		"network: %s\n"
		"%s"
		"job: %s\n"
		"::endgroup::\n",
		(double)job->start_us / 1000, rh_container_name(job->container),
		job->cold ? "new" : "warm", p->image, p->name, limits, p->network, user,
		job->id_text);
}
