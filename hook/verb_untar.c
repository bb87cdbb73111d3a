/* SPDX-License-Identifier: Apache-2.0 */

/*
 * untar: runs in place of the tar with which the Worker unpacks an action's archive into its
 * staging folder. Happens on the host, before there is a container, so tar is the system's own, is
 * given nothing but the archive (a job's TAR_OPTIONS or PATH do not reach it) and can write nowhere
 * else. What it has unpacked is measured meanwhile, and cleaned before the Worker copies it; where
 * anything goes wrong all of it is deleted.
 */

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hook.h"
#include "runnerhub/weaken.h"
#include "say.h"
#include "untar.h"

#define STAGING "_staging"

/* Whether @archive lies in the folder that holds the working directory, whose name is _staging. */
static bool belongs_here(const char *archive)
{
	char cwd[PATH_MAX];
	char dir[PATH_MAX];
	struct stat dir_st;
	struct stat up_st;
	const char *file = strrchr(archive, '/');

	if (!file || file == archive || (size_t)(file - archive) >= sizeof(dir))
		return false;
	memcpy(dir, archive, (size_t)(file - archive));
	dir[file - archive] = '\0';
	if (!getcwd(cwd, sizeof(cwd)) || stat(dir, &dir_st) < 0 || stat("..", &up_st) < 0)
		return false;

	const char *base = strrchr(cwd, '/');

	return base && strcmp(base + 1, STAGING) == 0 && dir_st.st_dev == up_st.st_dev &&
		dir_st.st_ino == up_st.st_ino;
}

static void block(sigset_t *ret_before)
{
	static const int signals[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)sigaddset(&set, signals[i]);
	(void)signal(SIGCHLD, SIG_DFL); /* one that is ignored would not come */
	(void)signal(SIGPIPE, SIG_IGN); /* nobody may be left to hear what is wrong */
	(void)sigprocmask(SIG_SETMASK, &set, ret_before);
}

/* The signal that came meanwhile and ends this, or 0. */
static int pending(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t set;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (sigpending(&set) == 0 && sigismember(&set, signals[i]) == 1)
			return signals[i];
	}
	return 0;
}

/* What was unpacked is made fit for the Worker's copier. Return: what to exit with. */
static int clean(void)
{
	int r = rh_weakened("untar-clean") ? 0 : rh_untar_clean(".");

	if (r < 0)
		return RH_EXIT_FAILURE; /* it has been said */
	r = rh_weakened("untar-bounds") ? 0 : rh_untar_measure(".", true);
	if (r == 0)
		return 0;
	rh_untar_say_bound(r);
	return RH_EXIT_FAILURE;
}

/*
 * All of the work, in a process of its own: the Worker kills its child at the end of a cancellation
 * and would be left with names that it cannot delete. This one is told by a signal, and deletes.
 */
static _Noreturn void work(char *archive, pid_t parent, const sigset_t *before)
{
	int status = RH_EXIT_FAILURE;

	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(RH_EXIT_FAILURE);
	status = rh_untar_tar(archive, before);
	if (status == 0)
		status = clean();
	if (status == 0 && pending())
		status = 128 + pending();
	if (status != 0 && !rh_weakened("untar-empty")) {
		int r = rh_untar_empty(".");

		if (r < 0)
			rh_say("what was unpacked cannot be deleted: %s", strerror(-r));
	}
	_exit(status);
}

/* Waits for the child and hands signals on to it. Return: what to exit with. */
static int wait_for(pid_t pid)
{
	sigset_t set;
	int status = 0;
	pid_t ended = 0;

	(void)sigprocmask(SIG_SETMASK, NULL, &set);
	while ((ended = waitpid(pid, &status, WNOHANG)) == 0) {
		int n = sigwaitinfo(&set, NULL);

		if (n > 0 && n != SIGCHLD)
			(void)kill(pid, n);
	}
	if (ended < 0)
		return RH_EXIT_FAILURE;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int rh_verb_untar(const struct rh_hook *hook)
{
	char *const *argv = hook->argv;

	if (!argv[0] || !argv[1] || !argv[2] || argv[3] || strcmp(argv[1], "-xzf") != 0 ||
		!belongs_here(argv[2])) {
		rh_say("only an action's archive beside its own _staging folder is unpacked here");
		return RH_EXIT_FAILURE;
	}

	sigset_t before;

	block(&before);

	pid_t self = getpid();
	pid_t pid = fork();

	if (pid == 0)
		work(argv[2], self, &before);
	if (pid < 0) {
		rh_say("tar cannot be started: %s", strerror(errno));
		return RH_EXIT_FAILURE;
	}
	return wait_for(pid);
}
