/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The start of a job: announcement, started hook, container, lease, answer.
 */

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/ipc/procfs.h"
#include "broker/daemon/job/bond.h"
#include "broker/daemon/job/internal.h"
#include "runnerhub/clock.h"

static const struct rh_profile *profile_of(
	const struct rh_config *config, const struct rh_runner *runner)
{
	return rh_config_profile(
		config, runner->profile ? runner->profile : config->default_profile);
}

void rh_job_on_announce(struct rh_jobs *jobs, struct rh_peer *peer)
{
	struct rh_config *config = jobs->options.config;
	struct rh_identity identity;
	struct rh_err err = {0};
	int r = rh_identity_take(rh_peer_fd(peer), RH_PEER_IS_WORKER, config, &identity, &err);

	rh_peer_close(peer);
	if (r < 0) {
		rh_log_warning(jobs->options.log, "announcement ignored", RH_STR("why", err.text));
		return;
	}
	rh_jobs_arrival(jobs, &identity);
	rh_jobs_retire_owed(jobs, identity.runner->name);

	const struct rh_profile *profile = profile_of(config, identity.runner);

	if (profile && !jobs->draining)
		rh_containers_announce(jobs->options.containers, profile, identity.runner->name);
}

void rh_job_start_failed(struct rh_job *job, const char *fmt, ...)
{
	char reason[sizeof(job->reason)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	if (job->peer) {
		struct rh_peer *peer = job->peer;

		job->peer = NULL;
		rh_peer_refuse(peer, reason);
	}
	rh_job_end(job, RH_JOB_FAILED, reason);
}

void rh_job_on_start_deadline(uv_timer_t *timer)
{
	struct rh_job *job = timer->data;

	rh_job_start_failed(job,
		"no container was ready within %llu s (phase: %s); see `runnerhub status` and the "
		"broker's log",
		(unsigned long long)(job->config->job_start_wait_ms / 1000),
		rh_job_phase_name(job->phase));
}

void rh_job_on_timeout(uv_timer_t *timer)
{
	struct rh_job *job = timer->data;
	char reason[sizeof(job->reason)];

	(void)snprintf(reason, sizeof(reason),
		"the job ran longer than the job_timeout of profile %s (%llu s); raise it there",
		job->profile->name, (unsigned long long)(job->profile->job_timeout_ms / 1000));
	rh_job_lose_container(job, reason);
}

void rh_job_answer_ready(struct rh_job *job)
{
	struct rh_wire_done done = {.exit_code = 0};
	char text[1024];

	job->unanswered = false;
	if (!job->peer)
		return;
	rh_job_say_ready(job, text, sizeof(text));

	struct rh_peer *peer = job->peer;

	job->peer = NULL;
	(void)rh_peer_send(peer, RH_WIRE_TEXT, text, strlen(text));
	(void)rh_peer_send(peer, RH_WIRE_DONE, &done, sizeof(done));
	rh_peer_close(peer);
}

static void on_leased(
	void *arg, int r, const struct rh_mount_result *result, const struct rh_err *err)
{
	struct rh_job *job = arg;
	struct rh_jobs *all = job->all;

	job->n_async--;
	if (job->closing || job->phase != RH_JOB_PHASE_LEASING) {
		rh_job_maybe_free(job);
		return;
	}
	if (r < 0) {
		rh_job_start_failed(job, "the container could not be prepared: %s", err->text);
		return;
	}
	job->leased_ms = rh_wall_ms();
	job->start_us = rh_now_us() - job->created_us;
	rh_job_move(job, RH_JOB_PHASE_RUNNING);
	rh_job_answer_ready(job);
	rh_job_arm(job, job->profile->job_timeout_ms, rh_job_on_timeout);
	rh_job_save(job, NULL, NULL);
	rh_job_event(job, "job.started", "container %s ready in %.1f ms",
		rh_container_name(job->container), (double)job->start_us / 1000);
	if (result->swapped_workspace)
		rh_job_event(job, "workspace.swapped",
			"%s had not been scrubbed; a fresh one was made", job->request.repo);
	rh_job_read_isolation(job, result);
	rh_containers_refill(all->options.containers);
}

/*
 * Without id maps whatever root wrote would be root's on the host, set-user-id files too: then each
 * job has its runner's own ids, whatever its profile says.
 */
static void step_ids(const struct rh_job *job, uid_t *ret_uid, gid_t *ret_gid)
{
	bool maps = rh_containers_map_ids(job->all->options.containers);

	switch (maps ? job->profile->user : RH_USER_RUNNER) {
	case RH_USER_RUNNER:
		*ret_uid = job->runner->uid;
		*ret_gid = job->runner->gid;
		break;
	case RH_USER_IDS:
		*ret_uid = job->profile->uid;
		*ret_gid = job->profile->gid;
		break;
	case RH_USER_ROOT:
		*ret_uid = 0;
		*ret_gid = 0;
		break;
	}
}

static void lease(struct rh_job *job)
{
	struct rh_mount_attach attach = {
		.root = job->runner->root,
		.work = job->runner->work,
		.repo = job->request.repo,
		.workspace = job->request.workspace,
		.tool_cache = job->request.tool_cache[0] ? job->request.tool_cache : NULL,
		.runner_uid = job->runner->uid,
		.runner_gid = job->runner->gid,
		.id_map_base = job->config->id_map_base,
		.worker_started_ms = rh_proc_start_wall_ms(job->worker_start),
		.worker_pid = job->worker_pid,
		.worker_start = job->worker_start,
	};

	step_ids(job, &attach.step_uid, &attach.step_gid);
	attach.tools_writable = rh_job_is_trusted(job);
	if (attach.tools_writable)
		rh_job_event(job, "tools.writable", "the host's tool cache, as root has asked for");
	rh_job_move(job, RH_JOB_PHASE_LEASING);
	job->attached = true;
	job->n_async++;

	int r = rh_container_lease(job->container, &job->id, &attach, on_leased, job);

	if (r < 0) {
		job->n_async--;
		rh_job_start_failed(job, "the container could not be leased: %s", strerror(-r));
	}
}

static void on_acquired(
	void *arg, int r, struct rh_container *container, bool cold, const struct rh_err *err)
{
	struct rh_job *job = arg;

	job->acquiring = NULL;
	if (r < 0) {
		rh_job_start_failed(job, "no container for this job: %s", err->text);
		return;
	}
	job->container = container;
	job->cold = cold;
	rh_container_set_owner(container, job);
	lease(job);
}

static void acquire(struct rh_job *job)
{
	rh_job_move(job, RH_JOB_PHASE_ACQUIRING);

	int r = rh_containers_acquire(job->all->options.containers, job->profile, job->runner->name,
		on_acquired, job, &job->acquiring);

	if (r < 0)
		rh_job_start_failed(job, "no container for this job: %s", strerror(-r));
}

static void on_host_hook(struct rh_job *job, int status)
{
	if (status != 0) {
		rh_job_start_failed(job, "the administrator's job-started hook %s ended with %d",
			job->runner->started_hook, status);
		return;
	}
	/* Adopted meanwhile, with its container. */
	if (job->phase == RH_JOB_PHASE_RUNNING)
		rh_job_answer_ready(job);
	else
		acquire(job);
}

void rh_job_start_next(struct rh_job *job)
{
	struct rh_job *other = rh_job_of_runner(job->all, job->runner->name, job);

	if (other && other->phase < RH_JOB_PHASE_ENDING) {
		rh_job_start_failed(job,
			"runner %s still has a job whose Worker (pid %d) lives; end that one first",
			job->runner->name, (int)other->worker_pid);
		return;
	}
	if (other || job->unanswered)
		return; /* the other one's end, or the hook's return, brings us back */
	if (rh_host_hook_of(job, RH_HOST_HOOK_STARTED) && job->block) {
		rh_job_move(job, RH_JOB_PHASE_HOST_HOOK);
		rh_host_hook_run(job, RH_HOST_HOOK_STARTED, job->block->envp, on_host_hook);
	} else {
		acquire(job);
	}
	rh_block_free(rh_steal(&job->block));
}

static void on_started_gone(void *arg, struct rh_peer *peer)
{
	struct rh_job *job = arg;

	job->peer = NULL;
	if (job->phase < RH_JOB_PHASE_RUNNING)
		rh_job_end(job, RH_JOB_FAILED, "its started hook went away before it was answered");
}

/* Until its container is heard, or lost, it waits. */
static void answer_running(struct rh_job *job)
{
	if (job->container)
		rh_job_answer_ready(job);
	else if (job->reason[0])
		rh_peer_refuse(rh_steal(&job->peer), job->reason);
}

/* A hook whose broker was restarted asks again. */
static void answer_again(struct rh_job *job, struct rh_peer *peer, struct rh_block *block)
{
	job->peer = peer;
	rh_peer_own(peer, NULL, on_started_gone, job);
	if (job->phase == RH_JOB_PHASE_RUNNING) {
		rh_block_free(block);
		answer_running(job);
		return;
	}
	/* The store keeps what people read; the paths come from the hook again. */
	struct rh_err err = {0};

	job->unanswered = false;
	job->block = block;
	if (rh_job_request_parse(block->envp, job->runner, &job->request, &err) < 0)
		rh_job_start_failed(job, "%s", err.text);
	else
		rh_job_start_next(job);
}

/* Makes the job of an identified Worker, or says why not. */
static int new_job(struct rh_jobs *jobs, struct rh_identity *identity, struct rh_block *block,
	struct rh_job **ret_job, struct rh_err *err)
{
	struct rh_job_request request;
	struct rh_job *job = NULL;
	struct rh_id id;

	if (jobs->draining)
		return rh_err_set(err, -ESHUTDOWN,
			"the broker is draining and takes no new jobs; `runnerhub drain --resume` "
			"or "
			"its restart ends that");
	if (jobs->n_jobs >= RH_JOBS_MAX)
		return rh_err_set(
			err, -EUSERS, "the broker tracks its limit of %d jobs", RH_JOBS_MAX);

	const struct rh_profile *profile = profile_of(jobs->options.config, identity->runner);

	if (!profile)
		return rh_err_set(err, -ENOENT,
			"runner %s wants profile %s, which is not configured",
			identity->runner->name,
			identity->runner->profile ? identity->runner->profile
						  : jobs->options.config->default_profile);

	int r = rh_job_request_parse(block->envp, identity->runner, &request, err);

	if (r < 0)
		return rh_trace(r);

	const struct rh_bond bond = {
		.runner = identity->runner->name,
		.repo = request.repo,
		.worker_pid = identity->worker_pid,
		.worker_start = (int64_t)identity->worker_start,
	};

	r = rh_bond_new_id(&bond, &id);
	if (r == 0)
		r = rh_job_new(jobs, &id, identity->worker_pid, identity->worker_start,
			identity->worker_pidfd, &job);
	if (r < 0 || !job)
		return rh_err_set(err, r < 0 ? r : -ENOMEM, "out of resources: %s", strerror(-r));
	identity->worker_pidfd = -1;
	rh_jobs_arrived(jobs, job->worker_pid, job->worker_start);
	job->runner = identity->runner;
	job->profile = profile;
	job->request = request;
	*ret_job = job;
	return 0;
}

void rh_job_on_started(struct rh_jobs *jobs, struct rh_peer *peer, struct rh_wire_msg *msg)
{
	_cleanup_(rh_block_freep) struct rh_block *block = NULL;
	struct rh_identity identity = {.worker_pidfd = -1};
	struct rh_err err = {0};
	struct rh_job *job = NULL;

	if (msg->n_fds != 1 || rh_block_map(msg->fds[0], &block) < 0) {
		rh_peer_refuse(
			peer, "malformed request; are hook and broker of the same installation?");
		return;
	}

	int r = rh_identity_take(
		rh_peer_fd(peer), RH_PEER_IS_CHILD, jobs->options.config, &identity, &err);

	if (r == 0) {
		job = rh_job_of_worker(jobs, identity.worker_pid, identity.worker_start);
		if (job && job->unanswered && !job->peer) {
			rh_close(identity.worker_pidfd);
			answer_again(job, peer, rh_steal(&block));
			return;
		}
		r = job ? rh_err_set(&err, -EALREADY,
				  "this job has been started already; a job is started once")
			: new_job(jobs, &identity, block, &job, &err);
	}
	rh_close(identity.worker_pidfd);
	if (r < 0 || !job) {
		rh_log_warning(jobs->options.log, "job refused", RH_STR("why", err.text));
		rh_peer_refuse(peer, err.text);
		return;
	}
	job->block = rh_steal(&block);
	job->peer = peer;
	rh_peer_own(peer, NULL, on_started_gone, job);
	rh_job_save(job, NULL, NULL);
	rh_job_event(job, "job.coming", "%s, job %s, profile %s", job->request.repository,
		job->request.job_key, job->profile->name);
	rh_job_arm(job, job->config->job_start_wait_ms, rh_job_on_start_deadline);
	rh_job_start_next(job);
}
