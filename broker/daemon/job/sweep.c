/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Deleting what an ended job has left. It takes as long as it takes, ten minutes for a huge
 * workspace: it holds neither its job nor the jobs, so a broker that stops does not wait for it.
 */

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/job/internal.h"
#include "runnerhub/clock.h"

struct sweep {
	struct rh_jobs_options options; /* store, log and on_event outlive the mounter's answer */
	struct rh_id job;
	char runner[];
};

_printf_(3, 4) static void tell(const struct sweep *sweep, const char *kind, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	const struct rh_store_event event = {
		.time_ms = rh_wall_ms(),
		.kind = kind,
		.job = sweep->job,
		.message = text,
	};

	rh_job_emit(&sweep->options, &event, sweep->runner);
}

static void on_swept(void *arg, int r, uint64_t bytes, uint64_t n_files)
{
	struct sweep *sweep = arg;

	if (n_files > 0)
		tell(sweep, "workspace.scrubbed", "%llu files, %llu KiB",
			(unsigned long long)n_files, (unsigned long long)bytes >> 10);
	/* If the broker stops, the next one goes on. */
	if (r < 0 && r != -ECANCELED)
		tell(sweep, "workspace.left", "not all of it could be deleted: %s", strerror(-r));
	free(sweep);
}

void rh_job_sweep(const struct rh_job *job)
{
	size_t size = strlen(job->runner->name) + 1;
	struct sweep *sweep = malloc(sizeof(*sweep) + size);

	if (!sweep)
		return; /* the runner's next sweep deletes it */
	sweep->options = job->all->options;
	sweep->options.config = NULL; /* of which it has no reference */
	sweep->job = job->id;
	memcpy(sweep->runner, job->runner->name, size);
	if (rh_mounter_sweep(sweep->options.mounter, job->runner->work, on_swept, sweep) < 0)
		free(sweep);
}
