/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runner directories in use: found by name, locked, used as their user.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
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

static int raise_errno(struct rh_err *err, int r, const char *what)
{
	return rh_err_set(err, r, "%s: %s", what, strerror(-r));
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

	if (!r && (!runner.root || stat(runner.root, &st) < 0))
		r = rh_err_set(err, -ENOENT, "the runner directory cannot be read");
	if (r) {
		rh_runner_close(&runner);
		return r;
	}
	runner.uid = options->has_uid ? options->uid : st.st_uid;
	runner.change_user = geteuid() == 0 && runner.uid != 0;

	struct passwd *user = getpwuid(runner.uid);

	runner.gid = user ? user->pw_gid : runner.uid == st.st_uid ? st.st_gid : (gid_t)runner.uid;
	if (geteuid() == 0 && runner.uid != st.st_uid)
		r = rh_runner_give(runner.root, runner.uid, runner.gid);
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
