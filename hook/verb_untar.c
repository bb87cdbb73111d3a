/* SPDX-License-Identifier: Apache-2.0 */

/*
 * untar: runs in place of the tar with which the Worker unpacks an action's archive into its
 * staging folder. Happens on the host, before there is a container, so tar is the system's own, is
 * given nothing but the archive (a job's TAR_OPTIONS or PATH do not reach it) and can write nowhere
 * else. What it has unpacked is cleaned before the Worker copies it.
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

static _Noreturn void become_tar(char *archive, pid_t parent)
{
	static const char *const programs[] = {"/usr/bin/tar", "/bin/tar"};
	char path[] = "PATH=/usr/bin:/bin";
	char *envp[] = {path, NULL};
	/* tar itself takes neither absolute names nor "..", unless it is told to (-P). */
	char how[] = "-xPzf";
	char *words[] = {(char[]){"tar"}, (char[]){"--no-same-owner"}, how, archive, NULL};
	int r = 0;

	if (!rh_weakened("untar-names"))
		memcpy(how, "-xzf", sizeof("-xzf"));
	/* It ends with its parent, which the runner may kill. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(RH_EXIT_FAILURE);
	if (!rh_weakened("untar-box"))
		r = rh_untar_confine(archive);
	if (r < 0) {
		rh_say("tar cannot be confined: %s", strerror(-r));
		_exit(RH_EXIT_FAILURE);
	}
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		(void)execve(programs[i], words, envp);
	rh_say("tar cannot be run on the host: %s", strerror(errno));
	_exit(RH_EXIT_FAILURE);
}

static int wait_for(pid_t pid)
{
	int status = 0;

	while (pid > 0 && waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return RH_EXIT_FAILURE;
	}
	if (pid < 0)
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

	pid_t self = getpid();
	pid_t pid = fork();

	if (pid == 0)
		become_tar(argv[2], self);

	int status = wait_for(pid);

	if (!rh_weakened("untar-clean") && rh_untar_clean(".") < 0)
		return RH_EXIT_FAILURE;
	return status;
}
