/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The two job hooks.
 *
 *     CONNECT ──block──▶ ASKED ──DONE, REFUSED──▶ done
 *      ▲   │ back-off      │ TEXT: shown
 *      │   ▼               │ HOST_HOOK: run, reported
 *      └───────lost────────┘
 *
 * A connection that is lost, as when the broker is restarted, is made again and the block is sent
 * again: the broker knows which hook it is by the process. Two deadlines hold: one for a broker
 * that is absent, one for the whole, which stands still while a hook of the host runs.
 */

#include "job.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "broker.h"
#include "host_hook.h"
#include "runnerhub/block.h"
#include "runnerhub/clock.h"
#include "runnerhub/err.h"
#include "runnerhub/fd.h"
#include "say.h"

enum phase {
	PHASE_CONNECT,
	PHASE_ASKED,
	PHASE_DONE,
};

struct job {
	const struct rh_hook *hook;
	const struct rh_conf *conf;
	enum rh_wire_type type;
	enum phase phase;
	int block_fd;
	int signal_fd;
	int broker_fd;
	int last_error; /* of the last attempt, a negative errno or 0 */
	int64_t deadline_ms; /* of the whole */
	struct rh_backoff backoff;
	bool host_hook_ran;
	int host_hook_status;
	int status;
};

static void finish(struct job *job, int status)
{
	job->phase = PHASE_DONE;
	job->status = status;
}

static const char *what(const struct job *job)
{
	return job->type == RH_WIRE_JOB_STARTED ? "the job gets no container"
						: "the end of the job was not reported";
}

static void start_waiting(struct job *job)
{
	int64_t deadline_ms = rh_now_ms() + job->conf->broker_wait_ms;

	job->backoff = (struct rh_backoff){
		.deadline_ms = deadline_ms < job->deadline_ms ? deadline_ms : job->deadline_ms,
	};
}

static void lost(struct job *job, int error)
{
	rh_close(job->broker_fd);
	job->broker_fd = -1;
	job->last_error = error;
	job->phase = PHASE_CONNECT;
}

static void on_signal(struct job *job)
{
	int signal = rh_signals_take(job->signal_fd);

	if (signal != 0 && signal != SIGCHLD)
		finish(job, 128 + signal);
}

static void connect_or_wait(struct job *job)
{
	int r = rh_broker_connect(job->hook->libexec);

	if (r >= 0) {
		job->broker_fd = r;
		r = rh_wire_send(job->broker_fd, job->type, NULL, 0, &job->block_fd, 1);
		if (r == 0) {
			job->phase = PHASE_ASKED;
			return;
		}
	}
	lost(job, r);

	switch (rh_backoff_wait(&job->backoff, job->signal_fd)) {
	case RH_BACKOFF_E_DEADLINE:
		rh_say("the broker cannot be reached (%s), so %s; check that runnerhubd is "
		       "running (runnerhub doctor)",
			strerror(-job->last_error), what(job));
		finish(job, RH_EXIT_FAILURE);
		break;
	case RH_BACKOFF_E_SIGNAL:
		on_signal(job);
		break;
	default:
		break;
	}
}

/* Runs the host's own hook once, also if the broker asks again after it was restarted. */
static void on_host_hook(struct job *job, const struct rh_wire_msg *msg)
{
	_cleanup_(rh_block_freep) struct rh_block *block = NULL;

	if (!job->host_hook_ran) {
		int r = msg->n_fds == 1 ? rh_block_map(msg->fds[0], &block) : -EPROTO;

		if (r < 0) {
			rh_say("the host's own hook was not given whole: %s", strerror(-r));
			finish(job, RH_EXIT_FAILURE);
			return;
		}

		int64_t begin_ms = rh_now_ms();

		job->host_hook_status = rh_host_hook_run(block, job->signal_fd);
		job->host_hook_ran = true;
		job->deadline_ms += rh_now_ms() - begin_ms;
		start_waiting(job);
	}

	struct rh_wire_done done = {.exit_code = job->host_hook_status};
	int r = rh_wire_send(job->broker_fd, RH_WIRE_HOST_HOOK_DONE, &done, sizeof(done), NULL, 0);

	if (r < 0)
		lost(job, r);
}

static void on_done(struct job *job, const struct rh_wire_msg *msg)
{
	const struct rh_wire_done *body = rh_wire_body(msg, sizeof(*body));
	struct rh_wire_done done = {.exit_code = -1};

	if (body)
		memcpy(&done, body, sizeof(done));
	if (done.exit_code < 0 || done.exit_code > 255) {
		rh_say("the broker's answer is malformed, so %s", what(job));
		done.exit_code = RH_EXIT_FAILURE;
	}
	finish(job, done.exit_code);
}

static void on_message(struct job *job)
{
	struct rh_wire_msg msg;
	int r = rh_wire_recv(job->broker_fd, &msg);

	if (r == RH_WIRE_E_AGAIN)
		return;
	if (r == -EPROTONOSUPPORT) {
		rh_say("%s", RH_WIRE_OTHER_RELEASE);
		finish(job, RH_EXIT_FAILURE);
		return;
	}
	if (r != 0) {
		start_waiting(job);
		lost(job, r < 0 ? r : -ECONNRESET);
		return;
	}
	switch (msg.type) {
	case RH_WIRE_TEXT:
		/* The Worker's pipe; if nobody reads it, nobody misses it. */
		(void)rh_write_all(STDOUT_FILENO, msg.body, msg.body_size);
		break;
	case RH_WIRE_HOST_HOOK:
		on_host_hook(job, &msg);
		break;
	case RH_WIRE_DONE:
		on_done(job, &msg);
		break;
	case RH_WIRE_REFUSED:
		rh_say_text((const char *)msg.body, msg.body_size);
		finish(job, RH_EXIT_FAILURE);
		break;
	default:
		break; /* of a newer broker */
	}
	rh_wire_msg_close_fds(&msg);
}

static void await_answer(struct job *job)
{
	struct pollfd fds[] = {
		{.fd = job->broker_fd, .events = POLLIN},
		{.fd = job->signal_fd, .events = POLLIN},
	};
	int n = poll(fds, sizeof(fds) / sizeof(fds[0]), rh_left_ms(job->deadline_ms));

	if (n == 0) {
		rh_say("the broker has not answered within %lld ms, so %s; see its log",
			(long long)job->conf->job_start_wait_ms, what(job));
		finish(job, RH_EXIT_FAILURE);
	}
	if (n > 0 && fds[1].revents)
		on_signal(job);
	if (n > 0 && fds[0].revents && job->phase == PHASE_ASKED)
		on_message(job);
}

static int seal_environment(const struct rh_hook *hook)
{
	char cwd[PATH_MAX];
	struct rh_block_spec spec = {
		.path = "",
		.cwd = getcwd(cwd, sizeof(cwd)) ? cwd : "",
		.argv = hook->argv,
		.envp = hook->envp,
	};

	return rh_block_seal(&spec);
}

int rh_job_run(const struct rh_hook *hook, enum rh_wire_type type)
{
	static struct rh_conf conf;
	_cleanup_(rh_closep) int signal_fd = rh_signals_open();
	_cleanup_(rh_closep) int block_fd = seal_environment(hook);

	if (signal_fd < 0 || block_fd < 0) {
		rh_say("the hook cannot start: %s",
			strerror(signal_fd < 0 ? -signal_fd : -block_fd));
		return RH_EXIT_FAILURE;
	}
	rh_conf_load(&conf, hook->libexec);

	struct job job = {
		.hook = hook,
		.conf = &conf,
		.type = type,
		.block_fd = block_fd,
		.signal_fd = signal_fd,
		.broker_fd = -1,
		.deadline_ms = rh_now_ms() + conf.job_start_wait_ms,
	};

	start_waiting(&job);
	while (job.phase != PHASE_DONE) {
		if (job.phase == PHASE_CONNECT)
			connect_or_wait(&job);
		else
			await_answer(&job);
	}
	rh_close(job.broker_fd);
	return job.status;
}
