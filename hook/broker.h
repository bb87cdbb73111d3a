/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reaching a broker that may be starting, restarting or absent, and hearing signals meanwhile.
 */

#include <stdint.h>

/**
 * rh_signals_open() - block SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGCHLD, read them from a
 * descriptor
 *
 * Return: a non-blocking signalfd(2); negative errno.
 */
int rh_signals_open(void);

/* The next signal, or 0 if there is none. */
int rh_signals_take(int signal_fd);

/* A wait between two attempts that grows. */
struct rh_backoff {
	int64_t delay_ms; /* of the next wait; 0 at first */
	int64_t deadline_ms; /* on the monotonic clock: no attempt after it */
};

#define RH_BACKOFF_E_DEADLINE 1
#define RH_BACKOFF_E_SIGNAL   2

/**
 * rh_backoff_wait() - sleep before the next attempt
 * @signal_fd: a signal ends the wait
 *
 * Return: 0; RH_BACKOFF_E_DEADLINE; RH_BACKOFF_E_SIGNAL, and the signal is still to be taken.
 */
int rh_backoff_wait(struct rh_backoff *backoff, int signal_fd);

/* Milliseconds from now to @deadline_ms for poll(2), at least 0. */
int rh_left_ms(int64_t deadline_ms);

/* One attempt to connect to <libexec>/run/broker.sock. Return: the descriptor; negative errno. */
int rh_broker_connect(const char *libexec);
