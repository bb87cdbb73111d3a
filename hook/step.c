/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One step, from the client's side.
 *
 *     CONNECT ──STEP──▶ OFFERED ──READY──▶ RUNNING ──EXIT──▶ done
 *        ▲  │             │  │                │
 *        └──┘ back-off    │  └─REFUSED────▶ failed ◀─end of file, LOST
 *        ▲                │                   ▲
 *        └─channel gone───┘  deadline, signal ┘ if it can be taken back
 *
 * GO lies in the channel before anybody gets it, which saves every step a round trip. The agent
 * says READY before it acts on it, so a channel that ends without READY belongs to a step that has
 * not run and may be tried again. Whoever gives up first closes the channel for READY: if none came
 * until then, none will, and the step is not run. After READY there is neither a second attempt nor
 * a deadline: the agent's EXIT says how the step ended, and a channel that ends without is a
 * failure.
 */

#include "step.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"
#include "hook.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"
#include "runnerhub/err.h"
#include "runnerhub/wire.h"
#include "say.h"

/* How long the broker may take to say why a channel has gone. */
#define REASON_WAIT_MS 2000

#define STATUS_OF_SIGNAL 128

enum phase {
	PHASE_CONNECT, /* waits in rh_backoff_wait() */
	PHASE_OFFERED, /* waits for READY or REFUSED; ended by the deadline */
	PHASE_RUNNING, /* waits for EXIT; ended by the channel's end alone */
	PHASE_DONE,
};

struct step {
	const struct rh_step_spec *spec;
	enum phase phase;
	int block_fd;
	int broker_fd;
	int channel_fd;
	int last_error; /* of the last attempt, a negative errno or 0 */
	int64_t reason_deadline_ms; /* for an offered step whose channel has gone, else 0 */
	struct rh_backoff backoff;
	int status;
};

static void finish(struct step *step, int status)
{
	step->phase = PHASE_DONE;
	step->status = status;
}

static void drop(int *fd)
{
	rh_close(*fd);
	*fd = -1;
}

/* The step was not run: back to the beginning. */
static void retry(struct step *step, int error)
{
	drop(&step->channel_fd);
	drop(&step->broker_fd);
	step->last_error = error;
	step->reason_deadline_ms = 0;
	step->phase = PHASE_CONNECT;
}

static void on_exit_message(struct step *step, const struct rh_wire_msg *msg)
{
	struct rh_wire_exit body;

	memcpy(&body, msg->body, sizeof(body));
	/* Nothing that did not run has succeeded. */
	if (body.exit_code < 0 || body.exit_code > 255 ||
		(body.exit_code == 0 && step->phase != PHASE_RUNNING)) {
		rh_say("the agent reported an impossible status; the step counts as failed");
		finish(step, RH_EXIT_FAILURE);
		return;
	}

	const char *text = (const char *)msg->body + sizeof(body);
	size_t size = msg->body_size - sizeof(body);

	if (size > 0)
		rh_say_text(text, size);
	finish(step, body.exit_code);
}

/* The agent has the step, and it runs or will in a moment. */
static void begin(struct step *step)
{
	step->phase = PHASE_RUNNING;
	drop(&step->block_fd);
	/* The step's streams are its own now: end of file must not wait for this process. */
	(void)close(STDIN_FILENO);
	(void)close(STDOUT_FILENO);
}

/* Takes one message of an offered channel. Return: whether there was one. */
static bool on_offered_channel(struct step *step)
{
	struct rh_wire_msg msg;
	int r = rh_wire_recv(step->channel_fd, &msg);

	if (r == RH_WIRE_E_AGAIN)
		return false;
	if (r == 0)
		rh_wire_msg_close_fds(&msg);
	if (r == 0 && msg.type == RH_WIRE_READY)
		begin(step);
	else if (r == 0 && msg.type == RH_WIRE_EXIT && msg.body_size >= sizeof(struct rh_wire_exit))
		on_exit_message(step, &msg); /* it cannot be taken, and the agent says why */
	else
		drop(&step->channel_fd);
	return true;
}

enum retract {
	RETRACTED, /* the step has not run and never will */
	RETRACT_LATE, /* it was taken before: it is running, or has been answered */
	RETRACT_CUT, /* it was taken just now, and the agent kills it: nothing can be read any more
		      */
};

static enum retract retract(struct step *step)
{
	if (step->channel_fd < 0)
		return RETRACTED;

	struct pollfd fds = {.fd = step->channel_fd, .events = POLLIN};

	if (poll(&fds, 1, 0) > 0 && on_offered_channel(step) && step->phase != PHASE_OFFERED)
		return RETRACT_LATE;
	if (step->channel_fd < 0)
		return RETRACTED;
	/* From here on READY cannot be sent (unix(7): EPIPE). */
	(void)shutdown(step->channel_fd, SHUT_RD);
	(void)on_offered_channel(step);
	return step->phase == PHASE_OFFERED ? RETRACTED : RETRACT_CUT;
}

static void give_up(struct step *step)
{
	enum retract r = step->phase == PHASE_OFFERED ? retract(step) : RETRACTED;

	if (r == RETRACT_LATE)
		return;
	rh_say("no answer from the broker for %lld ms (%s), so the step was %s; "
	       "check that runnerhubd is running (runnerhub doctor)",
		(long long)step->spec->broker_wait_ms,
		step->last_error ? strerror(-step->last_error) : "it is silent",
		r == RETRACTED ? "not run" : "stopped as it began");
	finish(step, RH_EXIT_FAILURE);
}

static void send_signal(struct step *step, int signal)
{
	struct rh_wire_signal body = {.signal = signal};

	/* If the channel is gone, reading it says so. */
	(void)rh_wire_send(step->channel_fd, RH_WIRE_SIGNAL, &body, sizeof(body), NULL, 0);
}

/* A signal ends this process as it would have ended the program, unless the step runs by now. */
static void signal_before_ready(struct step *step)
{
	int signal = rh_signals_take(step->spec->signal_fd);

	if (signal == 0 || signal == SIGCHLD)
		return;
	if (step->phase == PHASE_OFFERED && retract(step) == RETRACT_LATE) {
		if (step->phase == PHASE_RUNNING)
			send_signal(step, signal);
		return;
	}
	finish(step, STATUS_OF_SIGNAL + signal);
}

static void offer(struct step *step)
{
	int pair[2] = {-1, -1};

	if (step->broker_fd < 0) {
		int fd = rh_broker_connect(step->spec->libexec);

		if (fd < 0) {
			retry(step, fd);
			return;
		}
		step->broker_fd = fd;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		retry(step, -errno);
		return;
	}
	step->channel_fd = pair[0];
	/* A socket that nobody else has yet takes it. */
	(void)rh_wire_send(step->channel_fd, RH_WIRE_GO, NULL, 0, NULL, 0);

	const int fds[] = {step->block_fd, STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, pair[1]};
	int r = rh_wire_send(
		step->broker_fd, RH_WIRE_STEP, NULL, 0, fds, sizeof(fds) / sizeof(fds[0]));

	rh_close(pair[1]);
	if (r < 0)
		retry(step, r);
	else
		step->phase = PHASE_OFFERED;
}

static void connect_or_wait(struct step *step)
{
	offer(step);
	if (step->phase != PHASE_CONNECT)
		return;
	switch (rh_backoff_wait(&step->backoff, step->spec->signal_fd)) {
	case RH_BACKOFF_E_DEADLINE:
		give_up(step);
		break;
	case RH_BACKOFF_E_SIGNAL:
		signal_before_ready(step);
		break;
	default:
		break;
	}
}

/* Takes one message of the broker. Return: whether it ended the step. */
static bool on_broker(struct step *step)
{
	struct rh_wire_msg msg;
	int r = rh_wire_recv(step->broker_fd, &msg);

	if (r == RH_WIRE_E_AGAIN)
		return false;
	if (r == -EPROTONOSUPPORT && step->phase == PHASE_OFFERED) {
		rh_say("%s", RH_WIRE_OTHER_RELEASE);
		finish(step, RH_EXIT_FAILURE);
		return true;
	}
	if (r != 0) {
		drop(&step->broker_fd);
		return false;
	}
	rh_wire_msg_close_fds(&msg);
	if (msg.type != RH_WIRE_REFUSED && msg.type != RH_WIRE_STEP_LOST)
		return false;
	rh_say_text((const char *)msg.body, msg.body_size);
	finish(step, RH_EXIT_FAILURE);
	return true;
}

static void await_ready(struct step *step)
{
	struct pollfd fds[] = {
		{.fd = step->channel_fd, .events = POLLIN},
		{.fd = step->broker_fd, .events = POLLIN},
		{.fd = step->spec->signal_fd, .events = POLLIN},
	};
	int64_t deadline = step->backoff.deadline_ms;

	if (step->reason_deadline_ms != 0 && step->reason_deadline_ms < deadline)
		deadline = step->reason_deadline_ms;

	int n = poll(fds, sizeof(fds) / sizeof(fds[0]), rh_left_ms(deadline));

	if (n < 0)
		return; /* EINTR by a stop and continue */
	if (n == 0 && rh_left_ms(step->backoff.deadline_ms) == 0) {
		give_up(step);
		return;
	}
	if (fds[2].revents)
		signal_before_ready(step);
	if (step->phase == PHASE_OFFERED && fds[1].revents && on_broker(step))
		return;
	if (step->phase == PHASE_OFFERED && fds[0].revents)
		(void)on_offered_channel(step);
	if (step->phase != PHASE_OFFERED || step->channel_fd >= 0)
		return;

	/* Not run. The broker may still say why; if it does not, or is gone too, try again. */
	if (step->reason_deadline_ms == 0)
		step->reason_deadline_ms = rh_now_ms() + REASON_WAIT_MS;
	if (step->broker_fd < 0 || rh_left_ms(step->reason_deadline_ms) == 0)
		retry(step, -ECONNRESET);
}

static void lost(struct step *step)
{
	int64_t deadline_ms = rh_now_ms() + REASON_WAIT_MS;

	drop(&step->channel_fd);
	while (step->broker_fd >= 0) {
		struct pollfd fds = {.fd = step->broker_fd, .events = POLLIN};
		int n = poll(&fds, 1, rh_left_ms(deadline_ms));

		if (n == 0)
			break;
		if (n > 0 && on_broker(step))
			return;
	}
	rh_say("the job's container went away while the step ran, so it counts as failed; "
	       "see runnerhub jobs and the broker's log");
	finish(step, RH_EXIT_FAILURE);
}

static void on_running_channel(struct step *step)
{
	struct rh_wire_msg msg;
	int r = rh_wire_recv(step->channel_fd, &msg);

	if (r != 0) {
		lost(step);
		return;
	}
	rh_wire_msg_close_fds(&msg);
	if (msg.type == RH_WIRE_EXIT && msg.body_size >= sizeof(struct rh_wire_exit))
		on_exit_message(step, &msg);
	else if (msg.type == RH_WIRE_EXIT)
		lost(step);
}

static void await_exit(struct step *step)
{
	struct pollfd fds[] = {
		{.fd = step->channel_fd, .events = POLLIN},
		{.fd = step->spec->signal_fd, .events = POLLIN},
	};

	if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0)
		return; /* EINTR by a stop and continue */
	if (fds[1].revents) {
		int signal = rh_signals_take(step->spec->signal_fd);

		if (signal != 0 && signal != SIGCHLD)
			send_signal(step, signal);
	}
	if (fds[0].revents)
		on_running_channel(step);
}

int rh_step_run(const struct rh_step_spec *spec)
{
	struct step step = {
		.spec = spec,
		.block_fd = spec->block_fd,
		.broker_fd = spec->broker_fd,
		.channel_fd = -1,
		.backoff = {.deadline_ms = rh_now_ms() + spec->broker_wait_ms},
	};

	while (step.phase != PHASE_DONE) {
		switch (step.phase) {
		case PHASE_CONNECT:
			connect_or_wait(&step);
			break;
		case PHASE_OFFERED:
			await_ready(&step);
			break;
		case PHASE_RUNNING:
			await_exit(&step);
			break;
		default:
			break;
		}
	}
	drop(&step.channel_fd);
	drop(&step.broker_fd);
	drop(&step.block_fd);
	return step.status;
}
