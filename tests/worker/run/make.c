/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a runner directory: everything that a download and config.sh would leave behind.
 */

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/environ.h"
#include "common/files.h"
#include "common/text.h"
#include "run/run.h"

#define VERSION "2.336.0"

static int raise_errno(struct rh_err *err, int r, const char *what)
{
	return rh_err_set(err, r, "%s: %s", what, strerror(-r));
}

/* A program or folder that lies beside this one. */
static int copy_program(const char *name, const char *to_dir, struct rh_err *err)
{
	_cleanup_(rh_freep) char *dir = NULL;

	rh_environ_place(&dir, NULL);

	_cleanup_(rh_freep) char *from = rh_fmt("%s/%s", dir, name);
	_cleanup_(rh_freep) char *to = rh_fmt("%s/%s", to_dir, name);

	(void)unlink(to);
	return rh_tree_copy(from, to, err);
}

/* A link where the file system allows it, else a copy: node is large. */
static int link_or_copy(const char *from, const char *to, struct rh_err *err)
{
	_cleanup_(rh_freep) char *real = realpath(from, NULL);

	if (!real)
		return raise_errno(err, -errno, from);
	(void)unlink(to);
	if (link(real, to) == 0)
		return 0;
	return rh_tree_copy(real, to, err);
}

/* externals/<name>/bin/node, and the libraries that lie beside a node made for containers. */
static int add_node(const char *externals, const char *name, const char *node, struct rh_err *err)
{
	_cleanup_(rh_freep) char *bin = rh_fmt("%s/%s/bin", externals, name);
	_cleanup_(rh_freep) char *to = rh_fmt("%s/node", bin);
	_cleanup_(rh_freep) char *real = realpath(node, NULL);
	int r = rh_dir_make(bin);

	if (!real)
		return raise_errno(err, -errno, node);
	if (!r)
		r = link_or_copy(real, to, err);

	_cleanup_(rh_freep) char *lib_to = rh_fmt("%s/%s/lib", externals, name);
	char *tail = strstr(real, "/bin/node");

	if (r || !tail)
		return r;
	*tail = '\0';

	_cleanup_(rh_freep) char *lib = rh_fmt("%s/lib", real);

	/* /usr/lib is everybody's: only a node with a prefix of its own brings libraries. */
	if (strcmp(real, "/usr") == 0 || strcmp(real, "/usr/local") == 0 || !rh_dir_exists(lib))
		return 0;
	return rh_tree_copy(lib, lib_to, err);
}

static char *default_node(void)
{
	const char *named = getenv("RUNNERHUB_NODE");
	const char *cache = getenv("RUNNERHUB_DEV_CACHE");
	char *cached = rh_fmt("%s/node/bin/node", cache ? cache : "/var/cache/runnerhub-dev");

	if (named && *named) {
		free(cached);
		return rh_dup(named);
	}
	if (rh_file_exists(cached))
		return cached;
	free(cached);
	return rh_dup("/usr/bin/node");
}

static int add_externals(const struct rh_run_make *make, const char *externals, struct rh_err *err)
{
	_cleanup_(rh_freep) char *node = make->node ? rh_dup(make->node) : default_node();
	int r = 0;

	if (!make->node && !rh_file_exists(node))
		return rh_dir_make(externals); /* a runner without node: run steps only */
	r = add_node(externals, "node20", node, err);
	if (!r)
		r = add_node(externals, "node24", node, err);
	if (!r && make->node_alpine)
		r = add_node(externals, "node20_alpine", make->node_alpine, err);
	if (!r && make->node_alpine)
		r = add_node(externals, "node24_alpine", make->node_alpine, err);
	return r;
}

/* .runner and the files that no job may ever see; their content can be searched for. */
static int add_settings(const struct rh_run_make *make, struct rh_err *err)
{
	static const char *const secrets[] = {
		".credentials", ".credentials_rsaparams", ".path", "_diag/canary.log"};
	const char *slash = strrchr(make->root, '/');
	const char *name = make->name ? make->name : slash ? slash + 1 : make->root;
	_cleanup_(rh_freep) char *path = rh_fmt("%s/.runner", make->root);
	_cleanup_(rh_freep) char *env = rh_fmt("%s/.env", make->root);
	_cleanup_(rh_freep) char *text = rh_fmt(
		"{\n  \"agentId\": 1,\n  \"agentName\": \"%s\",\n  \"poolId\": 1,\n"
		"  \"poolName\": \"Default\",\n  \"serverUrl\": \"https://standin.invalid/\",\n"
		"  \"gitHubUrl\": \"https://github.com/octo/demo\",\n"
		"  \"workFolder\": \"_work\",\n  \"canary\": \"runner-canary-settings\"\n}\n",
		name);
	int r = rh_file_write_str(path, text);

	for (size_t i = 0; !r && i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		_cleanup_(rh_freep) char *file = rh_fmt("%s/%s", make->root, secrets[i]);
		_cleanup_(rh_freep) char *canary = rh_fmt("runner-canary-%s\n", secrets[i]);

		r = rh_file_write_str(file, canary);
		(void)chmod(file, 0600);
	}
	if (!r && !rh_file_exists(env))
		r = rh_file_write_str(env, "LANG=C.UTF-8\n");
	return r ? raise_errno(err, r, make->root) : 0;
}

/* Where bin or externals really lie; after an update they are links. */
static int make_directory(
	const struct rh_run_make *make, const char *name, char **ret_path, struct rh_err *err)
{
	char *path = rh_fmt("%s/%s%s", make->root, name, make->versioned ? "." VERSION : "");
	_cleanup_(rh_freep) char *link = rh_fmt("%s/%s", make->root, name);
	_cleanup_(rh_freep) char *target = rh_fmt("%s." VERSION, name);
	int r = rh_dir_make(path);

	if (!r && make->versioned && symlink(target, link) < 0 && errno != EEXIST)
		r = -errno;
	*ret_path = path;
	return r ? raise_errno(err, r, path) : 0;
}

int rh_runner_give(const char *root, uid_t uid, gid_t gid)
{
	DIR *dir = opendir(root);
	int r = dir && lchown(root, uid, gid) == 0 ? 0 : -errno;

	for (struct dirent *entry = NULL; dir && !r && (entry = readdir(dir));) {
		_cleanup_(rh_freep) char *path = rh_fmt("%s/%s", root, entry->d_name);

		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
			!rh_starts_with(entry->d_name, "externals"))
			r = rh_tree_chown(path, uid, gid);
	}
	if (dir)
		(void)closedir(dir);
	return r;
}

int rh_runner_make(const struct rh_run_make *make, struct rh_err *err)
{
	_cleanup_(rh_freep) char *diag = rh_fmt("%s/_diag", make->root);
	_cleanup_(rh_freep) char *work = rh_fmt("%s/_work", make->root);
	_cleanup_(rh_freep) char *bin = NULL;
	_cleanup_(rh_freep) char *externals = NULL;
	int r = rh_dir_make(diag);

	if (!r)
		r = rh_dir_make(work);
	if (r)
		return raise_errno(err, r, make->root);
	r = make_directory(make, "bin", &bin, err);
	if (!r)
		r = make_directory(make, "externals", &externals, err);
	if (!r)
		r = copy_program("Runner.Worker", bin, err);
	if (!r)
		r = copy_program("Runner.Listener", bin, err);
	if (!r)
		r = copy_program("hashFiles", bin, err);
	if (!r)
		r = add_externals(make, externals, err);
	if (!r)
		r = add_settings(make, err);
	if (!r && make->has_uid) {
		struct passwd *user = getpwuid(make->uid);

		r = rh_runner_give(make->root, make->uid, user ? user->pw_gid : (gid_t)make->uid);
		if (r)
			r = raise_errno(err, r, make->root);
	}
	return r;
}
