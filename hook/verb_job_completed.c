/* SPDX-License-Identifier: Apache-2.0 */

/*
 * job-completed: runs in place of the runner's completed hook and gives the container back.
 */

#include "hook.h"
#include "job.h"

int rh_verb_job_completed(const struct rh_hook *hook)
{
	return rh_job_run(hook, RH_WIRE_JOB_COMPLETED);
}
