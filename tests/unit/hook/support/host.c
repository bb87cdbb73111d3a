/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A host for tests. The build says where the programs are: RH_TEST_HOOK, RH_TEST_PRELOAD,
 * RH_TEST_WORKER.
 */

#include "host.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runnerhub/clock.h"
#include "runnerhub/fd.h"

#define RUN_MS_MAX 60000

static void join(char *to, size_t size, const char *dir, const char *name)
{
	ck_assert_int_lt(snprintf(to, size, "%s/%s", dir, name), (int)size);
}

static void link_in(const char *dir, const char *name, const char *target)
{
	char path[512];

	join(path, sizeof(path), dir, name);
	ck_assert_int_eq(symlink(target, path), 0);
}

static void copy_program(const char *from, const char *dir, const char *name)
{
	static char buffer[1 << 16];
	char to[512];
	int in = open(from, O_RDONLY | O_CLOEXEC);

	join(to, sizeof(to), dir, name);

	int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

	ck_assert_int_ge(in, 0);
	ck_assert_int_ge(out, 0);
	for (ssize_t n = 0; (n = read(in, buffer, sizeof(buffer))) > 0;)
		ck_assert_int_eq(rh_write_all(out, buffer, (size_t)n), 0);
	(void)close(in);
	(void)close(out);
}

void host_write(const struct host *host, const char *name, const char *text, mode_t mode)
{
	char path[512];

	join(path, sizeof(path), host->dir, name);
	(void)unlink(path);

	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(rh_write_all(fd, text, strlen(text)), 0);
	(void)close(fd);
}

void host_set_waits(const struct host *host, int broker_wait_ms, int job_start_wait_ms)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "broker_wait_ms=%d\njob_start_wait_ms=%d\n",
		broker_wait_ms, job_start_wait_ms);
	host_write(host, "run/client.conf", text, 0644);
}

void host_make(struct host *host)
{
	static const char *const dirs[] = {"run", "libexec", "libexec/stubs", "runner",
		"runner/bin.2.336.0", "runner/_work", "runner/_work/demo", "runner/_work/demo/demo",
		"runner/_work/_actions"};
	static const char *const verbs[] = {
		"exec", "job-started", "job-completed", "untar", "refuse", "runnerhub-hook"};
	char path[512];

	(void)snprintf(host->dir, sizeof(host->dir), "/tmp/rh hook \xc3\xa4.XXXXXX");
	/* LD_PRELOAD knows no blanks, so the libexec directory has a path without any. */
	(void)snprintf(host->libexec, sizeof(host->libexec), "/tmp/rh-libexec.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(host->dir));
	ck_assert_int_eq(chmod(host->dir, 0755), 0);
	ck_assert_ptr_nonnull(mkdtemp(host->libexec));
	ck_assert_int_eq(rmdir(host->libexec), 0);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		join(path, sizeof(path), host->dir, dirs[i]);
		ck_assert_int_eq(mkdir(path, 0755), 0);
	}
	join(path, sizeof(path), host->dir, "libexec");
	ck_assert_int_eq(symlink(path, host->libexec), 0);
	join(host->root, sizeof(host->root), host->dir, "runner");
	join(host->work, sizeof(host->work), host->root, "_work/demo/demo");
	join(host->socket, sizeof(host->socket), host->dir, "run/broker.sock");
	join(host->log, sizeof(host->log), host->dir, "log");

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		link_in(host->libexec, verbs[i], RH_TEST_HOOK);
	link_in(host->libexec, "stubs/pwsh", RH_TEST_HOOK);
	link_in(host->libexec, "librunnerhub-preload.so", RH_TEST_PRELOAD);
	link_in(host->libexec, "run", "../run");
	host_write(host, "libexec/job-started.sh", "exit 99\n", 0444);
	host_write(host, "libexec/job-completed.sh", "exit 99\n", 0444);
	link_in(host->root, "bin", "bin.2.336.0");
	copy_program(RH_TEST_WORKER, host->root, "bin/Runner.Worker");
	copy_program(RH_TEST_WORKER, host->root, "bin/Runner.Other");
}

static int on_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

void host_remove(struct host *host)
{
	/* Killed processes may still be about to write something. */
	for (int i = 0; i < 100 && access(host->dir, F_OK) == 0; i++) {
		if (nftw(host->dir, on_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
			(void)poll(NULL, 0, 10);
	}
	(void)unlink(host->libexec);
}

int host_log_count(const struct host *host, const char *text)
{
	static char log[1 << 20];
	int n = 0;

	if (rh_read_file_at(AT_FDCWD, host->log, log, sizeof(log)) < 0)
		return 0;
	for (char *line = log, *end = NULL; *line; line = end + 1) {
		end = strchr(line, '\n');
		ck_assert_ptr_nonnull(end);
		*end = '\0';
		n += strstr(line, text) != NULL;
	}
	return n;
}

/* Appends @entry, in the place of one of the same name. */
static void put(char **env, char *entry)
{
	size_t n = strcspn(entry, "=") + 1;

	while (*env && strncmp(*env, entry, n) != 0)
		env++;
	*env = entry;
}

/* The Worker's own environment, and the test's over it. */
static char **worker_env(const struct host *host, const char *const *more)
{
	static char preload[512], started[512], completed[512];
	static char *env[64];

	(void)snprintf(
		preload, sizeof(preload), "LD_PRELOAD=%s/librunnerhub-preload.so", host->libexec);
	(void)snprintf(started, sizeof(started),
		"ACTIONS_RUNNER_HOOK_JOB_STARTED=%s/job-started.sh", host->libexec);
	(void)snprintf(completed, sizeof(completed),
		"ACTIONS_RUNNER_HOOK_JOB_COMPLETED=%s/job-completed.sh", host->libexec);
	put(env, preload);
	put(env, started);
	put(env, completed);
	put(env, "PATH=/usr/local/bin:/usr/bin:/bin");
	put(env, "HOME=/home/runner");
	put(env, "HOST_SECRET=of the host");
	put(env, "LANG=C.UTF-8");
	put(env, "RUNNER_TEMP=/set/by/the/host");
	for (; more && *more; more++)
		put(env, (char *)(uintptr_t)*more);
	return env;
}

static _Noreturn void start_worker(
	const struct host *host, const struct run_spec *spec, const int fds[3])
{
	char path[512];
	char *argv[64] = {"Runner.Worker"};
	size_t n = 1;

	for (int i = 0; i < 3; i++)
		(void)dup2(fds[i], i);
	join(path, sizeof(path), host->root, "bin/Runner.Worker");
	for (const char *const *o = spec->options; o && *o; o++) {
		/* The only option for the launcher itself: another name, so that nothing is armed.
		 */
		if (strcmp(*o, "inert") == 0)
			join(path, sizeof(path), host->root, "bin/Runner.Other");
		else
			argv[n++] = (char *)(uintptr_t)*o;
	}
	argv[n++] = "--";
	for (const char *const *a = spec->argv; *a; a++)
		argv[n++] = (char *)(uintptr_t)*a;

	char **env = worker_env(host, spec->env);

	/* Last: a sanitizer needs more. */
	if (chdir(host->work) == 0 &&
		(spec->data_limit == 0 ||
			setrlimit(RLIMIT_DATA, &(struct rlimit){spec->data_limit, RLIM_INFINITY}) ==
				0))
		(void)execve(path, argv, env);
	_exit(125);
}

/* The direct child of @pid, the only one. */
static pid_t child_of(pid_t pid)
{
	char path[64], text[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	if (rh_read_file_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -1;
	return (pid_t)strtol(text, NULL, 10);
}

static void take(int *fd, char *buffer, size_t size, uint64_t *total)
{
	static char bytes[1 << 16];
	ssize_t n = read(*fd, bytes, sizeof(bytes));

	if (n <= 0) {
		(void)close(*fd);
		*fd = -1;
		return;
	}
	if (*total < size - 1) {
		size_t room = size - 1 - (size_t)*total;
		size_t kept = (size_t)n < room ? (size_t)n : room;

		memcpy(buffer + *total, bytes, kept);
		buffer[*total + kept] = '\0';
	}
	*total += (uint64_t)n;
}

/* Return: whether the test's signals are sent now. */
static bool signal_when_ready(const struct run_spec *spec, pid_t worker, const struct run *run)
{
	if (spec->signal == 0 || !strstr(run->out, "ready"))
		return false;

	pid_t target = spec->kill_worker ? worker : child_of(worker);

	ck_assert_int_gt(target, 0);
	ck_assert_int_eq(kill(target, spec->signal), 0);
	if (spec->second_signal) {
		(void)poll(NULL, 0, 200);
		ck_assert_int_eq(kill(target, spec->second_signal), 0);
	}
	return true;
}

void host_run(const struct host *host, const struct run_spec *spec, struct run *ret_run)
{
	int in[2], out[2], err[2];
	int64_t begin_ms = rh_now_ms();
	uint64_t err_size = 0;
	bool signalled = false;
	int status = 0;

	*ret_run = (struct run){0};
	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(err, O_CLOEXEC), 0);

	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		start_worker(host, spec, (const int[]){in[0], out[1], err[1]});
	(void)close(in[0]);
	(void)close(out[1]);
	(void)close(err[1]);
	if (spec->input)
		ck_assert_int_eq(rh_write_all(in[1], spec->input, strlen(spec->input)), 0);
	(void)close(in[1]);
	while (out[0] >= 0 || err[0] >= 0) {
		struct pollfd fds[] = {
			{.fd = out[0], .events = POLLIN}, {.fd = err[0], .events = POLLIN}};

		ck_assert_int_gt(poll(fds, 2, RUN_MS_MAX), 0);
		if (fds[0].revents)
			take(&out[0], ret_run->out, sizeof(ret_run->out), &ret_run->out_size);
		if (fds[1].revents)
			take(&err[0], ret_run->err, sizeof(ret_run->err), &err_size);
		signalled = signalled || signal_when_ready(spec, pid, ret_run);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ret_run->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	ret_run->ms = rh_now_ms() - begin_ms;
}
