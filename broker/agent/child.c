/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From the agent's fork to the step's program. The order matters: the OOM score, foreign pipes and
 * ids need root; directory and program are looked at as the step's user; pending signals are taken
 * last, when their dispositions are right.
 */

#include "broker/agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/agent/env.h"
#include "broker/agent/lookup.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/fd.h"
#include "runnerhub/weaken.h"

#define STATUS_FAILED         1
#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND      127

#define OOM_SCORE_MAX 1000

/* Descriptors that 256 steps need, with some to spare. */
#define NOFILE_WANTED 4096

static const char oom_score_file[] = "/proc/self/oom_score_adj";

void rh_image_init(struct rh_image *image, char *const *envp)
{
	char text[32];
	ssize_t n = rh_read_file_at(AT_FDCWD, oom_score_file, text, sizeof(text));
	long own = n > 0 ? strtol(text, NULL, 10) : 0;

	*image = (struct rh_image){.environ = envp};
	image->oom_score_min = own < 0 ? 1 : (int)(own < OOM_SCORE_MAX ? own + 1 : OOM_SCORE_MAX);

	if (getrlimit(RLIMIT_NOFILE, &image->nofile) < 0)
		return;

	struct rlimit raised = image->nofile;

	if (raised.rlim_cur < NOFILE_WANTED) {
		raised.rlim_cur = raised.rlim_max < NOFILE_WANTED ? raised.rlim_max : NOFILE_WANTED;
		(void)setrlimit(RLIMIT_NOFILE, &raised); /* fewer steps at once then */
	}
}

_printf_(3, 4) static _Noreturn void fail(
	const struct rh_child *child, int status, const char *fmt, ...)
{
	struct rh_failure *failure = child->failure;
	va_list ap;

	va_start(ap, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the line above, lost over files */
	(void)vsnprintf(failure->text, sizeof(failure->text), fmt, ap); /* may be cut */
	va_end(ap);
	failure->status = status;
	_exit(status);
}

static void take_stdio(const struct rh_child *child)
{
	for (int i = 0; i < 3; i++) {
		if (dup2(child->stdio[i], i) < 0)
			fail(child, STATUS_FAILED, "runnerhub: cannot set up descriptor %d: %s", i,
				strerror(errno));
	}
}

/*
 * The runner's pipes belong to the runner's uid, so that a step of another uid could not open
 * /dev/stdout. Only FIFOs: a regular file is somebody's.
 */
static void own_pipes(const struct rh_user *user)
{
	for (int i = 0; i < 3; i++) {
		struct stat st;

		/* Without the capability the step still has its streams: it cannot reopen them. */
		if (fstat(i, &st) == 0 && S_ISFIFO(st.st_mode) && st.st_uid != user->uid &&
			fchown(i, user->uid, (gid_t)-1) < 0)
			return;
	}
}

static void set_oom_score(const struct rh_child *child)
{
	int score = child->block->header->oom_score_adj;
	char text[16];

	if (score < child->image->oom_score_min)
		score = child->image->oom_score_min;
	if (score > OOM_SCORE_MAX)
		score = OOM_SCORE_MAX;

	int n = snprintf(text, sizeof(text), "%d", score);
	_cleanup_(rh_closep) int fd = open(oom_score_file, O_WRONLY | O_CLOEXEC);

	/* Otherwise the kernel might choose the agent, and with it the whole job. */
	if (fd < 0 || rh_write_all(fd, text, (size_t)n) < 0)
		fail(child, STATUS_FAILED, "runnerhub: cannot set the step's OOM score: %s",
			strerror(errno));
}

static void set_limits(const struct rh_child *child)
{
	const struct rh_block_header *header = child->block->header;
	struct rlimit limit;

	/* The room for arguments is a part of it (execve(2)), so it is as on the runner. */
	if (getrlimit(RLIMIT_STACK, &limit) == 0) {
		rlim_t wanted = (rlim_t)header->stack_soft;

		limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
		(void)setrlimit(RLIMIT_STACK, &limit);
	}
	(void)setrlimit(RLIMIT_NOFILE, &child->image->nofile);
	(void)umask((mode_t)(header->umask & 0777));
}

static void become_user(const struct rh_child *child)
{
	const struct rh_user *user = child->user;

	if (setgroups(user->n_groups, user->groups) < 0 ||
		setresgid(user->gid, user->gid, user->gid) < 0 ||
		setresuid(user->uid, user->uid, user->uid) < 0)
		fail(child, STATUS_FAILED, "runnerhub: cannot become uid %u, gid %u: %s",
			(unsigned)user->uid, (unsigned)user->gid, strerror(errno));
	/* A change of ids lets the kernel make the memory dumpable again, and it is the agent's. */
	if (!rh_weakened("dumpable"))
		(void)prctl(PR_SET_DUMPABLE, 0);
}

static void enter_directory(const struct rh_child *child)
{
	const char *cwd = child->block->cwd;

	if (chdir(*cwd ? cwd : "/") < 0)
		fail(child, STATUS_FAILED, "cd: %s: %s", cwd, strerror(errno));
}

/* Ignored signals stay ignored, as an exec on the runner would have it; the rest is default. */
static void set_signals(uint64_t ignored)
{
	sigset_t none;

	for (int signal_number = 1; signal_number < 64; signal_number++) {
		if (ignored >> (signal_number - 1) & 1)
			(void)signal(signal_number, SIG_IGN); /* SIGKILL, SIGSTOP: refused */
	}
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void fail_exec(const struct rh_child *child, const char *path)
{
	switch (errno) {
	case ENOENT:
		/* The file is there: what is not is its interpreter or loader. */
		if (access(path, F_OK) == 0)
			fail(child, STATUS_NOT_FOUND, "%s: cannot execute: required file not found",
				path);
		fail(child, STATUS_NOT_FOUND, "%s: No such file or directory", child->block->path);
	case E2BIG:
		fail(child, STATUS_NOT_EXECUTABLE,
			"%s: Argument list too long: arguments and environment are larger than the "
			"kernel allows",
			path);
	case ENOEXEC:
		fail(child, STATUS_NOT_EXECUTABLE, "%s: cannot execute: Exec format error", path);
	default:
		fail(child, STATUS_NOT_EXECUTABLE, "%s: %s", path, strerror(errno));
	}
}

/* Writes what to execute. */
static void find_program(const struct rh_child *child, char ret_path[PATH_MAX])
{
	const char *asked = child->block->path;
	const char *slash = strrchr(asked, '/');
	struct rh_lookup lookup = {
		.path = asked,
		.step_path = rh_env_get(child->env, "PATH"),
		.image_path = rh_env_image_path(child->image->environ),
	};

	switch (rh_lookup_program(&lookup, ret_path)) {
	case 0:
		return;
	case -EACCES:
		fail(child, STATUS_NOT_EXECUTABLE, "%s: Permission denied", ret_path);
	case -ENAMETOOLONG:
		fail(child, STATUS_NOT_EXECUTABLE, "%.64s: File name too long", asked);
	default:
		fail(child, STATUS_NOT_FOUND, "%s: command not found", slash ? slash + 1 : asked);
	}
}

int rh_child_run(void *arg)
{
	const struct rh_child *child = arg;
	const struct rh_block *block = child->block;
	char *path_alone[] = {block->path, NULL};
	char path[PATH_MAX];

	/* Its own group, to be killed as one. Not a session: that costs a scheduling group each. */
	(void)setpgid(0, 0);
	take_stdio(child);
	set_oom_score(child);
	own_pipes(child->user);
	set_limits(child);
	become_user(child);
	enter_directory(child);
	find_program(child, path);
	set_signals(block->header->sig_ignored);
	(void)execve(path, block->argv[0] ? block->argv : path_alone, child->env);
	fail_exec(child, path);
}
