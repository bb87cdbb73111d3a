/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runner.Worker, the stand-in: "spawnclient IN OUT", one job, then the end.
 *
 * The main thread reads the Listener's pipe and the signals; the job runs on a thread of its own,
 * so that every process is started by a thread that is not the only one, as in .NET.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/channel.h"
#include "runner/job.h"
#include "runnerhub/clock.h"

#define EXIT_BASE 100
#define TICK_MS   200

static int signal_fd = -1;

static void on_sigterm(int sig)
{
	int kept = errno;
	uint64_t one = 1;

	(void)sig;
	(void)!write(signal_fd, &one, sizeof(one));
	errno = kept;
}

/* As .NET's for SIGINT: there is a handler, and it does nothing. */
static void on_ignored(int sig)
{
	(void)sig;
}

static void set_signals(void)
{
	const struct sigaction term = {.sa_handler = on_sigterm, .sa_flags = SA_RESTART};
	const struct sigaction none = {.sa_handler = on_ignored, .sa_flags = SA_RESTART};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	(void)sigaction(SIGTERM, &term, NULL);
	(void)sigaction(SIGINT, &none, NULL);
	(void)sigaction(SIGCHLD, &none, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
}

struct run {
	struct rh_job *job;
	int done_fd;
	enum rh_result result;
};

static void *job_main(void *arg)
{
	struct run *run = arg;
	uint64_t one = 1;

	run->result = rh_job_run(run->job);
	(void)!write(run->done_fd, &one, sizeof(one));
	return NULL;
}

/* One message of the Listener. Return: whether more may come. */
static bool on_message(struct rh_job *job, int fd)
{
	struct rh_text body = {0};
	int type = rh_frame_read(fd, &body);

	rh_text_deinit(&body);
	if (type == RH_FRAME_CANCEL)
		rh_job_cancel(job);
	else if (type == RH_FRAME_SHUTDOWN || type == RH_FRAME_OS_SHUTDOWN)
		rh_job_shut_down(job);
	return type > 0;
}

/* Until the job is done. A Listener that is gone changes nothing. */
static void serve(struct run *run, int in_fd)
{
	struct pollfd polled[] = {
		{.fd = run->done_fd, .events = POLLIN},
		{.fd = in_fd, .events = POLLIN},
		{.fd = signal_fd, .events = POLLIN},
	};

	while (!(polled[0].revents & POLLIN)) {
		int n = poll(polled, 3, TICK_MS);

		if (n < 0)
			continue;
		if (n == 0) {
			(void)pthread_mutex_lock(&run->job->lock);
			rh_log_tick(&run->job->log);
			(void)pthread_mutex_unlock(&run->job->lock);
		}
		if (polled[1].revents && !on_message(run->job, in_fd))
			polled[1].fd = -1;
		if (polled[2].revents) {
			polled[2].fd = -1;
			rh_job_shut_down(run->job);
		}
	}
}

static int run_job(struct json_object *message, int in_fd, int out_fd, int64_t started_ms)
{
	struct run run = {
		.job = rh_job_new(message, out_fd, started_ms), .done_fd = eventfd(0, EFD_CLOEXEC)};
	pthread_t thread;

	if (pthread_create(&thread, NULL, job_main, &run) != 0)
		return EXIT_FAILURE;
	serve(&run, in_fd);
	(void)pthread_join(thread, NULL);
	rh_job_free(run.job);
	(void)close(run.done_fd);
	return EXIT_BASE + (int)run.result;
}

int main(int argc, char **argv)
{
	int64_t started_ms = rh_now_ms();

	if (argc != 4 || strcmp(argv[1], "spawnclient") != 0) {
		(void)fprintf(stderr, "Runner.Worker: started by Runner.Listener only\n");
		return EXIT_FAILURE;
	}

	int in_fd = (int)strtol(argv[2], NULL, 10);
	int out_fd = (int)strtol(argv[3], NULL, 10);

	/* Not close-on-exec, nor ever made so: every process of the job inherits them. */
	(void)fcntl(in_fd, F_SETFD, 0);
	(void)fcntl(out_fd, F_SETFD, 0);
	signal_fd = eventfd(0, EFD_CLOEXEC);
	set_signals();

	struct rh_text body = {0};
	int type = rh_frame_read(in_fd, &body);
	struct json_object *message = type == RH_FRAME_JOB ? rh_json_parse(body.data) : NULL;

	rh_text_deinit(&body);
	if (!message) {
		(void)fprintf(stderr, "Runner.Worker: no job message came\n");
		return EXIT_FAILURE;
	}

	int status = run_job(message, in_fd, out_fd, started_ms);

	(void)json_object_put(message);
	(void)close(signal_fd);
	return status;
}
