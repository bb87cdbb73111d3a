/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Programs that configure the firewall: a child, with files in memory as its streams.
 */

#include "broker/daemon/network/program.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WITHIN_SECONDS 10

struct streams {
	int input, output, errors;
};

static const char *const places[] = {"/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin"};

int rh_program_find(const char *name, char buf[RH_PROGRAM_PATH_MAX])
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int n = snprintf(buf, RH_PROGRAM_PATH_MAX, "%s/%s", places[i], name);

		if (n > 0 && n < RH_PROGRAM_PATH_MAX && access(buf, X_OK) == 0)
			return 0;
	}
	return rh_origin(-ENOENT);
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

static void be_program(const char *path, const char *const *argv, const struct streams *streams)
{
	char *const envp[] = {
		(char[]){"LC_ALL=C"}, (char[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, NULL};

	/* An alarm outlives execve(2). */
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm(WITHIN_SECONDS);
	if (dup2(streams->input, STDIN_FILENO) >= 0 && dup2(streams->output, STDOUT_FILENO) >= 0 &&
		dup2(streams->errors, STDERR_FILENO) >= 0)
		(void)execve(path, (char *const *)(const void *)argv, envp);
	_exit(127);
}

static int read_back(int fd, struct rh_program_result *result)
{
	off_t end = lseek(fd, 0, SEEK_END);
	size_t size = end < 0 ? 0 : (size_t)end;

	if (size > RH_PROGRAM_OUTPUT_MAX)
		size = RH_PROGRAM_OUTPUT_MAX;
	result->output = malloc(size + 1);
	if (!result->output)
		return rh_origin(-ENOMEM);
	while (result->size < size) {
		ssize_t n = pread(fd, result->output + result->size, size - result->size,
			(off_t)result->size);

		if (n <= 0)
			break;
		result->size += (size_t)n;
	}
	result->output[result->size] = '\0';
	return 0;
}

static int run(const char *path, const char *const *argv, const struct streams *streams,
	struct rh_program_result *result)
{
	int status = 0;

	result->pid = fork();
	if (result->pid < 0)
		return rh_origin(-errno);
	if (result->pid == 0)
		be_program(path, argv, streams);
	while (waitpid(result->pid, &status, 0) < 0) {
		if (errno != EINTR)
			return rh_origin(-errno);
	}
	result->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return rh_trace(read_back(result->status == 0 ? streams->output : streams->errors, result));
}

int rh_program_run(const char *const *argv, const char *input, size_t size,
	struct rh_program_result *ret_result, struct rh_err *err)
{
	struct rh_program_result result = {.pid = -1};
	char path[RH_PROGRAM_PATH_MAX];
	_cleanup_(rh_closep) int input_fd = memfd_create("input", MFD_CLOEXEC);
	_cleanup_(rh_closep) int output_fd = memfd_create("output", MFD_CLOEXEC);
	_cleanup_(rh_closep) int errors_fd = memfd_create("errors", MFD_CLOEXEC);
	const struct streams streams = {input_fd, output_fd, errors_fd};
	int r = rh_program_find(argv[0], path);

	if (r < 0)
		return rh_err_set(err, r, "the program %s is not installed", argv[0]);
	r = input_fd < 0 || output_fd < 0 || errors_fd < 0 ? -errno
							   : write_all(input_fd, input, size);
	if (r == 0)
		r = run(path, argv, &streams, &result);
	if (r < 0)
		return rh_err_set(err, r, "%s: %s", argv[0], strerror(-r));
	if (result.status == 128 + SIGALRM) {
		free(result.output);
		return rh_err_set(
			err, -ETIMEDOUT, "%s did not end within %d s", argv[0], WITHIN_SECONDS);
	}
	*ret_result = result;
	return 0;
}

void rh_program_first_line(const struct rh_program_result *result, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%.*s", (int)strcspn(result->output, "\n"), result->output);
	for (char *c = buf; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	}
}
