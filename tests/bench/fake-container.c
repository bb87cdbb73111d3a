/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The least that an agent needs for a container: namespaces, an own root, its two bind mounts.
 *
 *   fake-container AGENT SOCKET_DIR
 *
 * Prints the agent's pid and stays its parent until it ends. A stand-in engine starts hundreds of
 * these in seconds, where a real engine takes minutes: for measuring how the broker itself scales.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runnerhub/limits.h"

static void die(const char *what)
{
	(void)fprintf(stderr, "fake-container: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void bind_at(const char *source, const char *target)
{
	if (mount(source, target, NULL, MS_BIND, NULL) < 0)
		die(target);
}

static void make_root(const char *agent, const char *socket_dir)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("private mounts");
	if (mount("tmpfs", "/mnt", "tmpfs", 0, "size=1m") < 0 || chdir("/mnt") < 0)
		die("tmpfs");
	if (mkdir("." RH_AGENT_DIR, 0755) < 0 || mkdir("." RH_AGENT_SOCKET_DIR, 0755) < 0 ||
		mkdir("proc", 0755) < 0)
		die("mkdir");

	int fd = open("." RH_AGENT_PATH, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

	if (fd < 0)
		die("agent");
	(void)close(fd);
	bind_at(agent, "." RH_AGENT_PATH);
	bind_at(socket_dir, "." RH_AGENT_SOCKET_DIR);
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		die("pivot_root");
}

int main(int argc, char **argv)
{
	int status = 0;

	if (argc != 3)
		return 2;
	if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC) < 0)
		die("unshare");
	make_root(argv[1], argv[2]);

	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)mount("proc", "/proc", "proc", 0, NULL);
		(void)execl(RH_AGENT_PATH, RH_AGENT_PATH, (char *)NULL);
		_exit(127);
	}
	if (pid < 0)
		die("fork");
	(void)printf("%d\n", (int)pid);
	(void)fflush(stdout);
	if (waitpid(pid, &status, 0) != pid)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
