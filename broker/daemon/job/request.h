/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a started hook says of its job: the environment block, checked and copied.
 *
 * Pure. The paths decide what root mounts, so they must lie where the runner's registration says;
 * the rest is for people, cut and made printable.
 */

#include "broker/daemon/config/config.h"
#include "runnerhub/err.h"

struct rh_job_request {
	char repository[256]; /* owner/name */
	char workflow[256];
	char job_key[256];
	char run_id[32];
	char run_attempt[16];
	char ref[256];
	char sha[72];
	char actor[128];
	char event_name[64];
	char repo[256]; /* directory name below the work directory */
	char workspace[4096]; /* <work>/<repo>/… */
	char tool_cache[4096]; /* "" without one */
	char tracking_id[128];
};

/**
 * rh_job_request_parse() - from the hook's environment
 * @envp: NULL-terminated
 *
 * Return: 0; -EINVAL with @err naming the variable.
 */
int rh_job_request_parse(char *const *envp, const struct rh_runner *runner,
	struct rh_job_request *ret_request, struct rh_err *err);
