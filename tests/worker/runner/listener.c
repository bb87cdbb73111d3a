/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runner.Listener, the stand-in: "run IN OUT". Jobs come as frames by IN, one at a time; what the
 * Worker tells goes out by OUT. SIGINT, SIGTERM or the end of IN: the graceful stop.
 *
 *   IDLE -- job --> RUNNING -- Worker's exit --> IDLE
 *   RUNNING -- cancel --> the Worker is told; SIGKILL when it has not ended 45 s later
 *   RUNNING -- stop --> the Worker is told, its exit is awaited, the end
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/environ.h"
#include "common/files.h"
#include "common/json.h"
#include "runner/args.h"
#include "runner/proc.h"
#include "runnerhub/clock.h"
#include "runnerhub/fd.h"

/* JobDispatcher of actions/runner: max(60 s, the message's time-out) - 15 s. */
#define CANCEL_KILL_MS 45000

static int signal_fd = -1;

static void on_stop_signal(int sig)
{
	int kept = errno;
	uint64_t one = 1;

	(void)sig;
	(void)!write(signal_fd, &one, sizeof(one));
	errno = kept;
}

struct listener {
	char *bin, *root;
	char **envp; /* of the Worker */
	int in_fd, out_fd; /* to whoever hands out jobs */
	int diag_fd;
	pid_t worker;
	int pid_fd; /* -1: no Worker runs */
	int to_fd, from_fd; /* to and from the Worker */
	int stdio_fds[2];
	struct rh_text held; /* an unfinished frame of the Worker */
	int64_t kill_ms;
	bool stopping;
};

/* .env: KEY=VALUE, no quotes, an empty value removes. */
static void read_env_file(const char *root, struct json_object *env)
{
	_cleanup_(rh_freep) char *path = rh_fmt("%s/.env", root);
	_cleanup_(rh_text_deinit) struct rh_text text = {0};

	if (rh_file_read(path, &text) < 0)
		return;

	char *rest = rh_starts_with(text.data, "\xef\xbb\xbf") ? text.data + 3 : text.data;

	for (char *line = strsep(&rest, "\r\n"); line; line = strsep(&rest, "\r\n")) {
		char *equals = strchr(line, '=');

		if (!equals || equals == line)
			continue;
		*equals = '\0';
		if (equals[1])
			rh_json_set_str(env, line, equals + 1);
		else
			json_object_object_del(env, line);
	}
}

static char **worker_environment(const char *root)
{
	_cleanup_(rh_json_putp) struct json_object *env = rh_environ_load();

	read_env_file(root, env);
	return rh_environ_strings(env);
}

static int start_process(struct listener *l, int in, int out, const int stdio[3])
{
	_cleanup_(rh_freep) char *path = rh_fmt("%s/Runner.Worker", l->bin);
	_cleanup_(rh_freep) char *in_text = rh_fmt("%d", in);
	_cleanup_(rh_freep) char *out_text = rh_fmt("%d", out);
	char *argv[] = {path, rh_dup("spawnclient"), in_text, out_text, NULL};
	const struct rh_proc_spec spec = {
		.path = path, .argv = argv, .envp = l->envp, .cwd = l->bin};

	l->worker = rh_proc_start(&spec, stdio);
	free(argv[1]);
	if (l->worker < 0)
		return l->worker;
	l->pid_fd = pidfd_open(l->worker, 0);
	return l->pid_fd < 0 ? -errno : 0;
}

/* The Worker's ends of its two channel pipes are inherited, everything else is close-on-exec. */
static int start_worker(struct listener *l)
{
	int to[2] = {-1, -1}, from[2] = {-1, -1}, in[2] = {-1, -1}, out[2] = {-1, -1},
	    err[2] = {-1, -1};
	int r = 0;

	if (pipe(to) < 0 || pipe(from) < 0 || pipe2(in, O_CLOEXEC) < 0 ||
		pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		r = -errno;
	if (!r) {
		const int stdio[3] = {in[0], out[1], err[1]};

		(void)fcntl(to[1], F_SETFD, FD_CLOEXEC);
		(void)fcntl(from[0], F_SETFD, FD_CLOEXEC);
		r = start_process(l, to[0], from[1], stdio);
	}
	rh_close(to[0]);
	rh_close(from[1]);
	rh_close(in[0]);
	rh_close(in[1]);
	rh_close(out[1]);
	rh_close(err[1]);
	l->to_fd = to[1];
	l->from_fd = from[0];
	l->stdio_fds[0] = out[0];
	l->stdio_fds[1] = err[0];
	return r;
}

static void tell_exit(struct listener *l, int status)
{
	_cleanup_(rh_freep) char *text = rh_fmt("{\"status\": %d}", status);

	(void)rh_frame_write(l->out_fd, RH_FRAME_EXIT, text, strlen(text));
}

static void on_job(struct listener *l, const struct rh_text *body)
{
	int r = start_worker(l);

	if (!r)
		r = rh_frame_write(l->to_fd, RH_FRAME_JOB, body->data, body->size);
	if (r) {
		(void)dprintf(l->diag_fd, "Worker: %s\n", strerror(-r));
		if (l->pid_fd < 0)
			tell_exit(l, -1);
	}
}

static void begin_stop(struct listener *l)
{
	if (!l->stopping && l->pid_fd >= 0)
		(void)rh_frame_write(l->to_fd, RH_FRAME_SHUTDOWN, "", 0);
	l->stopping = true;
}

static void on_control(struct listener *l)
{
	_cleanup_(rh_text_deinit) struct rh_text body = {0};
	int type = rh_frame_read(l->in_fd, &body);

	if (type <= 0) {
		rh_close(rh_steal_fd(&l->in_fd));
		begin_stop(l);
	} else if (type == RH_FRAME_JOB && l->pid_fd < 0) {
		on_job(l, &body);
	} else if (type == RH_FRAME_CANCEL && l->pid_fd >= 0) {
		(void)rh_frame_write(l->to_fd, RH_FRAME_CANCEL, "", 0);
		l->kill_ms = rh_now_ms() + CANCEL_KILL_MS;
	}
}

/* Passes whole frames on: a Worker may die in the middle of one. */
static void pass_frames(struct listener *l)
{
	size_t done = 0;

	while (l->held.size - done >= 8) {
		uint32_t size = 0;

		memcpy(&size, l->held.data + done + 4, sizeof(size));
		if (l->held.size - done - 8 < size)
			break;
		done += 8 + size;
	}
	if (done && rh_write_all(l->out_fd, l->held.data, done) < 0)
		(void)dprintf(l->diag_fd, "nobody reads what the Worker tells\n");
	memmove(l->held.data, l->held.data + done, l->held.size - done);
	l->held.size -= done;
}

static bool on_worker_data(struct listener *l)
{
	char buf[65536];
	ssize_t n = read(l->from_fd, buf, sizeof(buf));

	if (n > 0) {
		rh_text_add(&l->held, buf, (size_t)n);
		pass_frames(l);
	}
	return n > 0;
}

static void on_worker_output(struct listener *l, int i)
{
	char buf[4096];
	ssize_t n = read(l->stdio_fds[i], buf, sizeof(buf));

	if (n > 0)
		(void)rh_write_all(l->diag_fd, buf, (size_t)n);
	else
		rh_close(rh_steal_fd(&l->stdio_fds[i]));
}

/* The pipes may be held open by what the job left behind: only what is there is read. */
static void on_worker_exit(struct listener *l)
{
	int status = 0, n = 0;

	while (waitpid(l->worker, &status, 0) < 0 && errno == EINTR)
		;
	while (ioctl(l->from_fd, FIONREAD, &n) == 0 && n > 0 && on_worker_data(l))
		;
	l->held.size = 0;
	rh_close(rh_steal_fd(&l->pid_fd));
	rh_close(rh_steal_fd(&l->to_fd));
	rh_close(rh_steal_fd(&l->from_fd));
	rh_close(rh_steal_fd(&l->stdio_fds[0]));
	rh_close(rh_steal_fd(&l->stdio_fds[1]));
	l->kill_ms = 0;
	tell_exit(l, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

static void loop(struct listener *l)
{
	while (!l->stopping || l->pid_fd >= 0) {
		struct pollfd polled[] = {
			{.fd = l->stopping ? -1 : signal_fd, .events = POLLIN},
			{.fd = l->in_fd, .events = POLLIN},
			{.fd = l->from_fd, .events = POLLIN},
			{.fd = l->stdio_fds[0], .events = POLLIN},
			{.fd = l->stdio_fds[1], .events = POLLIN},
			{.fd = l->pid_fd, .events = POLLIN},
		};
		int64_t left = l->kill_ms ? l->kill_ms - rh_now_ms() : -1;

		if (l->kill_ms && left <= 0) {
			(void)kill(l->worker, SIGKILL);
			l->kill_ms = 0;
			left = -1;
		}
		if (poll(polled, 6, (int)left) < 0)
			continue;
		if (polled[0].revents)
			begin_stop(l);
		if (polled[1].revents)
			on_control(l);
		if (polled[2].revents && !on_worker_data(l))
			rh_close(rh_steal_fd(&l->from_fd));
		for (int i = 0; i < 2; i++)
			if (polled[3 + i].revents)
				on_worker_output(l, i);
		if (polled[5].revents)
			on_worker_exit(l);
	}
}

static int open_diag(const char *root)
{
	char time[32] = "";

	rh_timestamp(time);
	time[19] = '\0';

	_cleanup_(rh_freep) char *path = rh_fmt("%s/_diag/Runner_%s-utc.log", root, time);

	return rh_file_open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
}

int main(int argc, char **argv)
{
	const struct sigaction stop = {.sa_handler = on_stop_signal, .sa_flags = SA_RESTART};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct listener l = {.pid_fd = -1, .to_fd = -1, .from_fd = -1, .stdio_fds = {-1, -1}};

	if (argc != 4 || strcmp(argv[1], "run") != 0) {
		(void)fprintf(stderr, "Runner.Listener: started by run-workflow only\n");
		return EXIT_FAILURE;
	}
	l.in_fd = (int)strtol(argv[2], NULL, 10);
	l.out_fd = (int)strtol(argv[3], NULL, 10);
	(void)fcntl(l.in_fd, F_SETFD, FD_CLOEXEC);
	(void)fcntl(l.out_fd, F_SETFD, FD_CLOEXEC);
	signal_fd = eventfd(0, EFD_CLOEXEC);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	(void)sigaction(SIGTERM, &stop, NULL);

	/* Started with "&" from a script it inherits SIGINT ignored, which stays so. */
	struct sigaction before = {0};

	if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		(void)sigaction(SIGINT, &stop, NULL);
	rh_environ_place(&l.bin, &l.root);
	l.diag_fd = open_diag(l.root);
	l.envp = worker_environment(l.root);
	loop(&l);
	rh_args_free(l.envp);
	rh_text_deinit(&l.held);
	rh_close(l.diag_fd);
	free(l.bin);
	free(l.root);
	return EXIT_SUCCESS;
}
