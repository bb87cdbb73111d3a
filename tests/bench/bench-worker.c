/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A Runner.Worker that measures: what a step, a hook and a stream cost through RunnerHub, beside
 * the same on the host, in one process and one run.
 *
 * It is copied to <root>/bin/Runner.Worker of a registered runner and started with the library
 * loaded. execve() is then the library's; the same call past it, by syscall(2), is the plain case.
 *
 *   Runner.Worker hook   DELAY_MS       one job: started hook after a delay, completed hook
 *   Runner.Worker steps  ROUNDS SCRIPT  one job: steps, four kinds in turn
 *   Runner.Worker exec   ROUNDS SCRIPT  one job: relayed steps and `docker exec` in turn
 *   Runner.Worker stream ROUNDS BYTES   one job: bytes through a step's stdout
 *   Runner.Worker rate   ROUNDS SCRIPT  one job: steps when told so by lines on stdin
 *
 * Prints one JSON object of microseconds. Exit status: 0; 1 if anything went wrong.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runnerhub/clock.h"

#define ROUNDS_MAX 20000
#define ENVS_MAX   256

extern char **environ;

enum how { PLAIN, RELAY };

struct samples {
	int64_t us[ROUNDS_MAX];
	int n;
};

struct result {
	int status; /* as waitpid(2) */
	int64_t us;
	uint64_t n_bytes;
	char head[8192]; /* the first bytes of its output, NUL-terminated */
};

static char *step_env[ENVS_MAX];

static void die(const char *what)
{
	(void)fprintf(stderr, "bench-worker: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The environment that the runner gives to steps: its own and the context, the marker among it. */
static void make_env(void)
{
	static char values[8][4200];
	const char *work = getenv("BENCH_WORK");
	int n = 0;

	if (!work) {
		errno = EINVAL;
		die("BENCH_WORK is not set");
	}
	for (; environ[n] && n < ENVS_MAX - 16; n++)
		step_env[n] = environ[n];
	(void)snprintf(values[0], sizeof(values[0]), "GITHUB_WORKSPACE=%s/bench/bench", work);
	(void)snprintf(values[1], sizeof(values[1]), "RUNNER_TEMP=%s/_temp", work);
	(void)snprintf(values[2], sizeof(values[2]), "RUNNER_TOOL_CACHE=%s/_tool", work);
	step_env[n++] = values[0];
	step_env[n++] = values[1];
	step_env[n++] = values[2];
	step_env[n++] = "RUNNER_OS=Linux";
	step_env[n++] = "GITHUB_ACTIONS=true";
	step_env[n++] = "GITHUB_RUN_ID=1";
	step_env[n++] = "GITHUB_JOB=bench";
	step_env[n++] = "GITHUB_REPOSITORY=octo/bench";
	step_env[n] = NULL;
	if (chdir(values[0] + strlen("GITHUB_WORKSPACE=")) < 0)
		die("workspace");
}

/* Starts a program as .NET does and reads its output to the end; stderr is left as it is. */
static void run(enum how how, char *const *argv, struct result *ret_result)
{
	static char buf[1 << 20];
	struct result *result = ret_result;
	int out[2], in[2];
	int64_t start = rh_now_us();

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(in, O_CLOEXEC) < 0)
		die("pipe");

	pid_t pid = vfork();

	if (pid == 0) {
		(void)dup2(in[0], 0);
		(void)dup2(out[1], 1);
		if (how == RELAY)
			(void)execve(argv[0], argv, step_env);
		else
			(void)syscall(SYS_execve, argv[0], argv, step_env);
		_exit(127);
	}
	if (pid < 0)
		die("vfork");
	(void)close(in[0]);
	(void)close(in[1]);
	(void)close(out[1]);
	result->n_bytes = 0;
	for (;;) {
		ssize_t n = read(out[0], buf, sizeof(buf));

		if (n <= 0)
			break;
		if (result->n_bytes == 0) {
			size_t head = (size_t)n < sizeof(result->head) - 1
				? (size_t)n
				: sizeof(result->head) - 1;

			memcpy(result->head, buf, head);
			result->head[head] = '\0';
		}
		result->n_bytes += (uint64_t)n;
	}
	(void)close(out[0]);
	if (waitpid(pid, &result->status, 0) != pid)
		die("waitpid");
	result->us = rh_now_us() - start;
}

static void expect_success(const struct result *result, const char *what)
{
	if (result->status != 0) {
		(void)fprintf(stderr, "bench-worker: %s ended with status %#x: %s\n", what,
			(unsigned)result->status, result->head);
		exit(1);
	}
}

static int64_t hook(const char *variable, struct result *result)
{
	char *path = getenv(variable);
	char *argv[] = {"/usr/bin/bash", "-e", path, NULL};

	if (!path) {
		errno = EINVAL;
		die(variable);
	}
	run(RELAY, argv, result);
	expect_success(result, variable);
	return result->us;
}

static void start_job(struct result *result)
{
	(void)hook("ACTIONS_RUNNER_HOOK_JOB_STARTED", result);
}

/* Once the job has started, as the Worker does: _temp is made fresh between jobs. */
static void write_script(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file || fputs(":\n", file) < 0 || fclose(file) != 0)
		die(path);
}

static void end_job(void)
{
	static struct result result;

	(void)hook("ACTIONS_RUNNER_HOOK_JOB_COMPLETED", &result);
}

static void sample(struct samples *samples, enum how how, char *const *argv)
{
	static struct result result;

	run(how, argv, &result);
	expect_success(&result, argv[0]);
	if (samples->n < ROUNDS_MAX)
		samples->us[samples->n++] = result.us;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static int64_t median(struct samples *samples)
{
	qsort(samples->us, (size_t)samples->n, sizeof(samples->us[0]), compare);
	return samples->n > 0 ? samples->us[samples->n / 2] : 0;
}

static void bench_hook(int64_t started_us, int delay_ms)
{
	static struct result result;

	(void)usleep((useconds_t)delay_ms * 1000);
	start_job(&result);

	int64_t us = result.us, since_start = rh_now_us() - started_us;

	end_job();
	(void)printf("{\"hook\":%" PRId64 ",\"sinceStart\":%" PRId64 "}\n", us, since_start);
}

static void bench_steps(int rounds, char *script)
{
	static struct samples bash[2], true_[2];
	static struct result result;
	char *bash_argv[] = {"/usr/bin/bash", "-e", script, NULL};
	char *true_argv[] = {"/usr/bin/true", NULL};

	start_job(&result);
	write_script(script);
	for (int i = 0; i < rounds; i++) {
		for (int how = PLAIN; how <= RELAY; how++) {
			sample(&bash[how], how, bash_argv);
			sample(&true_[how], how, true_argv);
		}
	}
	end_job();
	(void)printf("{\"plain\":%" PRId64 ",\"relay\":%" PRId64 ",\"truePlain\":%" PRId64
		     ",\"trueRelay\":%" PRId64 "}\n",
		median(&bash[PLAIN]), median(&bash[RELAY]), median(&true_[PLAIN]),
		median(&true_[RELAY]));
}

/* Takes the container's name out of what the started hook said. */
static void container_name(const struct result *result, char *buf, size_t size)
{
	const char *at = strstr(result->head, "container: ");

	if (!at || snprintf(buf, size, "%.*s", (int)strcspn(at + 11, " \n"), at + 11) <= 0) {
		errno = EPROTO;
		die("the started hook names no container");
	}
}

static void bench_exec(int rounds, char *script)
{
	static struct samples relay, docker;
	static struct result result;
	char name[256];
	char *bash_argv[] = {"/usr/bin/bash", "-e", script, NULL};
	char *docker_argv[] = {
		getenv("BENCH_DOCKER"), "exec", name, "/usr/bin/bash", "-e", script, NULL};

	start_job(&result);
	write_script(script);
	container_name(&result, name, sizeof(name));
	for (int i = 0; i < rounds; i++) {
		sample(&docker, PLAIN, docker_argv);
		for (int k = 0; k < 10; k++)
			sample(&relay, RELAY, bash_argv);
	}
	end_job();
	(void)printf("{\"relay\":%" PRId64 ",\"dockerExec\":%" PRId64 "}\n", median(&relay),
		median(&docker));
}

static void bench_stream(int rounds, char *bytes)
{
	static struct samples stream[2];
	static struct result result;
	char *argv[] = {"/usr/bin/head", "-c", bytes, "/dev/zero", NULL};

	start_job(&result);
	for (int i = 0; i < rounds; i++) {
		for (int how = PLAIN; how <= RELAY; how++) {
			run(how, argv, &result);
			expect_success(&result, "head");
			if (result.n_bytes != strtoull(bytes, NULL, 10)) {
				errno = EIO;
				die("bytes were lost");
			}
			stream[how].us[stream[how].n++] = result.us;
		}
	}
	end_job();
	(void)printf("{\"plain\":%" PRId64 ",\"relay\":%" PRId64 "}\n", median(&stream[PLAIN]),
		median(&stream[RELAY]));
}

/* One job; steps of either kind as often as a line on stdin names it, until one says "end". */
static void bench_rate(int rounds, char *script)
{
	static struct samples samples;
	static struct result result;
	char *argv[] = {"/usr/bin/bash", "-e", script, NULL};
	char line[16];

	start_job(&result);
	write_script(script);
	(void)puts("ready");
	(void)fflush(stdout);
	for (;;) {
		if (!fgets(line, sizeof(line), stdin))
			exit(1);
		if (strcmp(line, "end\n") == 0)
			break;

		enum how how = strcmp(line, "plain\n") == 0 ? PLAIN : RELAY;
		int64_t start = rh_now_us();

		samples.n = 0;
		for (int i = 0; i < rounds; i++)
			sample(&samples, how, argv);

		int64_t us = rh_now_us() - start;

		(void)printf("{\"us\":%" PRId64 ",\"median\":%" PRId64 "}\n", us, median(&samples));
		(void)fflush(stdout);
	}
	/* The end of one job must not disturb the others' figures: it waits for the line. */
	end_job();
}

int main(int argc, char **argv)
{
	int64_t started_us = rh_now_us();
	int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;

	(void)signal(SIGPIPE, SIG_IGN);
	if (argc < 3 || rounds < 0 || rounds > ROUNDS_MAX) {
		(void)fprintf(stderr, "usage: see the source's first comment\n");
		return 2;
	}
	make_env();
	if (strcmp(argv[1], "hook") == 0)
		bench_hook(started_us, rounds);
	else if (strcmp(argv[1], "steps") == 0 && argc == 4)
		bench_steps(rounds, argv[3]);
	else if (strcmp(argv[1], "exec") == 0 && argc == 4)
		bench_exec(rounds, argv[3]);
	else if (strcmp(argv[1], "stream") == 0 && argc == 4)
		bench_stream(rounds, argv[3]);
	else if (strcmp(argv[1], "rate") == 0 && argc == 4)
		bench_rate(rounds, argv[3]);
	else
		return 2;
	return 0;
}
