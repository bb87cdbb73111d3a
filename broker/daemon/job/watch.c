/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Watching what jobs use. Each second every running job is looked at on a worker thread; what the
 * kernel does not limit by itself, or limits without a word, is decided here. A job that passes a
 * limit loses its container, and each of its running steps says in its log which limit it was, how
 * much was used, and how to raise it.
 *
 *   processes   the kernel refuses them; a job that goes on trying gets nowhere, and never ends
 *   disk        measured when it could have passed its limit (usage.h)
 *   tool cache  likewise, by itself
 *   output      what its Worker has read since the lease
 *   time        of each step
 */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/container/cgroups.h"
#include "broker/daemon/job/internal.h"
#include "runnerhub/clock.h"
#include "runnerhub/list.h"
#include "runnerhub/weaken.h"

#define EVERY_MS 1000

/*
 * A build that meets the limit for a moment goes on without those processes: it takes so many
 * seconds at the limit, in which so many were refused, with no longer pause between.
 */
#define PIDS_FULL_MAX    3
#define PIDS_REFUSED_MAX 8
#define PIDS_QUIET_MAX   10

/* What others free in the same second hides a job's growth; so it is measured now and then. */
#define MEASURE_EVERY_MS INT64_C(30000)
/* Walking may take a twentieth of a processor's time; but a job's many files buy it no more. */
#define MEASURE_PAUSE        20
#define MEASURE_PAUSE_MAX_MS INT64_C(20000)
/*
 * A measurement that was cut is tried again at once, with twice the time. One that takes long keeps
 * neither other jobs waiting nor the rest of what is watched. After 64 seconds it is given up.
 */
#define WALK_MS   INT64_C(2000)
#define LEVEL_MAX 5u

struct look {
	uv_work_t work;
	struct rh_job *job;
	bool is_long; /* it only measures, and others go on beside it */
	atomic_bool stop;
	uint64_t grown_bytes, grown_files; /* when it began */
	struct rh_usage_target target;
	struct rh_usage usage;
};

static void drop(struct look *look)
{
	rh_usage_target_deinit(&look->target);
	free(look);
}

static void on_work(uv_work_t *work)
{
	struct look *look = rh_list_entry(work, struct look, work);

	if (!look->target.paths[0])
		rh_usage_find_layer(&look->target);
	rh_usage_take(&look->target, &look->usage);
}

_printf_(2, 3) static void lose(struct rh_job *job, const char *fmt, ...)
{
	char reason[sizeof(job->reason)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	rh_job_lose_container(job, reason);
}

static void judge_pids(struct rh_job *job, const struct rh_usage *usage)
{
	struct rh_job_watch *watch = &job->watch;
	uint64_t before = watch->looked ? watch->last.pids_hits : usage->pids_hits;
	uint64_t n_new = usage->pids_hits > before ? usage->pids_hits - before : 0;
	bool is_full = usage->n_pids >= usage->pids_max - usage->pids_max / 16;

	/* Shells wait longer and longer between their tries. */
	watch->n_quiet = n_new > 0 ? 0 : watch->n_quiet + 1;
	if (!is_full || watch->n_quiet >= PIDS_QUIET_MAX) {
		watch->n_refused = 0;
		watch->n_full = 0;
	}
	watch->n_refused += n_new;
	watch->n_full += watch->n_refused > 0;
	if (watch->n_full >= PIDS_FULL_MAX && watch->n_refused >= PIDS_REFUSED_MAX &&
		!rh_weakened("watch-pids"))
		lose(job,
			"the job has all the processes and threads that it may have (%" PRIu64
			") and goes on starting more (%" PRIu64 " were refused); raise `pids` of "
			"profile %s if it needs them",
			usage->pids_max, usage->pids_hits, job->profile->name);
}

static void judge_output(struct rh_job *job, const struct rh_usage *usage)
{
	struct rh_job_watch *watch = &job->watch;
	uint64_t limit = job->profile->output_bytes;

	if (!watch->looked)
		watch->output_base = usage->output_bytes;

	uint64_t bytes = usage->output_bytes > watch->output_base
		? usage->output_bytes - watch->output_base
		: 0;

	if (limit > 0 && bytes > limit && !rh_weakened("watch-output"))
		lose(job,
			"the job wrote more output than it may (%" PRIu64 " MiB of %" PRIu64
			" MiB); raise `output` of profile %s if it needs that",
			bytes >> 20, limit >> 20, job->profile->name);
}

/* What was counted is there, whether it was all or not. */
static void judge_disk(struct rh_job *job, const struct rh_usage *usage)
{
	const struct rh_profile *profile = job->profile;

	if (rh_weakened("watch-disk"))
		return;
	if (profile->disk_bytes > 0 && usage->disk_bytes > profile->disk_bytes)
		lose(job,
			"the job filled more disk than it may (%" PRIu64 " MiB of %" PRIu64
			" MiB); raise `disk` of profile %s if it needs that",
			usage->disk_bytes >> 20, profile->disk_bytes >> 20, profile->name);
	else if (profile->disk_files > 0 && usage->disk_files > profile->disk_files)
		lose(job,
			"the job made more files than it may (%" PRIu64 " of %" PRIu64
			"); raise `files` of profile %s if it needs them",
			usage->disk_files, profile->disk_files, profile->name);
	else if (usage->too_deep)
		lose(job,
			"the job has more than %d directories that lie deeper than %d others: what "
			"is in them cannot be counted; nest fewer of them",
			RH_USAGE_LATER, RH_USAGE_DEPTH);
	else if (usage->too_many)
		lose(job,
			"the job holds more than %zu files that it has deleted: they cannot be "
			"counted; close some of them",
			RH_USAGE_HELD);
	else if (usage->cut && job->watch.level == LEVEL_MAX)
		lose(job,
			"what the job has on the disk could not be counted, in %u tries of up to "
			"%" PRId64 " s each (%" PRIu64
			" files were): it has too many of them, or moves what is looked at; lower "
			"`files` of profile %s to have its jobs told sooner",
			LEVEL_MAX + 1, (WALK_MS << LEVEL_MAX) / 1000, usage->disk_files,
			profile->name);
	else if (usage->cut)
		job->watch.level++;
}

static void judge_growth(struct rh_job *job, const struct rh_usage *usage)
{
	struct rh_job_watch *watch = &job->watch;

	/* Each second's growth counts, whoever shrinks later. */
	if (watch->looked && usage->fs_bytes > watch->last.fs_bytes)
		watch->grown_bytes += usage->fs_bytes - watch->last.fs_bytes;
	if (watch->looked && usage->fs_files > watch->last.fs_files)
		watch->grown_files += usage->fs_files - watch->last.fs_files;
}

static void note_measured(struct rh_job_watch *watch, const struct look *look)
{
	const struct rh_usage *usage = &look->usage;

	/* What grew while a long one went on may lie where it had been before. */
	watch->grown_bytes = look->is_long ? watch->grown_bytes - look->grown_bytes : 0;
	watch->grown_files = look->is_long ? watch->grown_files - look->grown_files : 0;
	watch->measured_ms = rh_now_ms();
	watch->pause_ms = (int64_t)usage->measure_ms * MEASURE_PAUSE;
	if (watch->pause_ms > MEASURE_PAUSE_MAX_MS)
		watch->pause_ms = MEASURE_PAUSE_MAX_MS;
	watch->measured = *usage;
	if (watch->level > 0 && (int64_t)usage->measure_ms < (WALK_MS << watch->level) / 4)
		watch->level--;
}

/* Before the limit that it counts in, too, since its reason says more. */
static void judge_tools(struct rh_job *job, const struct rh_usage *usage)
{
	uint64_t limit = job->profile->tools_bytes;

	if (limit > 0 && usage->tools_bytes > limit && !rh_weakened("watch-tools"))
		lose(job,
			"the job changed more of its tool cache than it may (%" PRIu64
			" MiB of %" PRIu64
			" MiB); raise `tool_cache` of profile %s, or fill the host's copy: "
			"runnerhub toolcache warm",
			usage->tools_bytes >> 20, limit >> 20, job->profile->name);
}

static void judge_suspect(struct rh_job *job, const struct rh_usage *usage)
{
	job->watch.suspect = usage->suspect;
	if (usage->killed)
		rh_job_event(job, "step.stopped",
			"a step's process was stopped before its program began, which keeps the "
			"agent waiting; it was killed");
}

static void judge_steps(struct rh_job *job)
{
	int64_t limit_ms = (int64_t)job->profile->step_timeout_ms;
	int64_t now_ms = rh_now_ms();
	char why[256];

	for (struct rh_job_step *step = job->steps; step && limit_ms > 0; step = step->next) {
		if (now_ms - step->began_ms < limit_ms || rh_weakened("watch-time"))
			continue;
		(void)snprintf(why, sizeof(why),
			"runnerhub: the step took longer than the step_timeout of profile %s "
			"(%" PRId64 " s) and was killed; raise it there",
			job->profile->name, limit_ms / 1000);
		rh_container_step_kill(job->container, step->id, why);
	}
}

static bool is_watched(const struct rh_job *job)
{
	return job->phase == RH_JOB_PHASE_RUNNING && job->container && job->profile &&
		!job->closing;
}

static void judge(struct rh_job *job, const struct rh_usage *usage)
{
	static void (*const judges[])(struct rh_job * job, const struct rh_usage *usage) = {
		judge_suspect, judge_pids, judge_output, judge_growth};

	for (size_t i = 0; i < sizeof(judges) / sizeof(judges[0]) && is_watched(job); i++)
		judges[i](job, usage);
	job->watch.last = *usage;
	job->watch.looked = true;
}

static void judge_measure(struct rh_job *job, const struct look *look)
{
	if (look->usage.measured)
		note_measured(&job->watch, look);
	job->watch.was_cut = look->usage.cut;
	judge_tools(job, &look->usage);
	if (is_watched(job))
		judge_disk(job, &look->usage);
}

static void on_work_done(uv_work_t *work, int status)
{
	struct look *look = rh_list_entry(work, struct look, work);
	struct rh_job *job = look->job;

	job->n_async--;
	if (look->is_long)
		job->watch.stop = NULL;
	else
		job->watch.busy = false;
	if (look->target.measure)
		job->all->measuring[look->is_long] = false;
	if (status == 0 && is_watched(job)) {
		free(job->watch.layer);
		job->watch.layer = rh_steal(&look->target.paths[0]);
		if (!look->is_long)
			judge(job, &look->usage);
		if ((look->usage.measured || look->usage.cut) && is_watched(job))
			judge_measure(job, look);
	}
	drop(look);
	rh_job_maybe_free(job);
}

/*
 * Whether the job could have passed a limit since it was last measured. What it wrote before its
 * first look is no growth that was seen, so the first one measures.
 */
static bool wants_measure(const struct rh_job *job)
{
	const struct rh_job_watch *watch = &job->watch;
	int64_t age_ms = rh_now_ms() - watch->measured_ms;
	uint64_t bytes = watch->measured.disk_bytes + watch->grown_bytes;
	uint64_t files = watch->measured.disk_files + watch->grown_files;
	uint64_t tools = watch->measured.tools_bytes + watch->grown_bytes;

	if (job->all->measuring[watch->level > 0])
		return false;
	if (watch->was_cut)
		return true;
	if (age_ms < watch->pause_ms)
		return false;
	return (job->profile->disk_bytes > 0 && bytes > job->profile->disk_bytes) ||
		(job->profile->disk_files > 0 && files > job->profile->disk_files) ||
		(job->profile->tools_bytes > 0 && tools > job->profile->tools_bytes) ||
		watch->measured_ms == 0 || age_ms > MEASURE_EVERY_MS;
}

static int fill_target(struct rh_job *job, struct rh_usage_target *target)
{
	const char *dir = rh_container_dir(job->container);

	target->init = rh_container_pid(job->container);
	target->worker = job->worker_pid;
	target->measure = wants_measure(job);
	target->budget_ms = WALK_MS << job->watch.level;
	target->files_max = job->profile->disk_files;
	target->suspect = job->watch.suspect;
	target->paths[0] = job->watch.layer ? strdup(job->watch.layer) : NULL;
	target->paths[RH_USAGE_TOOLS] = dir ? strdup(dir) : NULL;
	if (asprintf(&target->paths[2], "%s/%s", job->runner->work, job->request.repo) < 0)
		target->paths[2] = NULL;
	if (asprintf(&target->paths[3], "%s/_temp", job->runner->work) < 0)
		target->paths[3] = NULL;
	return target->paths[2] && target->paths[3] ? 0 : rh_origin(-ENOMEM);
}

static void look_at(struct rh_job *job)
{
	struct look *look = calloc(1, sizeof(*look));

	if (!look)
		return; /* in a second again */
	look->job = job;
	if (fill_target(job, &look->target) < 0) {
		drop(look);
		return;
	}
	look->is_long = look->target.measure && job->watch.level > 0;
	look->target.only = look->is_long;
	look->target.stop = &look->stop;
	look->grown_bytes = job->watch.grown_bytes;
	look->grown_files = job->watch.grown_files;
	if (uv_queue_work(job->all->options.loop, &look->work, on_work, on_work_done) < 0) {
		drop(look);
		return;
	}
	job->n_async++;
	if (look->is_long)
		job->watch.stop = &look->stop;
	else
		job->watch.busy = true;
	if (look->target.measure)
		job->all->measuring[look->is_long] = true;
}

static void on_tick(uv_timer_t *timer)
{
	struct rh_jobs *jobs = timer->data;

	for (struct rh_job *job = jobs->jobs; job; job = job->next) {
		if (!is_watched(job)) {
			rh_job_watch_stop(job);
			continue;
		}
		judge_steps(job);
		if (!job->watch.busy)
			look_at(job);
	}
	rh_jobs_retire_due(jobs);
}

void rh_job_watch_stop(struct rh_job *job)
{
	if (job->watch.stop)
		atomic_store_explicit(job->watch.stop, true, memory_order_relaxed);
}

int rh_jobs_watch_start(struct rh_jobs *jobs)
{
	int r = uv_timer_init(jobs->options.loop, &jobs->watch_timer);

	if (r < 0)
		return rh_trace(r);
	jobs->watch_timer.data = jobs;
	return rh_trace(uv_timer_start(&jobs->watch_timer, on_tick, EVERY_MS, EVERY_MS));
}
