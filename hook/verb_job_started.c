/* SPDX-License-Identifier: Apache-2.0 */

/*
 * job-started: runs in place of the runner's started hook and gets the job its container.
 */

#include "hook.h"
#include "job.h"

int rh_verb_job_started(const struct rh_hook *hook)
{
	return rh_job_run(hook, RH_WIRE_JOB_STARTED);
}
