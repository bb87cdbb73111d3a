/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the administrator's own hook gets of the environment that the Worker gives to ours.
 */

#include "broker/daemon/job/hook_env.h"

#include <stdlib.h>
#include <string.h>

#include "runnerhub/weaken.h"

/*
 * Those of every job hook, as recorded (tests/worker/worker-execs.jsonl). RUNNER_DEBUG, which it
 * defines for some jobs only, is not among them: for the others it would be the job's.
 */
static const char *const names[] = {
	"GITHUB_ACTOR",
	"GITHUB_ACTOR_ID",
	"GITHUB_API_URL",
	"GITHUB_BASE_REF",
	"GITHUB_ENV",
	"GITHUB_EVENT_NAME",
	"GITHUB_EVENT_PATH",
	"GITHUB_GRAPHQL_URL",
	"GITHUB_HEAD_REF",
	"GITHUB_JOB",
	"GITHUB_OUTPUT",
	"GITHUB_PATH",
	"GITHUB_REF",
	"GITHUB_REF_NAME",
	"GITHUB_REF_PROTECTED",
	"GITHUB_REF_TYPE",
	"GITHUB_REPOSITORY",
	"GITHUB_REPOSITORY_ID",
	"GITHUB_REPOSITORY_OWNER",
	"GITHUB_REPOSITORY_OWNER_ID",
	"GITHUB_RETENTION_DAYS",
	"GITHUB_RUN_ATTEMPT",
	"GITHUB_RUN_ID",
	"GITHUB_RUN_NUMBER",
	"GITHUB_SERVER_URL",
	"GITHUB_SHA",
	"GITHUB_STATE",
	"GITHUB_STEP_SUMMARY",
	"GITHUB_TRIGGERING_ACTOR",
	"GITHUB_WORKFLOW",
	"GITHUB_WORKFLOW_REF",
	"GITHUB_WORKFLOW_SHA",
	"GITHUB_WORKSPACE",
	"RUNNER_ARCH",
	"RUNNER_ENVIRONMENT",
	"RUNNER_NAME",
	"RUNNER_OS",
	"RUNNER_TEMP",
	"RUNNER_TOOL_CACHE",
	"RUNNER_TRACKING_ID",
	"RUNNER_WORKSPACE",
};

bool rh_hook_env_is_context(const char *entry)
{
	size_t n = strcspn(entry, "=");

	if (rh_weakened("hook-names"))
		return strncmp(entry, "GITHUB_", 7) == 0 || strncmp(entry, "RUNNER_", 7) == 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i]) == n && memcmp(entry, names[i], n) == 0)
			return entry[n] == '=';
	}
	return false;
}

static bool is_alone(char *const *envp, const char *entry)
{
	size_t n = strcspn(entry, "=") + 1;
	size_t found = 0;

	for (char *const *e = envp; *e; e++)
		found += strncmp(*e, entry, n) == 0;
	return found == 1;
}

static bool is_taken(char *const *envp, const char *entry)
{
	return rh_hook_env_is_context(entry) && is_alone(envp, entry);
}

char *rh_hook_env_copy(char *const *envp, size_t *ret_size)
{
	size_t size = 0;

	for (char *const *e = envp; *e; e++)
		size += rh_hook_env_is_context(*e) ? strlen(*e) + 1 : 0;

	char *list = calloc(1, size + 1);
	char *at = list;

	for (char *const *e = envp; list && *e; e++) {
		if (!is_taken(envp, *e))
			continue;
		memcpy(at, *e, strlen(*e) + 1);
		at += strlen(*e) + 1;
	}
	if (list)
		*ret_size = (size_t)(at - list);
	return list;
}
