/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a started hook says of its job.
 */

#include "broker/daemon/job/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "runnerhub/block.h"
#include "runnerhub/weaken.h"
#include "runnerhub/wire.h"

/* Directories of the runner itself below the work directory: never a repository's. */
static const char *const reserved[] = {"_actions", "_temp", "_tool", "_tasks", "_update",
	"_PipelineMapping", "_runnerhub", ".", ".."};

static void copy_printable(char *const *envp, const char *name, char *buf, size_t size)
{
	const char *value = rh_env_get(envp, name);

	if (rh_weakened("printable"))
		(void)snprintf(buf, size, "%s", value ? value : "");
	else
		rh_wire_text_copy(value ? value : "", buf, size);
}

/* Absolute, without empty, "." and ".." components, printable. */
static bool path_is_plain(const char *path)
{
	if (path[0] != '/' || !rh_wire_text_valid(path, strlen(path), false) || strchr(path, '\n'))
		return false;
	while (*path) {
		size_t n = strcspn(path + 1, "/");

		if (n == 0 || (n == 1 && path[1] == '.') ||
			(n == 2 && memcmp(path + 1, "..", 2) == 0))
			return false;
		path += 1 + n;
	}
	return true;
}

static int take_path(char *const *envp, const char *name, bool required, char *buf, size_t size,
	struct rh_err *err)
{
	const char *value = rh_env_get(envp, name);

	if (!value || !*value) {
		buf[0] = '\0';
		return required ? rh_err_set(err, -EINVAL, "%s is not set", name) : 0;
	}
	if (strlen(value) >= size || !path_is_plain(value))
		return rh_err_set(err, -EINVAL, "%s is not a plain absolute path", name);
	memcpy(buf, value, strlen(value) + 1);
	return 0;
}

/* The path below @work, or NULL. */
static const char *below(const char *path, const char *work)
{
	size_t n = strlen(work);

	return strncmp(path, work, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

static int take_workspace(char *const *envp, const struct rh_runner *runner,
	struct rh_job_request *request, struct rh_err *err)
{
	int r = take_path(envp, "GITHUB_WORKSPACE", true, request->workspace,
		sizeof(request->workspace), err);

	if (r < 0)
		return rh_trace(r);

	const char *repo = below(request->workspace, runner->work);

	if (!repo)
		return rh_err_set(err, -EINVAL,
			"GITHUB_WORKSPACE is not below the registered work directory %.200s",
			runner->work);

	size_t n = strcspn(repo, "/");

	if (n >= sizeof(request->repo))
		return rh_err_set(err, -EINVAL, "GITHUB_WORKSPACE has too long a name in it");
	memcpy(request->repo, repo, n);
	request->repo[n] = '\0';
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		if (strcmp(request->repo, reserved[i]) == 0)
			return rh_err_set(err, -EINVAL,
				"GITHUB_WORKSPACE lies in %s, which is the runner's own",
				reserved[i]);
	}
	return 0;
}

static int check_temp(char *const *envp, const struct rh_runner *runner, struct rh_err *err)
{
	char temp[4096];
	int r = take_path(envp, "RUNNER_TEMP", true, temp, sizeof(temp), err);

	if (r < 0)
		return rh_trace(r);

	const char *rest = below(temp, runner->work);

	if (!rest || strcmp(rest, "_temp") != 0)
		return rh_err_set(err, -EINVAL,
			"RUNNER_TEMP is not _temp of the registered work directory %.200s",
			runner->work);
	return 0;
}

int rh_job_request_parse(char *const *envp, const struct rh_runner *runner,
	struct rh_job_request *ret_request, struct rh_err *err)
{
	static const struct {
		const char *name;
		size_t offset, size;
	} rows[] = {
#define ROW(name, field) \
	{name, offsetof(struct rh_job_request, field), sizeof(((struct rh_job_request *)0)->field)}
		ROW("GITHUB_REPOSITORY", repository),
		ROW("GITHUB_WORKFLOW", workflow),
		ROW("GITHUB_JOB", job_key),
		ROW("GITHUB_RUN_ID", run_id),
		ROW("GITHUB_RUN_ATTEMPT", run_attempt),
		ROW("GITHUB_REF", ref),
		ROW("GITHUB_SHA", sha),
		ROW("GITHUB_ACTOR", actor),
		ROW("GITHUB_EVENT_NAME", event_name),
		ROW("RUNNER_TRACKING_ID", tracking_id),
#undef ROW
	};
	struct rh_job_request request = {0};
	int r = take_workspace(envp, runner, &request, err);

	if (r == 0)
		r = check_temp(envp, runner, err);
	if (r == 0)
		r = take_path(envp, "RUNNER_TOOL_CACHE", false, request.tool_cache,
			sizeof(request.tool_cache), err);
	if (r < 0)
		return rh_trace(r);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		copy_printable(envp, rows[i].name, (char *)&request + rows[i].offset, rows[i].size);
	*ret_request = request;
	return 0;
}
