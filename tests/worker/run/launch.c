/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One Listener and what it is told. SIGINT, SIGTERM or SIGHUP cancel the job; a second one ends the
 * Listener's service.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/text.h"
#include "run/run.h"
#include "runnerhub/clock.h"

static int signal_fd = -1;

struct rh_launch {
	pid_t pid;
	int to_fd, from_fd;
	int n_signals;
};

static void on_signal(int sig)
{
	int kept = errno;
	uint64_t one = 1;

	(void)sig;
	(void)!write(signal_fd, &one, sizeof(one));
	errno = kept;
}

static void catch_signals(void)
{
	const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	const int caught[] = {SIGINT, SIGTERM, SIGHUP};

	signal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		(void)sigaction(caught[i], &action, NULL);
}

static _Noreturn void exec_listener(const struct rh_run_runner *runner, int in, int out)
{
	_cleanup_(rh_freep) char *path = rh_fmt("%s/bin/Runner.Listener", runner->root);
	_cleanup_(rh_freep) char *in_text = rh_fmt("%d", in);
	_cleanup_(rh_freep) char *out_text = rh_fmt("%d", out);
	const struct sigaction standard = {.sa_handler = SIG_DFL};

	(void)sigaction(SIGINT, &standard, NULL);
	if (rh_runner_become(runner) == 0 && chdir(runner->root) == 0)
		(void)execl(path, path, "run", in_text, out_text, NULL);
	_exit(127);
}

int rh_launch_start(
	const struct rh_run_runner *runner, struct rh_launch **ret_launch, struct rh_err *err)
{
	int to[2] = {-1, -1}, from[2] = {-1, -1};
	struct rh_launch *launch = rh_must(calloc(1, sizeof(*launch)));

	catch_signals();
	if (pipe(to) < 0 || pipe(from) < 0) {
		free(launch);
		return rh_err_set(err, -errno, "pipe: %s", strerror(errno));
	}
	(void)fcntl(to[1], F_SETFD, FD_CLOEXEC);
	(void)fcntl(from[0], F_SETFD, FD_CLOEXEC);
	launch->pid = fork();
	if (launch->pid == 0)
		exec_listener(runner, to[0], from[1]);
	rh_close(to[0]);
	rh_close(from[1]);
	launch->to_fd = to[1];
	launch->from_fd = from[0];
	*ret_launch = launch;
	return 0;
}

static void take_signal(struct rh_launch *launch)
{
	uint64_t n = 0;

	if (read(signal_fd, &n, sizeof(n)) != (ssize_t)sizeof(n))
		return;
	launch->n_signals++;
	if (launch->n_signals == 1)
		(void)rh_frame_write(launch->to_fd, RH_FRAME_CANCEL, "", 0);
	else
		(void)kill(launch->pid, SIGINT);
}

/* One frame of the Listener. Return: whether the job goes on. */
static bool take_frame(struct rh_launch *launch, struct rh_report *report, int *ret_status)
{
	_cleanup_(rh_text_deinit) struct rh_text body = {0};
	int type = rh_frame_read(launch->from_fd, &body);

	if (type <= 0)
		return false;

	_cleanup_(rh_json_putp) struct json_object *value = rh_json_parse(body.data);

	if (type == RH_FRAME_EVENT)
		rh_report_event(report, value);
	if (type != RH_FRAME_EXIT)
		return true;
	*ret_status = json_object_get_int(rh_json_get(value, "status"));
	return false;
}

static int time_left(int64_t a, int64_t b)
{
	int64_t next = a && (!b || a < b) ? a : b;

	if (!next)
		return -1;

	int64_t left = next - rh_now_ms();

	return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

int rh_launch_job(struct rh_launch *launch, struct json_object *message, struct rh_report *report,
	int64_t cancel_ms, int64_t stop_ms)
{
	const char *text = json_object_to_json_string_ext(message, JSON_C_TO_STRING_PLAIN);
	int status = -1;

	if (rh_frame_write(launch->to_fd, RH_FRAME_JOB, text, strlen(text)) < 0)
		return -1;
	for (;;) {
		struct pollfd polled[] = {
			{.fd = launch->from_fd, .events = POLLIN},
			{.fd = signal_fd, .events = POLLIN},
		};
		int n = poll(polled, 2, time_left(cancel_ms, stop_ms));

		if (cancel_ms && rh_now_ms() >= cancel_ms) {
			(void)rh_frame_write(launch->to_fd, RH_FRAME_CANCEL, "", 0);
			cancel_ms = 0;
		}
		if (stop_ms && rh_now_ms() >= stop_ms) {
			(void)kill(launch->pid, SIGINT);
			stop_ms = 0;
		}
		if (n > 0 && polled[1].revents)
			take_signal(launch);
		if (n > 0 && polled[0].revents && !take_frame(launch, report, &status))
			return status;
	}
}

bool rh_launch_interrupted(const struct rh_launch *launch)
{
	return launch->n_signals > 0;
}

void rh_launch_stop(struct rh_launch *launch)
{
	rh_close(launch->to_fd);
	rh_close(launch->from_fd);
	while (waitpid(launch->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(launch);
}
