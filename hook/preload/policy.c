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

enum rh_verdict rh_policy_decide(const struct rh_policy *policy, const struct rh_exec *exec)
{
	size_t n = 0;

	while (exec->argv && exec->argv[n])
		n++;

	const char *last = n > 0 ? exec->argv[n - 1] : NULL;
	const char *slash = strrchr(exec->path, '/');

	if (exec->marker && equal(last, policy->started_hook))
		return RH_VERDICT_JOB_STARTED;
	if (exec->marker && equal(last, policy->completed_hook))
		return RH_VERDICT_JOB_COMPLETED;
	if (equal(slash ? slash + 1 : exec->path, "Runner.PluginHost") ||
		equal(exec->path, policy->docker))
		return RH_VERDICT_REFUSE;
	if (!exec->marker && equal(exec->path, policy->tar) && n == 3 &&
		equal(exec->argv[1], "-xzf") && is_action_archive(last, exec->cwd))
		return RH_VERDICT_UNTAR;
	return RH_VERDICT_RELAY;
}

/* Text about a process; in the constructor only. */
#define WORKER     "Runner.Worker"
#define SEPARATORS " :"

/* Where the last component of the first @n bytes starts. */
static size_t base_of(const char *path, size_t n)
{
	while (n > 0 && path[n - 1] != '/')
		n--;
	return n;
}

size_t rh_facts_root(const char *exe)
{
	size_t file = base_of(exe, strlen(exe));

	if (exe[0] != '/' || file < 2 || strcmp(exe + file, WORKER) != 0)
		return 0;

	size_t bin = base_of(exe, file - 1);
	size_t n = file - 1 - bin; /* of the directory's name */

	if (n < 3 || memcmp(exe + bin, "bin", 3) != 0 || (n > 3 && exe[bin + 3] != '.'))
		return 0;
	return bin > 1 ? bin - 1 : bin;
}

static bool is_ours(const char *word, size_t n)
{
	word += base_of(word, n);
	return strncmp(word, RH_PRELOAD_NAME, sizeof(RH_PRELOAD_NAME) - 1) == 0 &&
		strcspn(word, SEPARATORS) == sizeof(RH_PRELOAD_NAME) - 1;
}

const char *rh_facts_word(const char *preload, size_t *ret_size)
{
	for (const char *word = preload; *(word += strspn(word, SEPARATORS));) {
		size_t n = strcspn(word, SEPARATORS);

		if (word[0] == '/' && is_ours(word, n)) {
			*ret_size = n;
			return word;
		}
		word += n;
	}
	return NULL;
}

bool rh_facts_without(const char *preload, char *ret_rest, size_t size)
{
	size_t used = 0;

	if (size < strlen(preload) + 1)
		return false;
	for (const char *word = preload; *(word += strspn(word, SEPARATORS));) {
		size_t n = strcspn(word, SEPARATORS);

		if (!is_ours(word, n)) {
			if (used > 0)
				ret_rest[used++] = ':';
			memcpy(ret_rest + used, word, n);
			used += n;
		}
		word += n;
	}
	ret_rest[used] = '\0';
	return true;
}
