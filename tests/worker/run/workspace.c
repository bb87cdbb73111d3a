/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in for the outside world: a checkout in the workspace, and archives of actions.
 */

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/files.h"
#include "common/text.h"
#include "run/run.h"

struct fill {
	const struct rh_run_options *options;
	struct json_object *files;
	char *workspace;
};

/* One file of the workflow's "files": text, or {mode, content}. */
static int write_file(
	const char *workspace, const char *name, struct json_object *value, struct rh_err *err)
{
	_cleanup_(rh_freep) char *path = rh_fmt("%s/%s", workspace, name);
	_cleanup_(rh_freep) char *dir = rh_dup(path);
	mode_t mode = 0644;

	if (rh_starts_with(name, "/") || strstr(name, ".."))
		return rh_err_set(err, -EINVAL, "%s: outside the workspace", name);
	if (rh_json_is(value, json_type_object)) {
		struct json_object *given = rh_json_get(value, "mode");

		if (given)
			mode = (mode_t)strtol(json_object_get_string(given), NULL, 8);
		value = rh_json_get(value, "content");
	}
	*strrchr(dir, '/') = '\0';

	int r = rh_dir_make(dir);

	if (!r)
		r = rh_file_write_str(path, value ? json_object_get_string(value) : "");
	if (!r && chmod(path, mode) < 0)
		r = -errno;
	return r ? rh_err_set(err, r, "%s: %s", path, strerror(-r)) : 0;
}

static int fill(void *arg, struct rh_err *err)
{
	struct fill *f = arg;
	int r = 0;

	if (f->options->clean)
		rh_dir_remove(f->workspace);
	if (f->options->workspace)
		r = rh_tree_copy(f->options->workspace, f->workspace, err);
	if (!r && rh_json_is(f->files, json_type_object)) {
		json_object_object_foreach (f->files, name, value) {
			if (!r)
				r = write_file(f->workspace, name, value, err);
		}
	}
	return r;
}

int rh_workspace_fill(const struct rh_run_options *options, const struct rh_run_runner *runner,
	struct json_object *files, struct rh_err *err)
{
	_cleanup_(rh_freep) char *settings_path = rh_fmt("%s/.runner", runner->root);
	_cleanup_(rh_text_deinit) struct rh_text text = {0};
	int r = rh_file_read(settings_path, &text);

	if (r)
		return rh_err_set(err, r, "%s: %s", settings_path, strerror(-r));

	const char *json = rh_starts_with(text.data, "\xef\xbb\xbf") ? text.data + 3 : text.data;
	_cleanup_(rh_json_putp) struct json_object *settings = rh_json_parse(json);
	const char *work = rh_json_str(settings, "workFolder", "_work");
	const char *slash = strrchr(options->repository, '/');
	const char *name = slash ? slash + 1 : options->repository;
	_cleanup_(rh_freep) char *workspace = *work == '/'
		? rh_fmt("%s/%s/%s", work, name, name)
		: rh_fmt("%s/%s/%s/%s", runner->root, work, name, name);
	struct fill f = {.options = options, .files = files, .workspace = workspace};

	return rh_runner_as_user(runner, fill, &f, err);
}

static int run_tar(const char *source_dir, const char *top, const char *archive)
{
	/* Names, but not what links say. */
	_cleanup_(rh_freep) char *rename = rh_fmt("--transform=s,^\\.,%s,S", top);
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)execlp("tar", "tar", "-czf", archive, rename, "-C", source_dir, ".", NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return status ? -EIO : 0;
}

/* One ref: a directory, which is packed with one top folder, or a tar.gz, which is taken as it is.
 */
static int pack_ref(const char *dir, const char *spec, const char *entry, const char *into,
	struct json_object *archives)
{
	_cleanup_(rh_freep) char *source = rh_fmt("%s/%s", dir, entry);
	_cleanup_(rh_freep) char *ref = rh_dup(entry);
	bool packed = rh_ends_with(ref, ".tar.gz");
	_cleanup_(rh_freep) char *guid = rh_guid();
	_cleanup_(rh_freep) char *archive = rh_fmt("%s/%s.tar.gz", into, guid);
	int r = 0;

	if (packed)
		ref[strlen(ref) - strlen(".tar.gz")] = '\0';
	if (packed)
		r = rh_tree_copy(source, archive, NULL);
	else if (rh_dir_exists(source))
		r = run_tar(source, "action-0123456", archive);
	else
		return 0;

	_cleanup_(rh_freep) char *key = rh_fmt("%s@%s", spec, ref);

	if (!r)
		rh_json_set_str(archives, key, archive);
	return r;
}

/* Calls itself for owner, then repo; the third level holds the refs. */
static int pack_level(const char *dir, const char *spec, int level, const char *into,
	struct json_object *archives)
{
	DIR *listing = opendir(dir);
	int r = 0;

	if (!listing)
		return level < 2 && errno == ENOTDIR ? 0 : -errno;
	for (struct dirent *entry = NULL; !r && (entry = readdir(listing));) {
		if (entry->d_name[0] == '.')
			continue;

		_cleanup_(rh_freep) char *below = rh_fmt("%s/%s", dir, entry->d_name);
		_cleanup_(rh_freep) char *name =
			rh_fmt("%s%s%s", spec, *spec ? "/" : "", entry->d_name);

		if (level == 2)
			r = pack_ref(dir, spec, entry->d_name, into, archives);
		else if (rh_dir_exists(below))
			r = pack_level(below, name, level + 1, into, archives);
	}
	(void)closedir(listing);
	return r;
}

int rh_archives_pack(const struct rh_run_options *options, const char *into,
	struct json_object **ret_archives, struct rh_err *err)
{
	struct json_object *archives = rh_must(json_object_new_object());
	int r = options->actions ? pack_level(options->actions, "", 0, into, archives) : 0;

	if (r) {
		(void)json_object_put(archives);
		return rh_err_set(err, r, "%s: %s", options->actions, strerror(-r));
	}
	*ret_archives = archives;
	return 0;
}
