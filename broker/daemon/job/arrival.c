/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Workers that have announced themselves and have no job yet. One that goes without may have met
 * what an earlier job has left, or left something itself: its runner is retired as after a job.
 */

#include <stdlib.h>
#include <string.h>

#include "broker/daemon/ipc/procfs.h"
#include "broker/daemon/job/internal.h"

struct rh_arrival {
	struct rh_jobs *jobs;
	struct rh_arrival *next;
	uv_poll_t poll;
	int pidfd;
	pid_t pid;
	uint64_t start;
	char runner[]; /* its name */
};

static void on_closed(uv_handle_t *handle)
{
	struct rh_arrival *arrival = handle->data;
	struct rh_jobs *jobs = arrival->jobs;

	rh_close(arrival->pidfd);
	free(arrival);
	jobs->n_arrivals--;
	rh_jobs_maybe_closed(jobs);
}

/* Takes the first of a list off it, if there is one. */
static void drop(struct rh_arrival **at)
{
	struct rh_arrival *arrival = *at;

	if (!arrival)
		return;
	*at = arrival->next;
	uv_close((uv_handle_t *)&arrival->poll, on_closed);
}

static struct rh_arrival **find(struct rh_jobs *jobs, pid_t pid, uint64_t start)
{
	struct rh_arrival **at = &jobs->arrivals;

	while (*at && ((*at)->pid != pid || (*at)->start != start))
		at = &(*at)->next;
	return at;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct rh_arrival *arrival = handle->data;
	struct rh_jobs *jobs = arrival->jobs;

	if (!rh_pidfd_ended(arrival->pidfd))
		return;

	const struct rh_runner *runner = rh_config_runner(jobs->options.config, arrival->runner);

	drop(find(jobs, arrival->pid, arrival->start));
	if (runner)
		rh_jobs_retire(jobs, runner);
}

void rh_jobs_arrival(struct rh_jobs *jobs, const struct rh_identity *identity)
{
	size_t size = strlen(identity->runner->name) + 1;
	struct rh_arrival *arrival = NULL;

	/* Unwatched, what it leaves is found when the next one comes, or by the next broker. */
	if (jobs->n_arrivals < RH_JOBS_MAX && !jobs->closing &&
		!*find(jobs, identity->worker_pid, identity->worker_start) &&
		!rh_job_of_worker(jobs, identity->worker_pid, identity->worker_start))
		arrival = calloc(1, sizeof(*arrival) + size);
	if (!arrival ||
		uv_poll_init(jobs->options.loop, &arrival->poll, identity->worker_pidfd) < 0) {
		rh_close(identity->worker_pidfd);
		free(arrival);
		return;
	}
	arrival->poll.data = arrival;
	arrival->jobs = jobs;
	arrival->pidfd = identity->worker_pidfd;
	arrival->pid = identity->worker_pid;
	arrival->start = identity->worker_start;
	memcpy(arrival->runner, identity->runner->name, size);
	arrival->next = jobs->arrivals;
	jobs->arrivals = arrival;
	jobs->n_arrivals++;
	(void)uv_poll_start(&arrival->poll, UV_READABLE, on_poll);
}

void rh_jobs_arrived(struct rh_jobs *jobs, pid_t worker, uint64_t start)
{
	drop(find(jobs, worker, start));
}

void rh_jobs_arrivals_close(struct rh_jobs *jobs)
{
	while (jobs->arrivals)
		drop(&jobs->arrivals);
}
