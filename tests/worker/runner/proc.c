/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process from start to end.
 *
 *   RUNNING -- cancel --> INT -- 7.5 s --> TERM -- 2.5 s --> KILLED
 *      any of them -- exit --> DRAIN (until both streams ended, at most 5 s)
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/lines.h"
#include "runner/proc.h"
#include "runnerhub/clock.h"
#include "runnerhub/fd.h"

/* ProcessInvoker of actions/runner: delays of a cancel, and for the streams after the exit. */
#define SIGINT_MS  7500
#define SIGTERM_MS 2500
#define DRAIN_MS   5000

enum phase {
	PHASE_RUNNING,
	PHASE_INT, /* ends after SIGINT_MS */
	PHASE_TERM, /* ends after SIGTERM_MS */
	PHASE_KILLED, /* ends with the exit */
	PHASE_DRAIN, /* ends with the streams or after DRAIN_MS */
};

struct proc {
	const struct rh_proc_spec *spec;
	pid_t pid;
	int pid_fd;
	int fds[2]; /* stdout and stderr, -1 after their end */
	struct rh_lines lines[2];
	enum phase phase;
	int64_t phase_end_ms; /* 0: no time-out */
	struct rh_proc_end end;
};

void rh_cancel_init(struct rh_cancel *cancel)
{
	cancel->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	atomic_init(&cancel->reason, RH_CANCEL_NONE);
}

void rh_cancel_deinit(struct rh_cancel *cancel)
{
	rh_close(cancel->fd);
	cancel->fd = -1;
}

void rh_cancel_ask(struct rh_cancel *cancel, enum rh_cancel_reason reason)
{
	int none = RH_CANCEL_NONE;
	uint64_t one = 1;

	if (atomic_compare_exchange_strong(&cancel->reason, &none, (int)reason))
		(void)!write(cancel->fd, &one, sizeof(one));
}

/* As the runner does after the start: whoever may not raise it again is killed first. */
static void write_oom_score(pid_t pid)
{
	const char *score = getenv("PIPELINE_JOB_OOMSCOREADJ");
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);

	_cleanup_(rh_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		score = score && *score ? score : "500";
		(void)rh_write_all(fd, score, strlen(score));
	}
}

/* Makes three pipes, starts the process on them and closes its stdin. */
static int start(struct proc *p)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
	int r = 0;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		r = -errno;
	if (!r) {
		const int stdio[3] = {in[0], out[1], err[1]};

		p->pid = rh_proc_start(p->spec, stdio);
		r = p->pid < 0 ? p->pid : 0;
	}
	rh_close(in[0]);
	rh_close(in[1]);
	rh_close(out[1]);
	rh_close(err[1]);
	p->fds[0] = out[0];
	p->fds[1] = err[0];
	if (r)
		return r;
	write_oom_score(p->pid);
	p->pid_fd = pidfd_open(p->pid, 0);
	return p->pid_fd < 0 ? -errno : 0;
}

static void enter(struct proc *p, enum phase phase, int duration_ms)
{
	p->phase = phase;
	p->phase_end_ms = duration_ms ? rh_now_ms() + duration_ms : 0;
}

static void on_cancel(struct proc *p)
{
	if (p->spec->kill_at_once) {
		(void)kill(p->pid, SIGKILL);
		enter(p, PHASE_KILLED, 0);
		return;
	}
	(void)kill(p->pid, SIGINT);
	enter(p, PHASE_INT, SIGINT_MS);
}

static void on_phase_end(struct proc *p)
{
	switch (p->phase) {
	case PHASE_INT:
		(void)kill(p->pid, SIGTERM);
		enter(p, PHASE_TERM, SIGTERM_MS);
		break;
	case PHASE_TERM:
		(void)kill(p->pid, SIGKILL);
		enter(p, PHASE_KILLED, 0);
		break;
	case PHASE_DRAIN:
		for (int i = 0; i < 2; i++) {
			rh_close(p->fds[i]);
			p->fds[i] = -1;
		}
		break;
	case PHASE_RUNNING:
		rh_cancel_ask(p->spec->cancel, RH_CANCEL_TIMEOUT);
		p->phase_end_ms = 0; /* the event ends this phase */
		break;
	case PHASE_KILLED:
		break;
	}
}

static void on_exit_of(struct proc *p)
{
	int status = 0;

	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	p->end.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	rh_close(rh_steal_fd(&p->pid_fd));
	enter(p, PHASE_DRAIN, DRAIN_MS);
}

static void on_readable(struct proc *p, int i)
{
	char buf[65536];
	ssize_t n = read(p->fds[i], buf, sizeof(buf));

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		rh_close(rh_steal_fd(&p->fds[i]));
		return;
	}
	p->end.n_bytes[i] += (uint64_t)n;
	rh_lines_feed(&p->lines[i], buf, (size_t)n);
}

static int poll_timeout(const struct proc *p)
{
	if (!p->phase_end_ms)
		return -1;

	int64_t left = p->phase_end_ms - rh_now_ms();

	return left <= 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

static void loop(struct proc *p)
{
	while (p->pid_fd >= 0 || p->fds[0] >= 0 || p->fds[1] >= 0) {
		bool may_cancel = p->spec->cancel && p->phase == PHASE_RUNNING;
		struct pollfd polled[] = {
			{.fd = p->fds[0], .events = POLLIN},
			{.fd = p->fds[1], .events = POLLIN},
			{.fd = p->pid_fd, .events = POLLIN},
			{.fd = may_cancel ? p->spec->cancel->fd : -1, .events = POLLIN},
		};

		if (poll(polled, 4, poll_timeout(p)) < 0 && errno != EINTR)
			break;
		for (int i = 0; i < 2; i++)
			if (polled[i].revents)
				on_readable(p, i);
		if (polled[2].revents)
			on_exit_of(p);
		else if (polled[3].revents)
			on_cancel(p);
		else if (p->phase_end_ms && rh_now_ms() >= p->phase_end_ms)
			on_phase_end(p);
	}
}

int rh_proc_run(const struct rh_proc_spec *spec, struct rh_proc_end *ret_end, struct rh_err *err)
{
	struct proc p = {.spec = spec, .pid_fd = -1, .fds = {-1, -1}};

	for (int i = 0; i < 2; i++)
		p.lines[i] = (struct rh_lines){
			.stream = i + 1, .on_line = spec->on_line, .arg = spec->arg};

	int r = start(&p);

	if (r) {
		rh_close(p.fds[0]);
		rh_close(p.fds[1]);
		return rh_err_set(err, r,
			"An error occurred trying to start process '%s' with working directory "
			"'%s'. %s",
			spec->path, spec->cwd, strerror(-r));
	}
	p.phase_end_ms = spec->cancel ? spec->deadline_ms : 0;
	loop(&p);
	for (int i = 0; i < 2; i++)
		rh_lines_end(&p.lines[i]);
	*ret_end = p.end;
	return 0;
}
