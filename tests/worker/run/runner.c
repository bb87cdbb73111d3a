/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runner directories: made with everything that config.sh and a download would leave behind, found
 * by name, locked while in use.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/files.h"
#include "common/text.h"
#include "run/run.h"

#define VERSION "2.336.0"

static int raise_errno(struct rh_err *err, int r, const char *what)
{
	return rh_err_set(err, r, "%s: %s", what, strerror(-r));
}

/* The directory of this program: the Worker and the Listener lie beside it. */
static char *programs_dir(void)
{
	char path[PATH_MAX] = "";
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[n > 0 ? n : 0] = '\0';

	char *slash = strrchr(path, '/');

	if (slash)
		*slash = '\0';
	return rh_dup(path);
}

static int copy_program(const char *name, const char *to_dir, struct rh_err *err)
{
	_cleanup_(rh_freep) char *dir = programs_dir();
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

/* All but externals, whose node may be a link to a cached one. */
static int give_to(const char *root, uid_t uid, gid_t gid)
{
	DIR *dir = opendir(root);
	int r = dir && lchown(root, uid, gid) == 0 ? 0 : -errno;

	for (struct dirent *entry = NULL; !r && (entry = readdir(dir));) {
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

		r = give_to(make->root, make->uid, user ? user->pw_gid : (gid_t)make->uid);
		if (r)
			r = raise_errno(err, r, make->root);
	}
	return r;
}

/* Whether a runner directory goes by this name: its agent's, or the directory's own. */
static bool has_name(const char *root, const char *name)
{
	_cleanup_(rh_freep) char *path = rh_fmt("%s/.runner", root);
	_cleanup_(rh_text_deinit) struct rh_text text = {0};
	const char *slash = strrchr(root, '/');

	if (slash && strcmp(slash + 1, name) == 0)
		return true;
	if (rh_file_read(path, &text))
		return false;

	_cleanup_(rh_json_putp) struct json_object *settings = rh_json_parse(text.data);

	return strcmp(rh_json_str(settings, "agentName", ""), name) == 0;
}

/* Takes the lock of a directory without waiting. Return: descriptor, or -1 if it is in use. */
static int try_lock(const char *root)
{
	_cleanup_(rh_closep) int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -1;
	return rh_steal_fd(&fd);
}

/* The first free one of the runners that with-runnerhub names; waits until there is one. */
static int open_named(const char *name, struct rh_run_runner *runner, struct rh_err *err)
{
	const char *count = getenv("RUNNERHUB_RUNNERS");
	long n = count ? strtol(count, NULL, 10) : 0;

	for (bool known = false;; (void)usleep(100000)) {
		for (long i = 1; i <= n; i++) {
			_cleanup_(rh_freep) char *key = rh_fmt("RUNNERHUB_RUNNER_%ld", i);
			const char *root = getenv(key);

			if (!root || (name && !has_name(root, name)))
				continue;
			known = true;
			runner->lock_fd = try_lock(root);
			if (runner->lock_fd >= 0) {
				runner->root = rh_dup(root);
				return 0;
			}
		}
		if (!known)
			return rh_err_set(err, -ENOENT, "no runner %s; give its directory",
				name ? name : "in the environment");
	}
}

static int open_temporary(
	const struct rh_run_options *options, struct rh_run_runner *runner, struct rh_err *err)
{
	const char *base = getenv("TMPDIR");
	_cleanup_(rh_freep) char *root = rh_fmt("%s/runner.XXXXXX", base ? base : "/tmp");

	if (!mkdtemp(root))
		return raise_errno(err, -errno, root);
	(void)chmod(root, 0755);

	const struct rh_run_make make = {.root = root,
		.name = "standin",
		.node = options->node,
		.uid = options->uid,
		.has_uid = options->has_uid};
	int r = rh_runner_make(&make, err);

	runner->temporary = true;
	runner->root = rh_steal(&root);
	return r;
}

static int find(
	const struct rh_run_options *options, struct rh_run_runner *runner, struct rh_err *err)
{
	const char *name = options->runner;

	if (name && (strchr(name, '/') || rh_dir_exists(name))) {
		runner->root = realpath(name, NULL);
		if (!runner->root)
			return raise_errno(err, -errno, name);
		while ((runner->lock_fd = try_lock(runner->root)) < 0)
			(void)usleep(100000);
		return 0;
	}
	if (name || getenv("RUNNERHUB_RUNNERS"))
		return open_named(name, runner, err);
	return open_temporary(options, runner, err);
}

int rh_runner_open(
	const struct rh_run_options *options, struct rh_run_runner *ret_runner, struct rh_err *err)
{
	struct rh_run_runner runner = {.lock_fd = -1};
	struct stat st = {0};
	int r = find(options, &runner, err);

	if (!r && stat(runner.root, &st) < 0)
		r = raise_errno(err, -errno, runner.root);
	if (r) {
		rh_runner_close(&runner);
		return r;
	}
	runner.uid = options->has_uid ? options->uid : st.st_uid;
	runner.change_user = geteuid() == 0 && runner.uid != 0;

	struct passwd *user = getpwuid(runner.uid);

	runner.gid = user ? user->pw_gid : runner.uid == st.st_uid ? st.st_gid : (gid_t)runner.uid;
	if (geteuid() == 0 && runner.uid != st.st_uid)
		r = give_to(runner.root, runner.uid, runner.gid);
	if (r) {
		r = raise_errno(err, r, runner.root);
		rh_runner_close(&runner);
		return r;
	}
	*ret_runner = runner;
	return 0;
}

void rh_runner_close(struct rh_run_runner *runner)
{
	if (runner->temporary && runner->root)
		rh_dir_remove(runner->root);
	rh_close(runner->lock_fd);
	free(runner->root);
	*runner = (struct rh_run_runner){.lock_fd = -1};
}

int rh_runner_become(const struct rh_run_runner *runner)
{
	struct passwd *user = getpwuid(runner->uid);

	if (!runner->change_user)
		return 0;
	if (setgroups(0, NULL) < 0 || setgid(runner->gid) < 0 || setuid(runner->uid) < 0)
		return -errno;
	(void)setenv("HOME", user && rh_dir_exists(user->pw_dir) ? user->pw_dir : runner->root, 1);
	(void)setenv("USER", user ? user->pw_name : "runner", 1);
	(void)setenv("LOGNAME", user ? user->pw_name : "runner", 1);
	return 0;
}

int rh_runner_as_user(const struct rh_run_runner *runner, int (*fn)(void *arg, struct rh_err *err),
	void *arg, struct rh_err *err)
{
	int report[2] = {-1, -1};

	if (!runner->change_user)
		return fn(arg, err);
	if (pipe2(report, O_CLOEXEC) < 0)
		return raise_errno(err, -errno, "pipe");

	pid_t pid = fork();

	if (pid == 0) {
		struct rh_err inner = {0};
		int r = rh_runner_become(runner);

		r = r ? raise_errno(&inner, r, "setuid") : fn(arg, &inner);
		(void)!write(report[1], inner.text, sizeof(inner.text));
		_exit(r ? EXIT_FAILURE : EXIT_SUCCESS);
	}

	int status = 0;

	rh_close(report[1]);
	(void)!read(report[0], err->text, sizeof(err->text));
	rh_close(report[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return raise_errno(err, -errno, "fork");
	return status ? -EIO : 0;
}
