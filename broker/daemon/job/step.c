/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Steps: checked, numbered, passed to the job's agent. From there client and agent talk alone.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "broker/daemon/ipc/procfs.h"
#include "broker/daemon/job/internal.h"
#include "runnerhub/clock.h"

enum { FD_BLOCK, FD_STDIN, FD_STDOUT, FD_STDERR, FD_CHANNEL, N_FDS };

static bool is_null_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && major(st->st_rdev) == 1 && minor(st->st_rdev) == 3;
}

/*
 * Whether a descriptor may enter the container as a standard stream. A directory or an O_PATH
 * descriptor would be a way out of it, a device one past its limits.
 */
static bool is_stream(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || (flags & O_PATH) || fstat(fd, &st) < 0)
		return false;
	return S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || S_ISREG(st.st_mode) ||
		is_null_device(&st);
}

static bool is_channel(int fd)
{
	int domain = 0, type = 0;
	socklen_t size = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX &&
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

static void step_free(struct rh_job_step *step)
{
	struct rh_job *job = step->job;

	if (step->prev)
		step->prev->next = step->next;
	else
		job->steps = step->next;
	if (step->next)
		step->next->prev = step->prev;
	job->n_steps_running--;
	free(step);
	rh_job_maybe_free(job);
}

static void on_step_gone(void *arg, struct rh_peer *peer)
{
	step_free(arg);
}

static struct rh_job_step *step_new(
	struct rh_job *job, struct rh_peer *peer, const struct rh_block *block)
{
	struct rh_job_step *step = calloc(1, sizeof(*step));

	if (!step)
		return NULL;

	const char *slash = strrchr(block->path, '/');
	const char *label = rh_env_get(block->envp, "GITHUB_ACTION");

	/* Base name only: arguments may hold secrets. */
	rh_wire_text_copy(slash ? slash + 1 : block->path, step->program, sizeof(step->program));
	rh_wire_text_copy(label ? label : "", step->label, sizeof(step->label));
	step->job = job;
	step->peer = peer;
	step->id = job->n_steps + 1;
	step->started_ms = rh_wall_ms();
	step->began_ms = rh_now_ms();
	return step;
}

static void step_link(struct rh_job_step *step)
{
	struct rh_job *job = step->job;

	job->n_steps = step->id;
	job->n_steps_running++;
	job->n_unreported++;
	job->blind = false;
	step->next = job->steps;
	if (step->next)
		step->next->prev = step;
	job->steps = step;
}

/* The job that may run this step; or NULL: nothing ran, for @err, or to be tried again if it is
 * empty. */
static struct rh_job *job_of_step(struct rh_jobs *jobs, struct rh_peer *peer, struct rh_err *err)
{
	pid_t parent = rh_identity_parent(rh_peer_fd(peer));
	struct rh_job *job = parent > 0 ? rh_job_of_worker(jobs, parent, 0) : NULL;

	/* Alive after its child was looked at: the pid is not another's. */
	if (!job || rh_pidfd_ended(job->worker_pidfd)) {
		(void)rh_err_set(err, -EPERM,
			"this job has no container (its started hook did not succeed); the step is "
			"refused");
		return NULL;
	}
	if (job->phase == RH_JOB_PHASE_RUNNING && job->container) {
		if (job->n_steps_running < RH_JOB_STEPS_RUN_MAX && job->n_steps < RH_JOB_STEPS_MAX)
			return job;
		(void)rh_err_set(err, -EUSERS,
			"the job has reached its limit of %u steps (%d at once)", RH_JOB_STEPS_MAX,
			RH_JOB_STEPS_RUN_MAX);
		return NULL;
	}
	job->harmed |= job->reason[0] != '\0';
	if (job->reason[0])
		(void)rh_err_set(err, -EPERM, "the step is refused: %.400s", job->reason);
	else if (job->phase >= RH_JOB_PHASE_ENDING)
		(void)rh_err_set(
			err, -EPERM, "the step is refused: the job has been completed already");
	else if (job->phase < RH_JOB_PHASE_RUNNING)
		(void)rh_err_set(
			err, -EPERM, "the step is refused: the job's container is not ready");
	/* Else it runs, and its container has not yet told this broker so. */
	return NULL;
}

static int check_fds(const struct rh_wire_msg *msg, struct rh_err *err)
{
	static const char *const names[] = {
		[FD_STDIN] = "stdin", [FD_STDOUT] = "stdout", [FD_STDERR] = "stderr"};

	if (msg->n_fds != N_FDS || !is_channel(msg->fds[FD_CHANNEL]))
		return rh_err_set(err, -EPROTO,
			"malformed request; are hook and broker of the same installation?");
	for (int i = FD_STDIN; i <= FD_STDERR; i++) {
		if (!is_stream(msg->fds[i]))
			return rh_err_set(err, -EINVAL,
				"%s is neither a pipe, a socket, a file nor the null device",
				names[i]);
	}
	return 0;
}

struct ack {
	struct rh_job *job;
	uint64_t step;
};

/* The report is on disk: only now may the agent forget it. */
static void on_report_stored(void *arg, int r)
{
	struct ack *ack = arg;
	struct rh_job *job = ack->job;

	job->n_async--;
	if (r == 0 && job->container && !job->closing)
		rh_container_step_ack(job->container, ack->step);
	free(ack);
	rh_job_maybe_free(job);
}

static void save_start(const struct rh_job_step *step)
{
	struct rh_job *job = step->job;
	struct rh_store_step record = {
		.job = job->id,
		.step = step->id,
		.program = step->program,
		.label = step->label,
		.started_ms = step->started_ms,
	};

	if (rh_store_put_step(job->all->options.store, &record, NULL, NULL) < 0)
		rh_log_warning(job->all->options.log, "a step's record could not be stored",
			RH_STR("job", job->id_text), RH_NUM("step", step->id));
}

/* What the store knows of the step's start stays: a report after a restart does not repeat it. */
static void save_report(struct rh_job *job, const struct rh_wire_step_report *report)
{
	struct rh_store_step record = {
		.job = job->id,
		.step = report->step,
		.ended_ms = report->ended_wall_ms,
		.exit_code = report->exit_code,
		.signal = report->signal,
		.flags = report->flags,
		.wall_us = report->wall_us,
		.user_us = report->user_us,
		.sys_us = report->sys_us,
		.peak_rss_kib = report->peak_rss_kib,
	};
	struct ack *ack = calloc(1, sizeof(*ack));

	if (!ack)
		return; /* not acknowledged: the report comes again */
	ack->job = job;
	ack->step = report->step;
	job->n_async++;
	if (rh_store_put_step(job->all->options.store, &record, on_report_stored, ack) < 0) {
		job->n_async--;
		free(ack);
	}
}

/* Checks a step and hands it to the agent. NULL with @err: nothing ran. */
static struct rh_job_step *begin_step(
	struct rh_job *job, struct rh_peer *peer, struct rh_wire_msg *msg, struct rh_err *err)
{
	_cleanup_(rh_block_freep) struct rh_block *block = NULL;
	_cleanup_(rh_freep) struct rh_job_step *step = NULL;

	if (check_fds(msg, err) < 0)
		return NULL;
	if (rh_block_map(msg->fds[FD_BLOCK], &block) < 0) {
		(void)rh_err_set(err, -EPROTO, "malformed arguments; nothing was run");
		return NULL;
	}
	step = step_new(job, peer, block);

	int r = step ? rh_container_step(job->container, step->id, msg->fds) : -ENOMEM;

	if (r < 0) {
		job->harmed = true;
		(void)rh_err_set(err, r, "the job's container does not answer: %s", strerror(-r));
		return NULL;
	}
	return rh_steal(&step);
}

void rh_job_on_step(struct rh_jobs *jobs, struct rh_peer *peer, struct rh_wire_msg *msg)
{
	struct rh_err err = {0};
	struct rh_job *job = job_of_step(jobs, peer, &err);
	struct rh_job_step *step = job ? begin_step(job, peer, msg, &err) : NULL;

	if (!step && !err.text[0]) {
		rh_peer_close(peer); /* adoption is under way: not run, and soon offered again */
		return;
	}
	if (!step) {
		rh_log_warning(jobs->options.log, "step refused",
			RH_STR("job", job ? job->id_text : ""), RH_STR("why", err.text));
		rh_peer_refuse(peer, err.text);
		return;
	}
	job->unanswered = false;
	step_link(step);
	rh_peer_own(peer, NULL, on_step_gone, step);
	save_start(step);
}

void rh_jobs_on_step_ended(
	void *arg, struct rh_container *container, const struct rh_wire_step_report *report)
{
	struct rh_job *job = rh_container_owner(container);

	if (!job)
		return;

	if (job->n_unreported > 0)
		job->n_unreported--;
	save_report(job, report);
	if (report->flags & RH_WIRE_STEP_OOM)
		rh_job_event(job, "step.oom", "step %llu was killed: out of memory",
			(unsigned long long)report->step);
}

void rh_job_lose_steps(struct rh_job *job, const char *reason)
{
	size_t n = strlen(reason);

	for (struct rh_job_step *step = job->steps; step; step = step->next)
		(void)rh_peer_send(step->peer, RH_WIRE_STEP_LOST, reason, n);
}
