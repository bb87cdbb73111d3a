/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a function prints, and a stand-in for the broker.
 */

#include "capture.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "rh-test.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/fd.h"

static struct {
	int saved, memory;
	char text[65536];
} streams[2];

static void begin(int i)
{
	int fd = i == 0 ? STDOUT_FILENO : STDERR_FILENO;

	streams[i].saved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	streams[i].memory = memfd_create("capture", MFD_CLOEXEC);
	ck_assert_int_ge(streams[i].memory, 0);
	ck_assert_int_eq(dup2(streams[i].memory, fd), fd);
}

void capture_begin(void)
{
	(void)fflush(NULL);
	begin(0);
	begin(1);
}

static const char *end(int i)
{
	int fd = i == 0 ? STDOUT_FILENO : STDERR_FILENO;
	ssize_t n = pread(streams[i].memory, streams[i].text, sizeof(streams[i].text) - 1, 0);

	ck_assert_int_eq(dup2(streams[i].saved, fd), fd);
	(void)close(streams[i].saved);
	(void)close(streams[i].memory);
	ck_assert_int_ge(n, 0);
	streams[i].text[n] = '\0';
	return streams[i].text;
}

const char *capture_end(const char **ret_err)
{
	(void)fflush(NULL);

	const char *out = end(0);
	const char *err = end(1);

	if (ret_err)
		*ret_err = err;
	return out;
}

static void serve(int listen_fd, const struct fake_answer *script, enum fake_end how)
{
	int fd = accept(listen_fd, NULL, NULL);
	char c = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(fd, &c, 1) == 1 && c != '\n')
		continue;
	for (; script->bytes; script++) {
		if (!*script->bytes)
			(void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
		for (size_t i = 0; i < (script->times ? script->times : 1); i++) {
			if (send(fd, script->bytes, strlen(script->bytes), MSG_NOSIGNAL) < 0)
				_exit(0);
		}
	}
	/* Closing with something unread would reset the connection. */
	if (how == FAKE_CLOSES)
		(void)shutdown(fd, SHUT_WR);
	while (read(fd, &c, 1) == 1)
		continue;
	_exit(0);
}

void fake_broker(const char *path, const struct fake_answer *script, enum fake_end how)
{
	int fd = rh_unix_listen(path, SOCK_STREAM, 0600, 4);

	ck_assert_int_ge(fd, 0);

	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		serve(fd, script, how);
	(void)close(fd);
}

static char dir[64];

static int on_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void remove_dir(void)
{
	(void)nftw(dir, on_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Each test is a process of its own, so its end is the test's. */
const char *test_dir(void)
{
	if (!dir[0]) {
		(void)snprintf(dir, sizeof(dir), "/tmp/rh-cli-XXXXXX");
		ck_assert_ptr_nonnull(mkdtemp(dir));
		ck_assert_int_eq(atexit(remove_dir), 0);
	}
	return dir;
}

const char *test_path(const char *name)
{
	static char paths[8][PATH_MAX];
	static size_t at;
	char *path = paths[at++ % 8];

	(void)snprintf(path, PATH_MAX, "%s/%s", test_dir(), name);
	return path;
}

void test_file(const char *name, const char *text)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", test_dir(), name);
	for (char *p = path + strlen(test_dir()) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(path, 0755);
		*p = '/';
	}
	_cleanup_(rh_closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_msg(fd >= 0, "%s", path);
	ck_assert_int_eq(rh_write_all(fd, text, strlen(text)), 0);
}
