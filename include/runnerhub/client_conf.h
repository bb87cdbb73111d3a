/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the broker tells the hook programs: a small text file in its runtime directory, written at
 * start and on reload, read by every client (so that a workflow cannot say otherwise through the
 * environment). One "key=value" a line; unknown keys are ignored; a missing file or key means the
 * default of limits.h. Replaced with rename(2), never edited.
 *
 *   broker_wait_ms=30000       how long a client waits for an absent broker
 *   job_start_wait_ms=60000    how long the whole started hook may take
 *   env_pass=CI,LANG,LC_*      names (or prefixes with *) that reach a step although their value
 *                              equals the Worker's own start environment
 */

#define RH_CLIENT_CONF_SIZE_MAX 16384

#define RH_CLIENT_CONF_BROKER_WAIT "broker_wait_ms"
#define RH_CLIENT_CONF_JOB_START   "job_start_wait_ms"
#define RH_CLIENT_CONF_ENV_PASS    "env_pass"

/*
 * Besides the configured list, GITHUB_*, RUNNER_* (but not RUNNERHUB_*) and the tool cache's names
 * always pass: the runner itself sets them for steps, and their values may equal its own.
 */
#define RH_CLIENT_CONF_ENV_PASS_DEFAULT                                                  \
	"CI,LANG,LANGUAGE,LC_*,TZ,http_proxy,https_proxy,no_proxy,all_proxy,HTTP_PROXY," \
	"HTTPS_PROXY,NO_PROXY,ALL_PROXY,AGENT_TOOLSDIRECTORY"
