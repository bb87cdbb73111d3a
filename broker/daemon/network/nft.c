/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The program nft(8): a child with the script as its standard input.
 */

#include "broker/daemon/network/nft.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WITHIN_SECONDS 10

static const char *const places[] = {
	"/usr/sbin/nft", "/usr/local/sbin/nft", "/sbin/nft", "/usr/bin/nft"};

static const char *find_program(void)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (access(places[i], X_OK) == 0)
			return places[i];
	}
	return NULL;
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0)
			return rh_origin(-errno);
		data += n;
		size -= (size_t)n;
	}
	return lseek(fd, 0, SEEK_SET) < 0 ? rh_origin(-errno) : 0;
}

static void be_nft(const char *program, int script_fd, int said_fd)
{
	char *const argv[] = {(char[]){"nft"}, (char[]){"-f"}, (char[]){"-"}, NULL};
	char *const envp[] = {
		(char[]){"LC_ALL=C"}, (char[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, NULL};

	/* An alarm outlives execve(2). */
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm(WITHIN_SECONDS);
	if (dup2(script_fd, STDIN_FILENO) >= 0 && dup2(said_fd, STDOUT_FILENO) >= 0 &&
		dup2(said_fd, STDERR_FILENO) >= 0)
		(void)execve(program, argv, envp);
	_exit(127);
}

/* Its first line, without what it calls its input. */
static int refused(int said_fd, struct rh_err *err)
{
	char text[300] = "";
	ssize_t n = pread(said_fd, text, sizeof(text) - 1, 0);
	const char *at = text;

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	}
	if (strstr(text, "Error: "))
		at = strstr(text, "Error: ") + strlen("Error: ");
	return rh_err_set(
		err, -EINVAL, "nft refuses the rules: %s", at[0] ? at : "it does not say why");
}

int rh_nft_run(const char *script, size_t size, pid_t *ret_pid, struct rh_err *err)
{
	const char *program = find_program();
	_cleanup_(rh_closep) int script_fd = -1;
	_cleanup_(rh_closep) int said_fd = -1;
	int status = 0;
	pid_t pid = -1;

	if (!program)
		return rh_err_set(err, -ENOENT,
			"the program nft is not installed (Debian's package: nftables)");
	script_fd = memfd_create("rules", MFD_CLOEXEC);
	said_fd = memfd_create("said", MFD_CLOEXEC);
	if (script_fd < 0 || said_fd < 0)
		return rh_err_set(err, -errno, "nft: %s", strerror(errno));

	int r = write_all(script_fd, script, size);

	if (r < 0)
		return rh_err_set(err, r, "nft: %s", strerror(-r));
	pid = fork();
	if (pid < 0)
		return rh_err_set(err, -errno, "nft: %s", strerror(errno));
	if (pid == 0)
		be_nft(program, script_fd, said_fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ret_pid)
		*ret_pid = pid;
	if (WIFSIGNALED(status))
		return rh_err_set(err, -ETIMEDOUT, "nft was ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status) == 0 ? 0 : refused(said_fd, err);
}
