/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Downloading an action: the archive into _actions/_temp_<guid>, unpacked there by tar, copied to
 * its place. The copy follows links, as the runner's does.
 */

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/files.h"
#include "common/text.h"
#include "runner/args.h"
#include "runner/job.h"

static void on_line(void *arg, int stream, const char *line, size_t size)
{
	(void)arg;
	(void)stream;
	(void)line;
	(void)size;
}

/* tar -xzf, found on the Worker's own PATH only, with the staging directory as its cwd. */
static int unpack(struct rh_job *job, const char *archive, const char *staging, struct rh_err *err)
{
	_cleanup_(rh_freep) char *tar =
		rh_which("tar", "", rh_json_str(job->start_env, "PATH", ""));
	_cleanup_(rh_freep) char *flags = rh_dup("-xzf");
	_cleanup_(rh_freep) char *file = rh_dup(archive);
	char *argv[] = {tar, flags, file, NULL};
	struct rh_command_line line = {.path = tar, .argv = argv, .cwd = staging};
	int exit_code = 0;

	if (!tar)
		return rh_err_set(err, -ENOENT, "tar: command not found");

	int r = rh_job_process(job, &line, on_line, NULL, &exit_code, err);

	if (!r && exit_code)
		r = rh_err_set(err, -EIO,
			"Can't use 'tar -xzf' extract archive file: %s. return code: %d.", archive,
			exit_code);
	return r;
}

/* The one folder in an archive. Allocated; NULL if there is not exactly one. */
static char *top_folder(const char *staging)
{
	DIR *dir = opendir(staging);
	char *found = NULL;
	int n = 0;

	for (struct dirent *entry = NULL; dir && (entry = readdir(dir));) {
		_cleanup_(rh_freep) char *path = rh_fmt("%s/%s", staging, entry->d_name);

		if (entry->d_name[0] == '.' || !rh_dir_exists(path))
			continue;
		n++;
		free(found);
		found = rh_steal(&path);
	}
	if (dir)
		(void)closedir(dir);
	if (n == 1)
		return found;
	free(found);
	return NULL;
}

static int install(struct rh_job *job, const char *archive, const char *temp, const char *to,
	struct rh_err *err)
{
	_cleanup_(rh_freep) char *guid = rh_guid();
	_cleanup_(rh_freep) char *file = rh_fmt("%s/%s.tar.gz", temp, guid);
	_cleanup_(rh_freep) char *staging = rh_fmt("%s/_staging", temp);
	int r = rh_dir_make(staging);

	if (r)
		return rh_err_set(err, r, "%s: %s", staging, strerror(-r));
	r = rh_tree_copy(archive, file, err);
	if (!r)
		r = unpack(job, file, staging, err);
	if (r)
		return r;

	_cleanup_(rh_freep) char *top = top_folder(staging);

	if (!top)
		return rh_err_set(err, -EINVAL, "'%s' contains not exactly one folder", archive);

	_cleanup_(rh_freep) char *parent = rh_dup(to);

	*strrchr(parent, '/') = '\0';
	r = rh_dir_make(parent);
	return r ? r : rh_tree_copy(top, to, err);
}

/* "owner/repo@ref" of owner/repo/path@ref. Allocated. */
static char *archive_key(const char *uses)
{
	const char *slash = strchr(uses, '/');
	const char *at = strchr(uses, '@');
	const char *path = slash ? strchr(slash + 1, '/') : NULL;
	const char *end = path && at && path < at ? path : at;

	return at ? rh_fmt("%.*s%s", (int)(end - uses), uses, at) : rh_dup(uses);
}

int rh_archive_fetch(
	struct rh_job *job, struct rh_record *record, const char *uses, struct rh_err *err)
{
	_cleanup_(rh_freep) char *key = archive_key(uses);
	const char *archive = rh_json_str(job->archives, key, NULL);
	const char *at = strchr(key, '@');
	_cleanup_(rh_freep) char *guid = rh_guid();
	_cleanup_(rh_freep) char *temp = rh_fmt("%s/_temp_%s", job->actions, guid);

	if (!at || !archive)
		return rh_err_set(err, -ENOENT,
			"Unable to resolve action `%s`, unable to find version `%s`", key,
			at ? at + 1 : "");

	_cleanup_(rh_freep) char *to =
		rh_fmt("%s/%.*s/%s", job->actions, (int)(at - key), key, at + 1);
	_cleanup_(rh_freep) char *mark = rh_fmt("%s.completed", to);

	if (rh_file_exists(mark))
		return 0;
	rh_record_printf(record, "Download action repository '%s'", key);

	int r = install(job, archive, temp, to, err);

	rh_dir_remove(temp);
	return r ? r : rh_file_write_str(mark, "done");
}
