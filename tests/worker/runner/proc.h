/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Processes as .NET and the runner's ProcessInvoker start, read, cancel and await them.
 *
 * Three pipes, stdin closed at once; vfork and execve; access(X_OK) before; oom_score_adj after;
 * SIGINT, 7.5 s, SIGTERM, 2.5 s, SIGKILL to the direct child alone; 5 s for the end of the streams
 * after its exit.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runnerhub/err.h"

enum rh_cancel_reason {
	RH_CANCEL_NONE,
	RH_CANCEL_ASKED,
	RH_CANCEL_TIMEOUT,
};

/* Asks a running process to end, from any thread. */
struct rh_cancel {
	int fd; /* eventfd, readable once asked */
	atomic_int reason;
};

void rh_cancel_init(struct rh_cancel *cancel);
void rh_cancel_deinit(struct rh_cancel *cancel);
/* The first reason stays. */
void rh_cancel_ask(struct rh_cancel *cancel, enum rh_cancel_reason reason);

struct rh_proc_spec {
	const char *path;
	char *const *argv;
	char *const *envp;
	const char *cwd;
	struct rh_cancel *cancel; /* NULL: cannot be cancelled */
	int64_t deadline_ms; /* monotonic, 0: none; passing it asks @cancel with a time-out */
	bool kill_at_once; /* SIGKILL as the only signal */
	/* A line without its end; @stream is 1 or 2. Called on the thread that runs the process. */
	void (*on_line)(void *arg, int stream, const char *line, size_t size);
	void *arg;
};

struct rh_proc_end {
	int exit_code; /* 128 + N after signal N */
	uint64_t n_bytes[2]; /* of stdout and stderr */
};

/**
 * rh_proc_start() - what SystemNative_ForkAndExecProcess does
 * @stdio: descriptors for 0, 1 and 2 of the child, borrowed
 *
 * Context: any thread.
 * Return:  the pid; negative errno of access, chdir or execve.
 */
pid_t rh_proc_start(const struct rh_proc_spec *spec, const int stdio[3]);

/**
 * rh_proc_run() - start, read, wait
 * Return: 0 however it ended; negative errno with @err if it could not be started.
 */
int rh_proc_run(const struct rh_proc_spec *spec, struct rh_proc_end *ret_end, struct rh_err *err);
