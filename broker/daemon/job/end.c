/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The end of a job: every path leads through rh_job_end().
 *
 * That it ends is stored. The container is killed, the workspace moved away and deleted in the
 * background, the record closed; then the completed hook, if one waits, is answered, after the
 * administrator's own.
 */

#include <string.h>

#include "broker/daemon/ipc/procfs.h"
#include "broker/daemon/job/internal.h"
#include "runnerhub/clock.h"

/* A commit takes a millisecond; a disk that hangs must not keep processes alive. */
#define STORING_MS 1000

static void answer_completed(struct rh_job *job, int exit_code)
{
	struct rh_wire_done done = {.exit_code = exit_code};
	struct rh_peer *peer = job->peer;

	job->peer = NULL;
	if (!peer)
		return;
	(void)rh_peer_send(peer, RH_WIRE_DONE, &done, sizeof(done));
	rh_peer_close(peer);
}

static void on_host_hook(struct rh_job *job, int status)
{
	if (status != 0)
		rh_job_event(job, "job.hook_failed",
			"the administrator's job-completed hook ended with %d", status);
	answer_completed(job, status < 0 ? 1 : status);
	rh_block_free(rh_steal(&job->block));
	rh_job_maybe_free(job);
}

static void ended(struct rh_job *job)
{
	struct rh_jobs *all = job->all;

	rh_job_move(job, RH_JOB_PHASE_ENDED);
	job->ended_ms = rh_wall_ms();
	rh_job_save(job, NULL, NULL);
	rh_job_event(job, "job.ended", "%s",
		job->result == RH_JOB_COMPLETED ? "completed" : job->reason);
	if (job->peer && job->peer_is_completed && job->block &&
		rh_host_hook_of(job, RH_HOST_HOOK_COMPLETED))
		rh_host_hook_run(job, RH_HOST_HOOK_COMPLETED, job->block->envp, on_host_hook);
	else
		answer_completed(job, 0);
	rh_jobs_on_ended(all);
	rh_job_maybe_free(job);
}

static void release(struct rh_job *job);

static void on_released(
	void *arg, int r, const struct rh_mount_result *result, const struct rh_err *err)
{
	struct rh_job *job = arg;

	job->n_async--;
	if (job->closing) {
		rh_job_maybe_free(job);
		return;
	}
	/* Its helper died; the next one does what was left, and nothing twice. */
	if (r == -EPIPE && !job->released_twice) {
		job->released_twice = true;
		release(job);
		return;
	}
	if (r < 0) {
		rh_log_error(job->all->options.log,
			"a workspace could not be scrubbed; the next lease tries again",
			RH_STR("job", job->id_text), RH_STR("why", err->text));
		rh_job_event(job, "workspace.kept", "it could not be scrubbed: %s", err->text);
	}
	job->scrubbed = r == 0 && job->profile->scrub == RH_SCRUB_ALL &&
		(!job->profile->keep || !job->profile->keep[0]);
	rh_job_sweep(job);
	ended(job);
}

static void release(struct rh_job *job)
{
	char keep[RH_JOB_KEEP_MAX];
	struct rh_mount_release release = {
		.work = job->runner->work,
		.repo = job->request.repo,
		.runner_uid = job->runner->uid,
		.runner_gid = job->runner->gid,
		.id_map_base = job->config->id_map_base,
		.scrub_workspace = job->profile->scrub == RH_SCRUB_ALL,
		.keep = rh_job_keep_list(job->profile, keep),
	};

	job->n_async++;

	int r = rh_mounter_release(job->all->options.mounter, &release, on_released, job);

	if (r < 0) {
		struct rh_err err;

		(void)rh_err_set(&err, r, "%s", strerror(-r));
		on_released(job, r, NULL, &err);
	}
}

/* Gives the container back, dead or alive: it is killed and removed. */
static void drop_container(struct rh_job *job, const char *reason)
{
	struct rh_container *container = job->container;

	job->container = NULL;
	if (!container)
		return;
	rh_container_set_owner(container, NULL);
	rh_container_discard(container, reason, NULL, NULL);
}

/* Takes the container and the directories away, once. */
static void take_apart(struct rh_job *job)
{
	job->storing = false;
	rh_job_arm(job, 0, NULL);
	drop_container(job, "its job has ended");
	if (job->attached)
		release(job);
	else
		ended(job);
}

static void on_ending_stored(void *arg, int r)
{
	struct rh_job *job = arg;

	job->n_async--;
	if (job->storing && !job->closing)
		take_apart(job);
	else
		rh_job_maybe_free(job);
}

static void on_storing_slow(uv_timer_t *timer)
{
	take_apart(timer->data);
}

void rh_job_end(struct rh_job *job, enum rh_store_job_result result, const char *reason)
{
	if (job->phase >= RH_JOB_PHASE_ENDING)
		return;
	/* The last step's report may be waiting behind the hook that ends the job. */
	if (job->container)
		rh_container_hear(job->container);
	job->result = result;
	/* The first reason is the cause: a lost container explains what came after it. If nothing
	 * did, the job is what its hook says, and the loss is one of its events. */
	if (!job->reason[0])
		(void)snprintf(job->reason, sizeof(job->reason), "%s", reason);
	else if (result == RH_JOB_COMPLETED && !job->harmed)
		job->reason[0] = '\0';
	else
		job->result = RH_JOB_FAILED;
	if (job->acquiring) {
		rh_container_request_cancel(job->acquiring);
		job->acquiring = NULL;
	}
	rh_job_arm(job, 0, NULL);
	rh_job_lose_steps(job, "the job has ended");
	rh_job_move(job, RH_JOB_PHASE_ENDING);
	/* Without its record, a broker that is killed now leaves one that lost its container. */
	if (job->container && result == RH_JOB_COMPLETED) {
		job->storing = true;
		job->n_async++;
		rh_job_arm(job, STORING_MS, on_storing_slow);
		rh_job_save(job, on_ending_stored, job);
	} else {
		rh_job_save(job, NULL, NULL);
		take_apart(job);
	}
}

void rh_job_on_worker_gone(struct rh_job *job)
{
	if (job->phase < RH_JOB_PHASE_ENDING) {
		struct rh_peer *peer = job->peer;

		job->peer = NULL;
		if (peer)
			rh_peer_close(peer);
		rh_job_end(job, RH_JOB_ABANDONED, "its Worker went away without a completed hook");
	}
	if (job->storing)
		take_apart(job);
	/* Whether or not it got as far as a lease: an earlier one's may be owed still. */
	rh_jobs_retire(job->all, job->runner);
	rh_job_maybe_free(job);
}

void rh_job_lose_container(struct rh_job *job, const char *reason)
{
	if (job->storing)
		take_apart(job);
	if (job->phase != RH_JOB_PHASE_RUNNING)
		return;
	job->harmed = job->harmed || job->steps || job->n_unreported > 0 || job->blind;
	(void)snprintf(job->reason, sizeof(job->reason), "%s", reason);
	rh_job_lose_steps(job, reason);
	/* A started hook that has come back after a restart, and waits for the container. */
	if (job->peer)
		rh_peer_refuse(rh_steal(&job->peer), reason);
	rh_job_event(job, "job.container_lost", "%s", reason);
	drop_container(job, reason);
	rh_job_save(job, NULL, NULL);
}

void rh_jobs_on_lost(void *arg, struct rh_container *container, const char *reason)
{
	struct rh_job *job = rh_container_owner(container);

	if (job)
		rh_job_lose_container(job, reason);
}

static void on_completed_gone(void *arg, struct rh_peer *peer)
{
	struct rh_job *job = arg;

	job->peer = NULL;
	job->on_host_hook = NULL;
	rh_job_maybe_free(job);
}

/* The job whose completed hook this is, or NULL: then @ret_known says whether its runner is ours.
 */
static struct rh_job *job_of_hook(
	struct rh_jobs *jobs, struct rh_peer *peer, bool *ret_known, struct rh_err *err)
{
	struct rh_identity identity;
	int r = rh_identity_take(
		rh_peer_fd(peer), RH_PEER_IS_CHILD, jobs->options.config, &identity, err);

	*ret_known = r == 0;
	if (r < 0)
		return NULL;
	rh_close(identity.worker_pidfd);
	return rh_job_of_worker(jobs, identity.worker_pid, identity.worker_start);
}

void rh_job_on_completed(struct rh_jobs *jobs, struct rh_peer *peer, struct rh_wire_msg *msg)
{
	_cleanup_(rh_block_freep) struct rh_block *block = NULL;
	struct rh_wire_done done = {.exit_code = 0};
	struct rh_err err = {0};
	bool known = false;
	struct rh_job *job = job_of_hook(jobs, peer, &known, &err);

	if (!known) {
		rh_peer_refuse(peer, err.text);
		return;
	}
	if (msg->n_fds != 1 || rh_block_map(msg->fds[0], &block) < 0) {
		rh_peer_refuse(
			peer, "malformed request; are hook and broker of the same installation?");
		return;
	}
	if (job && (job->phase < RH_JOB_PHASE_RUNNING || job->peer)) {
		rh_peer_refuse(peer, "this job is still being started, or being completed already");
		return;
	}
	/* A job that never got a container has nothing to complete; its started hook said why. */
	if (!job || job->phase == RH_JOB_PHASE_ENDED) {
		(void)rh_peer_send(peer, RH_WIRE_DONE, &done, sizeof(done));
		rh_peer_close(peer);
		return;
	}
	job->peer = peer;
	job->peer_is_completed = true;
	job->block = rh_steal(&block);
	rh_peer_own(peer, NULL, on_completed_gone, job);
	rh_job_end(job, RH_JOB_COMPLETED, "");
}
