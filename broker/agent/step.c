/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Steps. What comes from the client (channel) and from the broker (STEP) is checked here again,
 * whatever they checked before.
 */

#include "broker/agent/step.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/agent/env.h"
#include "broker/agent/stepfds.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"
#include "runnerhub/err.h"

static void move(struct rh_step *step, enum rh_step_state to)
{
	static const bool allowed[3][3] = {
		[RH_STEP_FREE] = {[RH_STEP_READY] = true},
		[RH_STEP_READY] = {[RH_STEP_RUNNING] = true, [RH_STEP_FREE] = true},
		[RH_STEP_RUNNING] = {[RH_STEP_FREE] = true},
	};

	if (!allowed[step->state][to])
		__builtin_trap();
	step->state = to;
}

/* What only a step that has not started holds. */
static void release_start(struct rh_step *step)
{
	for (int i = 0; i < 3; i++) {
		rh_close(step->stdio[i]);
		step->stdio[i] = -1;
	}
	rh_env_free(rh_steal(&step->env));
	rh_block_free(rh_steal(&step->block));
}

static void release_channel(struct rh_step *step)
{
	if (step->channel_fd < 0)
		return;
	rh_loop_remove(step->all->loop, step->channel_fd);
	rh_close(rh_steal_fd(&step->channel_fd));
}

static void release(struct rh_step *step)
{
	release_start(step);
	release_channel(step);
	rh_filecmds_deinit(&step->files);
	free(rh_steal(&step->failure));
	step->all->n--;
	move(step, RH_STEP_FREE);
}

int rh_steps_init(struct rh_steps *steps)
{
	return rh_trace(rh_spawner_init(&steps->spawner));
}

void rh_steps_deinit(struct rh_steps *steps)
{
	for (size_t i = 0; i < RH_STEPS_MAX; i++) {
		if (steps->slots[i].state != RH_STEP_FREE)
			release(&steps->slots[i]);
	}
	rh_spawner_deinit(&steps->spawner);
}

/* EXIT on a channel. It has room: at most READY went before. A client that is gone hears nothing.
 */
static void send_exit(int channel_fd, int exit_code, uint32_t flags, const char *text)
{
	struct rh_wire_exit exit = {.exit_code = exit_code, .flags = flags};
	uint8_t body[RH_WIRE_BODY_MAX];
	size_t text_size = strnlen(text, sizeof(body) - sizeof(exit));

	memcpy(body, &exit, sizeof(exit));
	memcpy(body + sizeof(exit), text, text_size);
	(void)rh_wire_send(channel_fd, RH_WIRE_EXIT, body, sizeof(exit) + text_size, NULL, 0);
}

static void report(struct rh_step *step, struct rh_wire_step_report *report)
{
	report->job = step->all->lease->job;
	report->step = step->id;
	report->flags = step->flags;
	report->ended_wall_ms = rh_wall_ms();
	step->all->on_ended(step->all->arg, report);
}

/* Ends a step that never ran. */
static void give_up(struct rh_step *step, const char *text)
{
	struct rh_wire_step_report ended = {.exit_code = 1};

	step->flags |= RH_WIRE_STEP_NOT_RUN;
	if (text)
		send_exit(step->channel_fd, 1, step->flags, text);
	report(step, &ended);
	release(step);
}

/* Makes a line of what may hold a job's own names; a client shows only valid text. */
static char *make_line(const char *text)
{
	size_t size = strlen(text);
	bool valid = rh_wire_text_valid(text, size, false);
	char *line = malloc(size + 2);

	if (!line)
		return NULL;
	memcpy(line, text, size + 1);
	for (size_t i = 0; !valid && i < size; i++) {
		if (line[i] < ' ' || line[i] > '~')
			line[i] = '?';
	}
	line[size] = '\n';
	line[size + 1] = '\0';
	return line;
}

/* Ends a step whose process could not be made. */
static void give_up_start(struct rh_step *step, int r)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "runnerhub: cannot start the step's process: %s%s\n",
		strerror(-r),
		r == -EAGAIN ? " (the container's limit of processes is reached; raise `pids` of "
			       "its profile)"
			     : "");
	give_up(step, text);
}

static void start(struct rh_step *step)
{
	struct rh_steps *steps = step->all;
	struct rh_child child = {
		.image = steps->image,
		.user = &steps->lease->user,
		.block = step->block,
		.env = step->env,
		.failure = steps->spawner.failure,
		.stdio = {step->stdio[0], step->stdio[1], step->stdio[2]},
	};

	step->go_us = rh_now_us();
	step->pid = rh_spawn(&steps->spawner, rh_child_run, &child);
	if (step->pid < 0) {
		give_up_start(step, step->pid);
		return;
	}
	move(step, RH_STEP_RUNNING);
	release_start(step);
	if (steps->spawner.failure->status != 0)
		step->failure = make_line(steps->spawner.failure->text);
	step->oom_kills = rh_cgroup_oom_kills(steps->cgroup);
}

static void relay(struct rh_step *step, const struct rh_wire_msg *msg)
{
	const struct rh_wire_signal *body = rh_wire_body(msg, sizeof(*body));

	if (!body || step->state != RH_STEP_RUNNING)
		return;
	switch (body->signal) {
	case SIGTERM:
		step->terminated = true;
		step->flags |= RH_WIRE_STEP_CANCELLED;
		break;
	case SIGINT:
		step->flags |= RH_WIRE_STEP_CANCELLED;
		break;
	case SIGHUP:
	case SIGQUIT:
		break;
	default:
		return;
	}
	(void)kill(step->pid, body->signal); /* not yet reaped: the pid is its own */
}

static void kill_step(const struct rh_step *step)
{
	(void)kill(-step->pid, SIGKILL); /* its group since before its program, */
	(void)kill(step->pid, SIGKILL); /* which may have left it; neither is reaped */
}

static void client_lost(struct rh_step *step)
{
	if (step->state == RH_STEP_READY) {
		give_up(step, NULL);
		return;
	}
	release_channel(step);
	step->flags |= RH_WIRE_STEP_CLIENT_LOST;
	kill_step(step);
}

static void on_channel(void *arg, uint32_t events)
{
	struct rh_step *step = arg;
	struct rh_wire_msg msg;
	int r = rh_wire_recv(step->channel_fd, &msg);

	if (r == RH_WIRE_E_AGAIN)
		return;
	if (r != 0) {
		client_lost(step);
		return;
	}
	rh_wire_msg_close_fds(&msg); /* none belong here */
	if (msg.type == RH_WIRE_GO && step->state == RH_STEP_READY)
		start(step);
	else if (msg.type == RH_WIRE_SIGNAL)
		relay(step, &msg);
}

static struct rh_step *find_free(struct rh_steps *steps)
{
	for (size_t i = 0; i < RH_STEPS_MAX; i++) {
		if (steps->slots[i].state == RH_STEP_FREE)
			return &steps->slots[i];
	}
	return NULL;
}

/* Refuses a step that got no slot. */
static void refuse(struct rh_steps *steps, const struct rh_wire_step_ref *ref, int channel_fd,
	const char *text)
{
	struct rh_wire_step_report ended = {
		.job = ref->job,
		.step = ref->step,
		.flags = RH_WIRE_STEP_NOT_RUN,
		.exit_code = 1,
		.ended_wall_ms = rh_wall_ms(),
	};

	send_exit(channel_fd, 1, RH_WIRE_STEP_NOT_RUN, text);
	if (rh_lease_is(steps->lease, &ref->job))
		steps->on_ended(steps->arg, &ended);
}

/* Makes ready everything that need not wait for GO. */
static int prepare(struct rh_step *step, int block_fd)
{
	const struct rh_steps *steps = step->all;
	int r = rh_block_map(block_fd, &step->block);

	if (r < 0)
		return rh_trace(r);
	step->env = rh_env_compose(steps->image->environ, step->block, &steps->lease->user);
	if (!step->env)
		return rh_origin(-ENOMEM);
	r = rh_filecmds_init(&step->files, step->block->envp);
	if (r < 0)
		return rh_trace(r);
	return rh_trace(rh_loop_add(steps->loop, step->channel_fd, EPOLLIN, &step->source));
}

/* Fills a free slot. READY goes first, so that the client wakes up meanwhile. */
static void admit(
	struct rh_steps *steps, struct rh_step *step, uint64_t id, struct rh_step_fds *fds)
{
	*step = (struct rh_step){
		.all = steps,
		.source = {.on_event = on_channel, .arg = step},
		.id = id,
		.channel_fd = rh_steal_fd(&fds->channel),
		.stdio = {rh_steal_fd(&fds->stdio[0]), rh_steal_fd(&fds->stdio[1]),
			rh_steal_fd(&fds->stdio[2])},
	};
	move(step, RH_STEP_READY);
	steps->n++;
	if (rh_wire_send(step->channel_fd, RH_WIRE_READY, NULL, 0, NULL, 0) < 0) {
		give_up(step, NULL);
		return;
	}

	int r = prepare(step, fds->block);

	if (r < 0)
		give_up_start(step, r);
	else
		on_channel(step, EPOLLIN); /* GO is usually there already */
}

int rh_steps_accept(struct rh_steps *steps, struct rh_wire_msg *msg)
{
	const struct rh_wire_step_ref *body = rh_wire_body(msg, sizeof(*body));
	_cleanup_(rh_step_fds_deinit) struct rh_step_fds fds = RH_STEP_FDS_NONE;

	if (!body || body->step == 0 || rh_step_fds_take(msg, &fds) < 0)
		return rh_origin(-EPROTO);

	struct rh_wire_step_ref ref = *body;

	if (!rh_lease_is(steps->lease, &ref.job)) {
		refuse(steps, &ref, fds.channel,
			"runnerhub: this container does not hold the step's job\n");
		return 0;
	}
	/* Ids only grow. Whatever the broker repeats was taken, or its client is told by the end.
	 */
	if (ref.step <= steps->last_id)
		return 0;
	steps->last_id = ref.step;

	struct rh_step *step = find_free(steps);
	const char *problem = rh_step_fds_check(&fds);

	if (problem) {
		refuse(steps, &ref, fds.channel, problem);
	} else if (!step) {
		refuse(steps, &ref, fds.channel,
			"runnerhub: too many steps at once in this container; wait for some to "
			"end\n");
	} else {
		admit(steps, step, ref.step, &fds);
	}
	return 0;
}

void rh_steps_kill(struct rh_steps *steps, uint64_t id, const char *why)
{
	for (size_t i = 0; i < RH_STEPS_MAX; i++) {
		struct rh_step *step = &steps->slots[i];

		if (step->state != RH_STEP_RUNNING || step->id != id)
			continue;
		free(step->failure);
		step->failure = make_line(why); /* without memory it ends without a word */
		kill_step(step);
	}
}

struct rh_step *rh_steps_find(struct rh_steps *steps, pid_t pid)
{
	for (size_t i = 0; i < RH_STEPS_MAX; i++) {
		struct rh_step *step = &steps->slots[i];

		if (step->state == RH_STEP_RUNNING && step->pid == pid)
			return step;
	}
	return NULL;
}

void rh_step_leave(struct rh_step *step)
{
	if (step->terminated)
		(void)kill(-step->pid, SIGKILL);
}

static uint64_t to_us(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

void rh_step_ended(struct rh_step *step, int status, const struct rusage *usage)
{
	struct rh_wire_step_report ended = {
		.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
		.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
		.wall_us = (uint64_t)(rh_now_us() - step->go_us),
		.user_us = to_us(usage->ru_utime),
		.sys_us = to_us(usage->ru_stime),
		.peak_rss_kib = (uint64_t)usage->ru_maxrss,
	};
	const struct rh_cgroup *cgroup = step->all->cgroup;
	char text[384] = "";

	if (ended.exit_code != 0 && !step->failure &&
		rh_cgroup_oom_kills(cgroup) > step->oom_kills) {
		step->flags |= RH_WIRE_STEP_OOM;
		rh_cgroup_explain_oom(cgroup, text, sizeof(text));
	}
	rh_filecmds_sweep(&step->files);
	/* First the report: once the client has its EXIT the job may end, and the container with
	 * it. */
	report(step, &ended);
	if (step->channel_fd >= 0)
		send_exit(step->channel_fd, ended.exit_code, step->flags,
			step->failure ? step->failure : text);
	release(step);
}
