/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What was really in force for a job: read back once its started hook is answered, so that no lease
 * waits for it, and kept with the job's record.
 *
 * If it is less than the profile asks for, the job loses its container at once: a protection that
 * somebody switched off outside of RunnerHub's sight is noticed in the first milliseconds of the
 * first job, not in an audit.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/container/enforced.h"
#include "broker/daemon/job/internal.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"
#include "runnerhub/list.h"
#include "runnerhub/weaken.h"

struct reading {
	uv_work_t work;
	struct rh_job *job;
	struct rh_config *config; /* the profile's */
	pid_t pid;
	char *workspace;
	char firewall[32];
	struct rh_enforced_wanted wanted;
	bool slot; /* how its directories reached it */
	bool no_follow;
	int r;
	char verdict[400];
	struct json_object *data;
};

static void reading_free(struct reading *reading)
{
	(void)json_object_put(reading->data);
	rh_config_unref(reading->config);
	free(reading->workspace);
	free(reading);
}

/* What the kernel does not tell, since only calls that it lacks would say so. */
static bool add_files(struct reading *reading)
{
	struct json_object *files = json_object_new_object();

	return json_object_object_add(reading->data, "files", files) == 0 &&
		json_object_object_add(files, "lateMounts",
			json_object_new_string(reading->slot ? "slot" : "detached")) == 0 &&
		json_object_object_add(files, "idMapped",
			json_object_new_boolean(reading->wanted.id_mapped)) == 0 &&
		json_object_object_add(files, "tempFollowsNoLinks",
			json_object_new_boolean(reading->no_follow)) == 0;
}

static void on_work(uv_work_t *work)
{
	struct reading *reading = rh_list_entry(work, struct reading, work);
	_cleanup_(rh_freep) struct rh_enforced *enforced = calloc(1, sizeof(*enforced));

	reading->r = enforced ? rh_enforced_read(reading->pid, enforced) : rh_origin(-ENOMEM);
	if (reading->r < 0)
		return;
	(void)rh_enforced_check(
		enforced, &reading->wanted, reading->verdict, sizeof(reading->verdict));
	memcpy(enforced->firewall, reading->firewall, sizeof(enforced->firewall));
	reading->data = rh_enforced_to_json(enforced);
	if (!reading->data || !add_files(reading))
		reading->r = rh_origin(-ENOMEM);
}

static void keep(struct rh_job *job, const struct reading *reading)
{
	struct rh_store_isolation record = {
		.job = job->id,
		.taken_ms = rh_wall_ms(),
		.verdict = reading->verdict,
		.data = json_object_to_json_string_ext(reading->data, JSON_C_TO_STRING_PLAIN),
	};
	int r = rh_store_put_isolation(job->all->options.store, &record, NULL, NULL);

	if (r < 0)
		rh_log_warning(job->all->options.log, "a job's isolation could not be stored",
			RH_STR("job", job->id_text), RH_ERRNO(r));
}

static void judge(struct rh_job *job, const struct reading *reading)
{
	char reason[sizeof(job->reason)];

	if (reading->r < 0) {
		rh_log_warning(job->all->options.log, "a job's isolation could not be read back",
			RH_STR("job", job->id_text), RH_ERRNO(reading->r));
		return; /* its first process is gone: so is the container */
	}
	keep(job, reading);
	if (reading->verdict[0] == '\0')
		return;
	rh_job_event(job, "isolation.differs", "%s", reading->verdict);
	(void)snprintf(reason, sizeof(reason),
		"the container is not as isolated as profile %s asks for: %s; see `runnerhub jobs "
		"show %.12s --isolation`",
		reading->wanted.profile->name, reading->verdict, job->id_text);
	/* Where a test has switched a defence off, it wants to see what comes of it. */
	if (!rh_weaken_entry())
		rh_job_lose_container(job, reason);
}

static void on_work_done(uv_work_t *work, int status)
{
	struct reading *reading = rh_list_entry(work, struct reading, work);
	struct rh_job *job = reading->job;

	job->n_async--;
	if (status == 0 && !job->closing && job->container)
		judge(job, reading);
	reading_free(reading);
	rh_job_maybe_free(job);
}

void rh_job_read_isolation(struct rh_job *job, const struct rh_mount_result *result)
{
	struct reading *reading = calloc(1, sizeof(*reading));

	if (!reading)
		return;
	if (asprintf(&reading->workspace, "%s/%s", job->runner->work, job->request.repo) < 0) {
		free(reading);
		return;
	}
	reading->job = job;
	reading->config = rh_config_ref(rh_container_config(job->container));
	reading->pid = rh_container_pid(job->container);
	(void)snprintf(reading->firewall, sizeof(reading->firewall), "%s",
		rh_container_firewall(job->container));
	reading->slot = !rh_containers_map_ids(job->all->options.containers);
	reading->no_follow = result->no_follow;
	reading->wanted = (struct rh_enforced_wanted){
		/* A reload may have come between the job and its container. */
		.profile = rh_container_profile(job->container),
		.workspace = reading->workspace,
		.id_mapped = result->id_mapped,
	};
	if (uv_queue_work(job->all->options.loop, &reading->work, on_work, on_work_done) < 0) {
		reading_free(reading);
		return;
	}
	job->n_async++;
}
