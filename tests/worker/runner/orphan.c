/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sweep at the end of a job: processes that are new since its start and carry its
 * RUNNER_TRACKING_ID in their environment are killed.
 */

#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/files.h"
#include "common/text.h"
#include "runner/job.h"

/* Calls on_pid for each process there is. */
static void each_pid(void (*on_pid)(void *arg, const char *pid), void *arg)
{
	DIR *dir = opendir("/proc");

	if (!dir)
		return;
	for (struct dirent *entry = NULL; (entry = readdir(dir));)
		if (isdigit((unsigned char)entry->d_name[0]))
			on_pid(arg, entry->d_name);
	(void)closedir(dir);
}

static void on_snapshot(void *arg, const char *pid)
{
	rh_json_set(arg, pid, json_object_new_boolean(1));
}

struct json_object *rh_orphan_snapshot(void)
{
	struct json_object *pids = rh_must(json_object_new_object());

	each_pid(on_snapshot, pids);
	return pids;
}

struct sweep {
	struct rh_job *job;
	struct json_object *before;
	struct rh_record *record;
};

static bool carries(const char *pid, const char *entry)
{
	_cleanup_(rh_freep) char *path = rh_fmt("/proc/%s/environ", pid);
	_cleanup_(rh_text_deinit) struct rh_text text = {0};

	if (rh_file_read(path, &text) < 0)
		return false;
	for (const char *p = text.data; p < text.data + text.size; p += strlen(p) + 1)
		if (strcmp(p, entry) == 0)
			return true;
	return false;
}

static void on_sweep(void *arg, const char *pid)
{
	struct sweep *s = arg;
	_cleanup_(rh_freep) char *entry = rh_fmt("RUNNER_TRACKING_ID=%s", s->job->tracking_id);

	if (rh_json_has(s->before, pid) || !carries(pid, entry))
		return;

	_cleanup_(rh_freep) char *path = rh_fmt("/proc/%s/comm", pid);
	_cleanup_(rh_text_deinit) struct rh_text name = {0};

	rh_text_puts(&name, "");
	(void)rh_file_read(path, &name);
	rh_record_printf(s->record, "Terminate orphan process: pid (%s) (%.*s)", pid,
		(int)strcspn(name.data, "\n"), name.data);
	(void)kill((pid_t)strtol(pid, NULL, 10), SIGKILL);
}

void rh_orphan_sweep(struct rh_job *job, struct json_object *before, struct rh_record *record)
{
	struct sweep sweep = {.job = job, .before = before, .record = record};

	rh_record_line(record, "Cleaning up orphan processes");
	each_pid(on_sweep, &sweep);
}
