/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Signals of the agent itself. As PID 1 it is everybody's last parent: it reaps whatever ends.
 * SIGTERM is heard from the host alone; a job may send it as often as it likes. A flood of orphans
 * is reaped in portions, between which everybody else has a turn.
 */

#include "broker/agent/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"
#include "runnerhub/weaken.h"

/* Whatever dies faster than it is reaped must not keep the agent from its other work. */
#define REAP_AT_ONCE 64

static void reap(struct rh_steps *steps)
{
	for (int i = 0; i < REAP_AT_ONCE; i++) {
		siginfo_t info = {0};
		struct rusage usage = {0};
		int status = 0;

		/* A look first: a step has things to do while its pid is still its own. */
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
			return;

		struct rh_step *step = rh_steps_find(steps, info.si_pid);

		if (!step && rh_weakened("reap"))
			return;
		if (step)
			rh_step_leave(step);
		if (wait4(info.si_pid, &status, WNOHANG, &usage) == info.si_pid && step)
			rh_step_ended(step, status, &usage);
	}
	/* Perhaps there are more: back here after whatever else is ready. */
	(void)kill(getpid(), SIGCHLD);
}

static void on_signal(void *arg, uint32_t events)
{
	struct rh_signals *signals = arg;
	struct signalfd_siginfo info;

	if (read(signals->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		reap(signals->steps);
	/* Who sends by rt_sigqueueinfo(2) fills in himself who he is. */
	else if (info.ssi_code == SI_USER && signals->from_host(info.ssi_uid, (pid_t)info.ssi_pid))
		rh_loop_stop(signals->loop);
}

int rh_signals_start(struct rh_signals *signals)
{
	sigset_t all, heard;

	for (int number = 1; number < 32; number++)
		(void)signal(number, SIG_DFL); /* SIGKILL, SIGSTOP: refused */
	(void)sigfillset(&all);
	(void)sigemptyset(&heard);
	(void)sigaddset(&heard, SIGCHLD);
	(void)sigaddset(&heard, SIGTERM);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return rh_origin(-errno);

	signals->fd = signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals->fd < 0)
		return rh_origin(-errno);
	signals->source = (struct rh_source){.on_event = on_signal, .arg = signals};
	return rh_trace(rh_loop_add(signals->loop, signals->fd, EPOLLIN, &signals->source));
}

void rh_signals_close(struct rh_signals *signals)
{
	rh_close(rh_steal_fd(&signals->fd));
}
