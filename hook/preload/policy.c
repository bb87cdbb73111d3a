/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The policy table. Rows, first match wins:
 *
 *   marker, last word is a hook of this Worker    job-started, job-completed
 *   program is Runner.PluginHost                  refuse (it is given every secret of the job)
 *   program is the Worker's docker                refuse
 *   no marker, the Worker's tar, "-xzf", archive
 *   and working directory in one _temp_ folder    untar
 *   anything else                                 relay
 *
 * No row lets a program run on the host as it was given, so a forged exec gains nothing: it
 * repeats a verb, and the broker judges that.
 */

#include "policy.h"

#include <string.h>

/* What an action archive's path looks like: …/_actions/_temp_<guid>/<guid>.tar.gz */
#define ACTIONS_TEMP "/_actions/_temp_"
#define STAGING      "/_staging"

const char *const rh_policy_marker_names[] = {"RUNNER_TEMP", "RUNNER_OS", "GITHUB_RUN_ID", NULL};

static bool equal(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

bool rh_policy_marker(char *const *envp)
{
	for (; envp && *envp; envp++) {
		for (const char *const *name = rh_policy_marker_names; *name; name++) {
			size_t n = strlen(*name);

			if (strncmp(*envp, *name, n) == 0 && (*envp)[n] == '=')
				return true;
		}
	}
	return false;
}

static size_t count_words(char *const *argv)
{
	size_t n = 0;

	while (argv && argv[n])
		n++;
	return n;
}

/* The last place in @path where "/_actions/_temp_" stands, behind its first slash, or NULL. */
static const char *find_temp(const char *path)
{
	const char *found = NULL;

	for (const char *at = path; (at = strstr(at, ACTIONS_TEMP)); at++)
		found = at + 1;
	return found;
}

/*
 * Whether @archive is a file of the folder whose _staging @cwd is. Compared from "_actions" on
 * only, since the kernel names the working directory without the links by which the Worker names
 * it; the verb compares the directories themselves.
 */
static bool is_action_archive(const char *archive, const char *cwd)
{
	const char *folder = find_temp(archive);
	const char *cwd_folder = find_temp(cwd);

	if (!folder || !cwd_folder)
		return false;

	const char *file = strrchr(folder, '/');
	size_t n = (size_t)(file - folder);

	return n > strlen(ACTIONS_TEMP) - 1 && file[1] != '\0' &&
		strncmp(folder, cwd_folder, n) == 0 && equal(cwd_folder + n, STAGING);
}

static bool is_plugin_host(const char *path)
{
	const char *slash = strrchr(path, '/');

	return equal(slash ? slash + 1 : path, "Runner.PluginHost");
}

enum rh_verdict rh_policy_decide(const struct rh_policy *policy, const struct rh_exec *exec)
{
	size_t n = count_words(exec->argv);
	const char *last = n > 0 ? exec->argv[n - 1] : NULL;

	if (exec->marker && equal(last, policy->started_hook))
		return RH_VERDICT_JOB_STARTED;
	if (exec->marker && equal(last, policy->completed_hook))
		return RH_VERDICT_JOB_COMPLETED;
	if (is_plugin_host(exec->path) || equal(exec->path, policy->docker))
		return RH_VERDICT_REFUSE;
	if (!exec->marker && equal(exec->path, policy->tar) && n == 3 &&
		equal(exec->argv[1], "-xzf") && is_action_archive(last, exec->cwd))
		return RH_VERDICT_UNTAR;
	return RH_VERDICT_RELAY;
}
