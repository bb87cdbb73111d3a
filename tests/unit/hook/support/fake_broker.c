/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Broker and agent in one.
 */

#include "fake_broker.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runnerhub/block.h"
#include "runnerhub/fd.h"
#include "runnerhub/wire.h"

struct server {
	const struct host *host;
	enum fake_mode mode;
	int n; /* of this connection, from 0 */
	int broker_fd;
};

_printf_(2, 3) static void note(const struct server *server, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);

	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above; it is not seen */
	int n = vsnprintf(line, sizeof(line) - 1, fmt, ap);

	va_end(ap);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n] = '\n';

	int fd = open(server->host->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	(void)rh_write_all(fd, line, (size_t)n + 1);
	(void)close(fd);
}

static void text(int fd, enum rh_wire_type type, const char *line)
{
	(void)rh_wire_send(fd, type, line, strlen(line), NULL, 0);
}

/* What everybody can read of the peer: its name, and how much of its arguments. */
static void note_cmdline(const struct server *server, pid_t pid)
{
	char path[64], text[4096] = "";
	int n_left = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);

	ssize_t n = rh_read_file_at(AT_FDCWD, path, text, sizeof(text));

	for (ssize_t i = (ssize_t)strlen(text); i < n; i++)
		n_left += text[i] != '\0';
	note(server, "peer name=%s args=%d", text, n_left);
}

/* Descriptors of the peer, without the well-known three; and whether the Worker's leak is there. */
static void note_peer(const struct server *server)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	char path[64], target[256];
	int n = 0;
	int leaked = 0;

	(void)getsockopt(server->broker_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)peer.pid);

	DIR *dir = opendir(path);

	for (struct dirent *e; dir && (e = readdir(dir));) {
		ssize_t r = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);

		if (r <= 0)
			continue;
		target[r] = '\0';
		n += strtol(e->d_name, NULL, 10) > 2;
		leaked += strcmp(target, "/dev/zero") == 0;
	}
	if (dir)
		(void)closedir(dir);
	note(server, "peer fds=%d leaked=%d", n, leaked);
	note_cmdline(server, peer.pid);
}

static void note_block(const struct server *server, const struct rh_block *block)
{
	const struct rh_block_header *h = block->header;

	note(server, "block path=%s cwd=%s n_args=%u n_envs=%u flags=%u umask=%o oom=%d sigpipe=%d",
		block->path, block->cwd, h->n_args, h->n_envs, h->flags, h->umask, h->oom_score_adj,
		(int)(h->sig_ignored >> (SIGPIPE - 1) & 1));
	for (char **e = block->envp; *e; e++)
		note(server, "env %.900s", *e);
}

static pid_t execute(const struct rh_block *block, const int fds[3])
{
	/* Check's handler ends its whole group: a child must not have it, not even before its exec.
	 */
	(void)signal(SIGTERM, SIG_DFL);

	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)setpgid(0, 0);
	for (int i = 0; i < 3; i++)
		(void)dup2(fds[i], i);
	(void)syscall(SYS_close_range, 3, ~0U, 0);
	if (chdir(block->cwd) == 0)
		(void)execve(block->path, block->argv, block->envp);
	_exit(errno == ENOENT ? 127 : 126);
}

/* From GO to EXIT, as the agent does it. */
static void serve_running(const struct server *server, int channel, pid_t pid)
{
	int status = 0;
	int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);

	for (;;) {
		struct pollfd fds[] = {
			{.fd = channel, .events = POLLIN}, {.fd = pid_fd, .events = POLLIN}};
		struct rh_wire_msg msg;

		(void)poll(fds, 2, -1);
		if (fds[1].revents)
			break;
		if (rh_wire_recv(channel, &msg) != 0) {
			note(server, "client lost");
			(void)kill(-pid, SIGKILL);
			channel = -1;
			continue;
		}

		const struct rh_wire_signal *body = rh_wire_body(&msg, sizeof(*body));

		if (msg.type == RH_WIRE_SIGNAL && body) {
			note(server, "signal %d", body->signal);
			(void)kill(pid, body->signal);
		}
	}
	(void)waitpid(pid, &status, 0);

	struct rh_wire_exit end = {
		.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
	};

	note(server, "exit %d", end.exit_code);
	(void)rh_wire_send(channel, RH_WIRE_EXIT, &end, sizeof(end), NULL, 0);
}

static void after_go(
	const struct server *server, int channel, const struct rh_block *block, const int fds[3])
{
	struct rh_wire_exit bad = {.exit_code = 300};

	switch (server->mode) {
	case FAKE_LOST:
		(void)close(channel);
		(void)poll(NULL, 0, 100);
		text(server->broker_fd, RH_WIRE_STEP_LOST,
			"the container was killed (out of memory)");
		break;
	case FAKE_GONE:
		break;
	case FAKE_BAD_STATUS:
		(void)rh_wire_send(channel, RH_WIRE_EXIT, &bad, sizeof(bad), NULL, 0);
		break;
	case FAKE_SHORT_EXIT:
		(void)rh_wire_send(channel, RH_WIRE_EXIT, NULL, 0, NULL, 0);
		break;
	case FAKE_GARBAGE:
		(void)send(channel, "garbage", 7, MSG_NOSIGNAL);
		(void)poll(NULL, 0, 100);
		break;
	default:
		serve_running(server, channel, execute(block, fds));
		break;
	}
}

/* What an agent says that cannot take a step. */
static void exit_before_go(int channel, int status)
{
	static const char reason[] = "too many steps at once";
	struct {
		struct rh_wire_exit end;
		char text[sizeof(reason)];
	} body = {.end = {.exit_code = status}};

	memcpy(body.text, reason, sizeof(reason));
	(void)rh_wire_send(
		channel, RH_WIRE_EXIT, &body, sizeof(body.end) + strlen(reason), NULL, 0);
}

static void ready_and_signal(const struct server *server, int channel)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);

	(void)getsockopt(server->broker_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	(void)kill(peer.pid, SIGSTOP);
	(void)kill(peer.pid, SIGTERM);
	(void)rh_wire_send(channel, RH_WIRE_READY, NULL, 0, NULL, 0);
	(void)kill(peer.pid, SIGCONT);
}

static void serve_step(const struct server *server, const struct rh_wire_msg *step)
{
	struct rh_block *block = NULL;
	struct rh_wire_msg msg;
	int channel = step->fds[4];
	int fds[3] = {step->fds[1], step->fds[2], step->fds[3]};

	if (step->n_fds != 5 || rh_block_map(step->fds[0], &block) < 0) {
		note(server, "malformed step");
		return;
	}
	note_peer(server);
	note_block(server, block);
	if (server->mode == FAKE_REFUSE_CHANNEL_FIRST) {
		(void)close(channel);
		(void)poll(NULL, 0, 100);
	}
	if (server->mode == FAKE_REFUSE || server->mode == FAKE_REFUSE_CHANNEL_FIRST) {
		text(server->broker_fd, RH_WIRE_REFUSED, "this job has no container; see its log");
		return;
	}
	if (server->mode == FAKE_GARBAGE_BEFORE_GO && server->n == 0) {
		(void)send(server->broker_fd, "garbage", 7, MSG_NOSIGNAL);
		(void)send(channel, "garbage", 7, MSG_NOSIGNAL);
		(void)rh_wire_recv(channel, &msg); /* the client closes */
		return;
	}
	if (server->mode == FAKE_NO_ROOM || server->mode == FAKE_NO_ROOM_SUCCESS) {
		exit_before_go(channel, server->mode == FAKE_NO_ROOM);
		return;
	}
	if (server->mode == FAKE_LEAVE)
		(void)close(server->broker_fd);
	if (rh_wire_recv(channel, &msg) != 0 || msg.type != RH_WIRE_GO) {
		note(server, "no go");
		return;
	}
	if (server->mode == FAKE_SILENT) {
		int r = rh_wire_recv(channel, &msg);

		note(server, "silent until %s", r == RH_WIRE_E_EOF ? "the end" : "more");
		r = rh_wire_send(channel, RH_WIRE_READY, NULL, 0, NULL, 0);
		note(server, "ready then: %s", r == -EPIPE ? "impossible" : "taken");
		return;
	}
	if (server->mode == FAKE_READY_AND_SIGNAL)
		ready_and_signal(server, channel);
	else
		(void)rh_wire_send(channel, RH_WIRE_READY, NULL, 0, NULL, 0);
	note(server, "go");
	after_go(server, channel, block, fds);
}

static void send_host_hook(const struct server *server)
{
	char script[] = "echo host hook runs as $0; trap 'exit 7' INT; "
			"[ -z \"$SLOW\" ] || { echo ready; sleep 3 & wait; }; exit 5";
	char *argv[] = {"/bin/sh", "-c", script, "itself", NULL};
	char *envp[] = {"PATH=/usr/bin:/bin", NULL, NULL};
	struct rh_block_spec spec = {
		.path = "/bin/sh", .cwd = server->host->dir, .argv = argv, .envp = envp};

	if (access(server->host->log, F_OK) == 0 && host_log_count(server->host, "env SLOW=1") > 0)
		envp[1] = "SLOW=1";

	int fd = rh_block_seal(&spec);

	(void)rh_wire_send(server->broker_fd, RH_WIRE_HOST_HOOK, NULL, 0, &fd, 1);
	(void)close(fd);
}

static void serve_job(const struct server *server, const struct rh_wire_msg *hook)
{
	struct rh_block *block = NULL;
	struct rh_wire_done done = {.exit_code = 0};
	struct rh_wire_msg msg;

	if (hook->n_fds != 1 || rh_block_map(hook->fds[0], &block) < 0) {
		note(server, "malformed hook");
		return;
	}
	note_peer(server);
	note_block(server, block);
	if (server->mode == FAKE_REFUSE) {
		text(server->broker_fd, RH_WIRE_REFUSED, "another Worker of this runner has a job");
		return;
	}
	if (server->mode == FAKE_SILENT) {
		(void)rh_wire_recv(server->broker_fd, &msg);
		return;
	}
	if (server->mode == FAKE_HOST_HOOK || server->mode == FAKE_HOST_HOOK_TWICE) {
		send_host_hook(server);
		if (rh_wire_recv(server->broker_fd, &msg) != 0 ||
			msg.type != RH_WIRE_HOST_HOOK_DONE)
			return;

		const struct rh_wire_done *body = rh_wire_body(&msg, sizeof(*body));

		note(server, "host hook %d", body ? body->exit_code : -1);
		if (server->mode == FAKE_HOST_HOOK_TWICE && server->n == 0)
			return;
		done.exit_code = body ? body->exit_code : -1;
	}
	text(server->broker_fd, RH_WIRE_TEXT, "::group::RunnerHub: container ready in 3 ms\n");
	text(server->broker_fd, RH_WIRE_TEXT, "::endgroup::\n");
	(void)rh_wire_send(server->broker_fd, RH_WIRE_DONE, &done, sizeof(done), NULL, 0);
}

static void serve(const struct server *server)
{
	static const char *const names[] = {[RH_WIRE_ANNOUNCE] = "announce",
		[RH_WIRE_JOB_STARTED] = "job-started",
		[RH_WIRE_JOB_COMPLETED] = "job-completed",
		[RH_WIRE_STEP] = "step"};
	struct rh_wire_msg msg;

	if (rh_wire_recv(server->broker_fd, &msg) != 0 || msg.type > RH_WIRE_STEP)
		return;
	note(server, "type %s", names[msg.type]);
	/* An announcement is served at the same time, so its notes say nothing of the order. */
	if (server->mode == FAKE_DROP_FIRST && msg.type != RH_WIRE_ANNOUNCE &&
		host_log_count(server->host, "type job-") +
				host_log_count(server->host, "type step") ==
			1)
		return;
	if (msg.type == RH_WIRE_STEP)
		serve_step(server, &msg);
	else if (msg.type != RH_WIRE_ANNOUNCE)
		serve_job(server, &msg);
}

void fake_broker_start(struct fake_broker *broker, const struct host *host, enum fake_mode mode)
{
	int listener = rh_unix_listen(host->socket, SOCK_SEQPACKET, 0666, 256);

	ck_assert_int_ge(listener, 0);
	broker->pid = fork();
	ck_assert_int_ge(broker->pid, 0);
	if (broker->pid > 0) {
		(void)close(listener);
		return;
	}
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGCHLD, SIG_IGN);
	for (;;) {
		struct server server = {.host = host, .mode = mode};

		server.broker_fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (server.broker_fd < 0)
			continue;

		pid_t pid = fork();

		if (pid == 0) {
			(void)close(listener);
			(void)signal(SIGCHLD, SIG_DFL);
			/* Steps and hooks before this one; announcements do not count. */
			server.n = host_log_count(host, "block ");
			serve(&server);
			_exit(0);
		}
		(void)close(server.broker_fd);
	}
}

void fake_broker_stop(struct fake_broker *broker)
{
	int status = 0;

	/* With the processes of its connections, which would write on to the log. */
	if (kill(-broker->pid, SIGKILL) < 0)
		(void)kill(broker->pid, SIGKILL);
	(void)waitpid(broker->pid, &status, 0);
	broker->pid = 0;
}
