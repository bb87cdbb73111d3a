/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hashFiles(): a node program of the runner's own, which reads in the workspace and answers on
 * stderr.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/text.h"
#include "runner/job.h"

#define MARK "__OUTPUT__"

static void on_line(void *arg, int stream, const char *line, size_t size)
{
	char **hash = arg;
	const size_t n = strlen(MARK);

	if (stream != 2 || size < 2 * n || memcmp(line, MARK, n) != 0 ||
		memcmp(line + size - n, MARK, n) != 0)
		return;
	free(*hash);
	*hash = rh_must(strndup(line + n, size - 2 * n));
}

int rh_hash_files(void *arg, struct json_object *patterns, char **ret_hash, struct rh_err *err)
{
	struct rh_job *job = arg;
	_cleanup_(rh_freep) char *node = rh_fmt("%s/externals/node20/bin/node", job->root);
	_cleanup_(rh_freep) char *script = rh_fmt("%s/hashFiles", job->bin);
	_cleanup_(rh_json_putp) struct json_object *env = rh_must(json_object_new_object());
	_cleanup_(rh_text_deinit) struct rh_text lines = {0};
	char *argv[] = {node, script, NULL};
	struct rh_command_line line = {
		.path = node, .argv = argv, .cwd = job->workspace, .env = env};
	char *hash = NULL;
	int exit_code = 0;

	rh_text_puts(&lines, "");
	for (size_t i = 0; i < rh_json_len(patterns); i++) {
		const char *pattern =
			json_object_get_string(json_object_array_get_idx(patterns, i));

		if (i == 0 && strcasecmp(pattern, "--follow-symbolic-links") == 0) {
			rh_json_set_str(env, "followSymbolicLinks", "true");
			continue;
		}
		rh_text_puts(&lines, lines.size ? "\n" : "");
		rh_text_puts(&lines, pattern);
	}
	rh_json_set_str(env, "patterns", lines.data);

	int r = rh_job_process(job, &line, on_line, &hash, &exit_code, err);

	if (!r && exit_code)
		r = rh_err_set(err, -EIO,
			"hashFiles('%s') failed. Fail to hash files under directory '%s'",
			lines.data, job->workspace);
	if (r) {
		free(hash);
		return r;
	}
	*ret_hash = hash ? hash : rh_dup("");
	return 0;
}
