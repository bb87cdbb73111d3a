/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reaching the broker.
 */

#include "broker.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runnerhub/clock.h"
#include "runnerhub/err.h"
#include "runnerhub/fd.h"
#include "runnerhub/limits.h"

/* Short at first, since a listener whose backlog is full frees up in microseconds. */
#define DELAY_FIRST_MS 2
#define DELAY_MAX_MS   250

int rh_signals_open(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGQUIT);
	(void)sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return rh_origin(-errno);

	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

	return fd < 0 ? rh_origin(-errno) : fd;
}

int rh_signals_take(int signal_fd)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

int rh_left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - rh_now_ms();

	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

int rh_backoff_wait(struct rh_backoff *backoff, int signal_fd)
{
	struct pollfd fds = {.fd = signal_fd, .events = POLLIN};
	int left = rh_left_ms(backoff->deadline_ms);

	if (left == 0)
		return RH_BACKOFF_E_DEADLINE;
	backoff->delay_ms = backoff->delay_ms == 0 ? DELAY_FIRST_MS : backoff->delay_ms * 2;
	if (backoff->delay_ms > DELAY_MAX_MS)
		backoff->delay_ms = DELAY_MAX_MS;

	int delay = backoff->delay_ms < left ? (int)backoff->delay_ms : left;

	return poll(&fds, 1, delay) > 0 ? RH_BACKOFF_E_SIGNAL : 0;
}

int rh_broker_connect(const char *libexec)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/" RH_LIBEXEC_RUN "/" RH_BROKER_SOCKET, libexec);

	if (n < 0 || (size_t)n >= sizeof(path))
		return rh_origin(-ENAMETOOLONG);
	/* Not to wait for a place in a full backlog: a broker that hangs must not hang us. */
	return rh_trace(rh_unix_connect(path, SOCK_SEQPACKET | SOCK_NONBLOCK));
}
