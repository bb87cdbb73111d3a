/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which field of which record is which column.
 */

#include "broker/daemon/store/record.h"

#define N(rows) (sizeof(rows) / sizeof((rows)[0]))

const char *const rh_job_state_names[] = {"starting", "running", "ending", "ended", NULL};
const char *const rh_job_result_names[] = {"", "completed", "failed", "abandoned", NULL};

#define COLUMN(type, field, kind_, ...)                                            \
	{                                                                          \
		.name = #field, .offset = offsetof(struct rh_store_##type, field), \
		.kind = RH_COLUMN_##kind_, ##__VA_ARGS__                           \
	}

#define JOB(field, kind, ...) COLUMN(job, field, kind, ##__VA_ARGS__)

static const struct rh_column job_columns[] = {
	JOB(id, ID),
	JOB(state, NAME, .names = rh_job_state_names),
	JOB(result, NAME, .names = rh_job_result_names),
	JOB(runner, TEXT, .keep = true),
	JOB(profile, TEXT, .keep = true),
	JOB(repository, TEXT, .keep = true),
	JOB(workflow, TEXT, .keep = true),
	JOB(job_key, TEXT, .keep = true),
	JOB(run_id, TEXT, .keep = true),
	JOB(run_attempt, TEXT, .keep = true),
	JOB(ref, TEXT, .keep = true),
	JOB(sha, TEXT, .keep = true),
	JOB(actor, TEXT, .keep = true),
	JOB(event_name, TEXT, .keep = true),
	JOB(container, TEXT, .keep = true),
	JOB(workspace, TEXT, .keep = true),
	JOB(reason, TEXT),
	JOB(worker_pid, INT64, .keep = true),
	JOB(worker_start, INT64, .keep = true),
	JOB(created_ms, INT64, .keep = true),
	JOB(leased_ms, INT64, .keep = true),
	JOB(ended_ms, INT64, .keep = true),
	JOB(start_us, INT64, .keep = true),
	JOB(cold, BOOL),
};

#define STEP(field, kind, ...) COLUMN(step, field, kind, ##__VA_ARGS__)

static const struct rh_column step_columns[] = {
	STEP(job, ID),
	STEP(step, UINT64),
	STEP(program, TEXT, .keep = true),
	STEP(label, TEXT, .keep = true),
	STEP(started_ms, INT64, .keep = true),
	STEP(ended_ms, INT64, .keep = true),
	STEP(exit_code, INT32, .keep = true),
	STEP(signal, INT32, .keep = true),
	STEP(flags, UINT32, .keep = true),
	STEP(wall_us, UINT64, .keep = true),
	STEP(user_us, UINT64, .keep = true),
	STEP(sys_us, UINT64, .keep = true),
	STEP(peak_rss_kib, UINT64, .keep = true),
};

#define CONTAINER(field, kind, ...) COLUMN(container, field, kind, ##__VA_ARGS__)

static const struct rh_column container_columns[] = {
	CONTAINER(instance, ID),
	CONTAINER(engine_id, TEXT, .keep = true),
	CONTAINER(profile, TEXT, .keep = true),
	CONTAINER(image, TEXT, .keep = true),
	CONTAINER(state, TEXT),
	CONTAINER(reason, TEXT, .keep = true),
	CONTAINER(job, ID, .keep = true),
	CONTAINER(created_ms, INT64, .keep = true),
	CONTAINER(changed_ms, INT64),
};

#define EVENT(field, kind, ...) COLUMN(event, field, kind, ##__VA_ARGS__)

static const struct rh_column event_columns[] = {
	EVENT(time_ms, INT64),
	EVENT(kind, TEXT),
	EVENT(job, ID),
	EVENT(container, ID),
	EVENT(message, TEXT),
};

#define ISOLATION(field, kind, ...) COLUMN(isolation, field, kind, ##__VA_ARGS__)

static const struct rh_column isolation_columns[] = {
	ISOLATION(job, ID),
	ISOLATION(taken_ms, INT64),
	ISOLATION(verdict, TEXT),
	ISOLATION(data, LONG),
};

const struct rh_table rh_table_jobs = {.name = "jobs",
	.columns = job_columns,
	.n = N(job_columns),
	.n_key = 1,
	.record_size = sizeof(struct rh_store_job)};
const struct rh_table rh_table_steps = {.name = "steps",
	.columns = step_columns,
	.n = N(step_columns),
	.n_key = 2,
	.record_size = sizeof(struct rh_store_step)};
const struct rh_table rh_table_containers = {.name = "containers",
	.columns = container_columns,
	.n = N(container_columns),
	.n_key = 1,
	.record_size = sizeof(struct rh_store_container)};
const struct rh_table rh_table_events = {.name = "events",
	.columns = event_columns,
	.n = N(event_columns),
	.record_size = sizeof(struct rh_store_event)};
const struct rh_table rh_table_isolation = {.name = "isolation",
	.columns = isolation_columns,
	.n = N(isolation_columns),
	.n_key = 1,
	.record_size = sizeof(struct rh_store_isolation)};
