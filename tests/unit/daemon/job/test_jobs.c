/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/job/: jobs on a loop, with stand-ins for what they stand on (fakes.h): adoption,
 * and what a broker that stops waits for.
 */

#include "broker/daemon/job/job.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/daemon/ipc/procfs.h"
#include "broker/daemon/job/bond.h"
#include "broker/daemon/job/internal.h"
#include "fakes.h"
#include "rh-test.h"
#include "runnerhub/clock.h"

static uv_loop_t loop;
static struct rh_jobs *jobs;
static struct rh_profile profile;
static struct rh_runner runner;
static struct rh_config config;
static struct rh_log *log_;
static bool closed;
static pid_t worker;

static void on_tick(uv_timer_t *timer)
{
}

/* One turn of the loop, at most a few milliseconds. */
static void turn(void)
{
	uv_timer_t tick;

	(void)uv_timer_init(&loop, &tick);
	(void)uv_timer_start(&tick, on_tick, 2, 0);
	(void)uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&tick, NULL);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
}

#define UNTIL(expression)                                            \
	do {                                                         \
		int64_t limit_ = rh_now_ms() + 5000;                 \
                                                                     \
		while (!(expression) && rh_now_ms() < limit_)        \
			turn();                                      \
		ck_assert_msg(expression, "never: %s", #expression); \
	} while (0)

static void setup(void)
{
	profile = (struct rh_profile){.name = (char *)"p"};
	runner = (struct rh_runner){
		.name = (char *)"r1", .root = (char *)"/r", .work = (char *)"/r/_work"};
	config = (struct rh_config){
		.n_refs = 1,
		.job_start_wait_ms = 100,
		.profiles = &profile,
		.n_profiles = 1,
		.runners = &runner,
		.n_runners = 1,
	};
	fakes = (struct fakes){0};
	closed = false;
	worker = fork();
	ck_assert_int_ge(worker, 0);
	if (worker == 0)
		for (;;)
			(void)pause();
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	log_ = rh_log_new(
		STDERR_FILENO, getenv("RH_TEST_LOG") ? RH_LOG_DEBUG : RH_LOG_ERROR, RH_LOG_TEXT);

	const struct rh_jobs_options options = {
		.loop = &loop,
		.config = &config,
		.containers = fakes_containers(),
		.mounter = fakes_mounter(),
		.store = fakes_store(),
		.log = log_,
	};

	ck_assert_int_eq(rh_jobs_start(&options, &jobs), 0);
}

static void on_closed(void *arg)
{
	closed = true;
}

static void close_jobs(void)
{
	rh_jobs_close(jobs, on_closed, NULL);
	UNTIL(closed);
	jobs = NULL;
	/* What still points there sees it. */
	for (size_t size = 16; size <= 1024; size += 16) {
		void *blocks[16];

		for (size_t i = 0; i < 16; i++) {
			blocks[i] = malloc(size);
			memset(blocks[i], 0xa5, malloc_usable_size(blocks[i]));
		}
		for (size_t i = 0; i < 16; i++)
			free(blocks[i]);
	}
}

static void end_worker(void)
{
	if (worker <= 0)
		return;
	(void)kill(worker, SIGKILL);
	(void)waitpid(worker, NULL, 0);
	worker = 0;
}

static void teardown(void)
{
	if (jobs)
		close_jobs();
	end_worker();
	ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	ck_assert_uint_eq(config.n_refs, 1);
	rh_log_free(log_);
}

/* The record of a job of the worker, as an earlier broker has left it. */
static struct rh_store_job record_of(enum rh_store_job_state state)
{
	struct rh_proc_stat stat = {0};
	struct rh_store_job record = {
		.state = state,
		.runner = "r1",
		.profile = "p",
		.workspace = "demo",
		.worker_pid = worker,
		.created_ms = rh_wall_ms(),
	};

	ck_assert_int_eq(rh_proc_stat(worker, &stat), 0);
	record.worker_start = (int64_t)stat.start_ticks;

	const struct rh_bond bond = {
		.runner = record.runner,
		.repo = record.workspace,
		.worker_pid = record.worker_pid,
		.worker_start = record.worker_start,
	};

	ck_assert_int_eq(rh_bond_new_id(&bond, &record.id), 0);
	return record;
}

static void adopt(struct rh_store_job *record)
{
	const struct rh_store_open open = {.jobs = record, .n_jobs = 1};

	rh_jobs_adopt(jobs, &open);
}

START_TEST(a_sweep_holds_no_job)
{
	struct rh_store_job record = record_of(RH_JOB_ENDING);

	record.result = RH_JOB_COMPLETED;
	adopt(&record);
	ck_assert_ptr_nonnull(fakes.released);
	fakes_release(0);
	ck_assert_ptr_nonnull(fakes.swept);
	ck_assert_int_eq(jobs->jobs->phase, RH_JOB_PHASE_ENDED);
	close_jobs();
	/* What comes of it is told all the same. */
	fakes_sweep(0, 4096, 3);
	ck_assert_str_eq(fakes.event, "workspace.scrubbed: 3 files, 4 KiB");
	ck_assert(rh_id_equal(&fakes.event_job, &record.id));
}
END_TEST

START_TEST(a_sweep_tells_what_it_has_left)
{
	struct rh_store_job record = record_of(RH_JOB_ENDING);

	adopt(&record);
	fakes_release(0);
	fakes_sweep(-EBUSY, 0, 0);
	ck_assert_str_eq(fakes.event,
		"workspace.left: not all of it could be deleted: Device or resource busy");
	fakes.event[0] = '\0';
	end_worker();
	UNTIL(!jobs->jobs);
}
END_TEST

START_TEST(a_sweep_that_the_stop_cuts_says_nothing)
{
	struct rh_store_job record = record_of(RH_JOB_ENDING);

	adopt(&record);
	fakes_release(0);
	close_jobs();
	fakes.event[0] = '\0';
	fakes_sweep(-ECANCELED, 0, 0);
	ck_assert_str_eq(fakes.event, "");
}
END_TEST

/* The mounter answers when the jobs are gone: the broker was told to stop at once. */
START_TEST(a_leftover_holds_no_jobs)
{
	struct rh_store_job record = record_of(RH_JOB_RUNNING);

	end_worker();
	adopt(&record);
	ck_assert_ptr_null(jobs->jobs);
	ck_assert_ptr_nonnull(fakes.released);
	close_jobs();
	fakes_release(0);
	ck_assert_ptr_eq(fakes.sweeper, fakes_mounter());
}
END_TEST

static void run_ms(int64_t ms)
{
	int64_t end_ms = rh_now_ms() + ms;

	while (rh_now_ms() < end_ms)
		turn();
}

/* A broker that drains is told too that all are adopted; the job is not to end by its start's time.
 */
START_TEST(an_adopted_lease_ends_the_start)
{
	struct rh_store_job record = record_of(RH_JOB_STARTING);
	struct rh_container container = {0};

	adopt(&record);
	ck_assert_int_eq(jobs->jobs->phase, RH_JOB_PHASE_WAITING);
	ck_assert(rh_jobs_wants(jobs, &record.id, &container));
	ck_assert_int_eq(jobs->jobs->phase, RH_JOB_PHASE_RUNNING);
	run_ms(300); /* thrice what a start may take */
	ck_assert_int_eq(jobs->jobs->phase, RH_JOB_PHASE_RUNNING);
	ck_assert_uint_eq(container.n_discarded, 0);
	close_jobs();
}
END_TEST

/* The limit is counted from the Worker's start. */
START_TEST(an_adopted_job_has_its_limit)
{
	struct rh_store_job record = record_of(RH_JOB_RUNNING);
	struct rh_container container = {0};

	profile.job_timeout_ms = 300;
	adopt(&record);
	ck_assert(rh_jobs_wants(jobs, &record.id, &container));
	rh_jobs_adopted(jobs);
	UNTIL(container.n_discarded == 1);
	ck_assert_ptr_nonnull(strstr(jobs->jobs->reason, "the job ran longer"));
	ck_assert_int_eq(jobs->jobs->phase, RH_JOB_PHASE_RUNNING);
}
END_TEST

START_TEST(a_lost_container_gets_its_reason)
{
	struct rh_store_job record = record_of(RH_JOB_RUNNING);

	adopt(&record);
	rh_jobs_adopted(jobs);
	ck_assert_str_eq(
		jobs->jobs->reason, "the job's container was lost while the broker was down");
}
END_TEST

/* Its hook was back before its container was heard: what was begun for it is not needed. */
START_TEST(an_adopted_lease_ends_the_wait_for_another)
{
	struct rh_store_job record = record_of(RH_JOB_STARTING);
	struct rh_container container = {0};

	adopt(&record);
	jobs->jobs->unanswered = false; /* its hook asks again */
	rh_job_start_next(jobs->jobs);
	ck_assert_int_eq(jobs->jobs->phase, RH_JOB_PHASE_ACQUIRING);
	ck_assert(rh_jobs_wants(jobs, &record.id, &container));
	ck_assert_uint_eq(fakes.n_cancelled, 1);
	ck_assert_ptr_null(fakes.acquired);
	ck_assert_ptr_eq(container.owner, jobs->jobs);
	close_jobs();
}
END_TEST

START_TEST(isolation_is_judged_by_what_the_container_is_made_of)
{
	struct rh_store_job record = record_of(RH_JOB_RUNNING);
	struct rh_profile newer = {.name = (char *)"p"};
	struct rh_config reloaded = {.n_refs = 1, .profiles = &newer, .n_profiles = 1};
	struct rh_container container = {.profile = &newer, .config = &reloaded};
	const struct rh_mount_result result = {.id_mapped = true};

	adopt(&record);
	ck_assert(rh_jobs_wants(jobs, &record.id, &container));
	rh_job_read_isolation(jobs->jobs, &result);
	ck_assert_uint_eq(reloaded.n_refs, 2);
	UNTIL(fakes.judged_by && reloaded.n_refs == 1);
	ck_assert_ptr_eq(fakes.judged_by, &newer);
	close_jobs();
}
END_TEST

static void tests_of_jobs(Suite *suite)
{
	const TTest *const tests[] = {a_sweep_holds_no_job, a_sweep_tells_what_it_has_left,
		a_sweep_that_the_stop_cuts_says_nothing, a_leftover_holds_no_jobs,
		an_adopted_lease_ends_the_start, an_adopted_job_has_its_limit,
		a_lost_container_gets_its_reason, an_adopted_lease_ends_the_wait_for_another,
		isolation_is_judged_by_what_the_container_is_made_of};
	TCase *tcase = tcase_create("jobs");

	tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
}

RH_TEST_MAIN("jobs", tests_of_jobs);
