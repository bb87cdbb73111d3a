/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The administrator's own job hooks, which RunnerHub's took the place of.
 *
 * They run on the host, as the runner's user, by the hook client that waits: with the Worker's own
 * start environment (a job cannot have touched it) and those GITHUB_ and RUNNER_ variables of the
 * hook that the Worker itself gives it. Their working directory holds nothing of a job's, or what
 * is run there (git, make, python3 -m) would run the job's code: a workspace that was made fresh a
 * moment ago, or "/".
 */

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/daemon/job/hook_env.h"
#include "broker/daemon/job/internal.h"
#include "runnerhub/fd.h"
#include "runnerhub/limits.h"
#include "runnerhub/weaken.h"

struct work {
	uv_work_t request;
	struct rh_job *job;
	pid_t worker_pid;
	char *hook;
	char *root;
	char cwd[PATH_MAX];
	char *environment; /* of the hook, what may be used of it: NUL-separated */
	size_t environment_size;
	int fd; /* the block, or negative errno */
};

const char *rh_host_hook_of(const struct rh_job *job, enum rh_host_hook which)
{
	return which == RH_HOST_HOOK_STARTED ? job->runner->started_hook
					     : job->runner->completed_hook;
}

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Whether an entry of the Worker's start environment is kept back from the administrator's hook. */
static bool is_ours(const char *entry)
{
	return starts_with(entry, "LD_PRELOAD=") || starts_with(entry, "ACTIONS_RUNNER_HOOK_JOB_");
}

static bool is_context(const char *entry)
{
	return starts_with(entry, "GITHUB_") || starts_with(entry, "RUNNER_");
}

/* Adds the strings of a NUL-separated list that @want says. */
static size_t add_entries(char *list, const char *end, bool (*want)(const char *entry), char **envp,
	size_t n, size_t max)
{
	for (; list < end && n < max; list += strlen(list) + 1) {
		if (want(list))
			envp[n++] = list;
	}
	return n;
}

static bool is_kept(const char *entry)
{
	return !is_ours(entry) && !is_context(entry);
}

/* Finds a program in the environment's PATH. */
static int find_program(const char *name, char *const *envp, char *buf, size_t size)
{
	const char *path = rh_env_get(envp, "PATH");

	for (const char *at = path ? path : "/usr/bin:/bin"; at;) {
		size_t n = strcspn(at, ":");
		int length = snprintf(buf, size, "%.*s/%s", (int)n, at, name);

		if (at[0] == '/' && length > 0 && (size_t)length < size && access(buf, X_OK) == 0)
			return 0;
		at = at[n] ? at + n + 1 : NULL;
	}
	return rh_origin(-ENOENT);
}

/* The command that the runner itself would start for a hook of this kind. */
static int seal_command(struct work *work, char *const *envp)
{
	char program[4096], quoted[4200], option_e[] = "-e", option_command[] = "-command";
	const char *dot = strrchr(work->hook, '.');
	char *argv[4] = {program, NULL};
	int r = 0;

	if (dot && strcmp(dot, ".js") == 0) {
		(void)snprintf(
			program, sizeof(program), "%s/externals/node20/bin/node", work->root);
		argv[1] = work->hook;
	} else if (dot && strcmp(dot, ".ps1") == 0) {
		(void)snprintf(quoted, sizeof(quoted), ". '%s'", work->hook);
		r = find_program("pwsh", envp, program, sizeof(program));
		argv[1] = option_command;
		argv[2] = quoted;
	} else {
		r = find_program("bash", envp, program, sizeof(program));
		if (r < 0)
			r = find_program("sh", envp, program, sizeof(program));
		argv[1] = option_e;
		argv[2] = work->hook;
	}
	if (r < 0)
		return rh_trace(r);

	struct rh_block_spec spec = {
		.umask = 022,
		.path = program,
		.cwd = work->cwd,
		.argv = argv,
		.envp = envp,
	};

	return rh_block_seal(&spec);
}

static int build(struct work *work)
{
	size_t size = RH_BLOCK_SIZE_MAX;
	char path[64];
	_cleanup_(rh_freep) char *start = malloc(size);
	_cleanup_(rh_freep) char **envp = calloc(RH_BLOCK_STRINGS_MAX + 1, sizeof(char *));

	if (!start || !envp)
		return rh_origin(-ENOMEM);
	(void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)work->worker_pid);

	ssize_t n = rh_read_file_at(AT_FDCWD, path, start, size);

	if (n < 0)
		return rh_trace((int)n);

	size_t n_entries = add_entries(start, start + n, is_kept, envp, 0, RH_BLOCK_STRINGS_MAX);

	(void)add_entries(work->environment, work->environment + work->environment_size,
		rh_hook_env_is_context, envp, n_entries, RH_BLOCK_STRINGS_MAX);
	return seal_command(work, envp);
}

static void work_free(struct work *work)
{
	free(work->hook);
	free(work->root);
	free(work->environment);
	free(work);
}

static void on_work(uv_work_t *request)
{
	struct work *work = request->data;

	work->fd = build(work);
}

/* The client reports how the hook ended. */
static void on_hook_done(void *arg, struct rh_peer *peer, struct rh_wire_msg *msg)
{
	struct rh_job *job = arg;
	const struct rh_wire_done *done =
		msg->type == RH_WIRE_HOST_HOOK_DONE ? rh_wire_body(msg, sizeof(*done)) : NULL;
	void (*cb)(struct rh_job *, int) = job->on_host_hook;

	job->on_host_hook = NULL;
	if (cb)
		cb(job, done ? done->exit_code : -EPROTO);
}

static void on_work_done(uv_work_t *request, int status)
{
	struct work *work = request->data;
	struct rh_job *job = work->job;
	int fd = status < 0 ? status : work->fd;
	void (*cb)(struct rh_job *, int) = job->on_host_hook;

	work_free(work);
	job->n_async--;
	if (job->closing || !job->peer || !cb) {
		rh_close(fd);
		rh_job_maybe_free(job);
		return;
	}

	int r = fd < 0 ? fd : rh_peer_send_fd(job->peer, RH_WIRE_HOST_HOOK, fd);

	rh_close(fd);
	if (r < 0) {
		job->on_host_hook = NULL;
		cb(job, r);
	}
}

/*
 * Where the job's workspace was swapped for a fresh one, with nothing of it kept, that is where the
 * Worker itself would run the hook. Else "/": nobody's tree, and there in every mount namespace.
 */
static void choose_cwd(const struct rh_job *job, char *buf, size_t size)
{
	int n = -1;

	if (rh_weakened("hook-cwd")) {
		buf[0] = '\0'; /* the Worker's own choice */
		return;
	}
	if (job->scrubbed)
		n = snprintf(buf, size, "%s/%s/%s", job->runner->work, job->request.repo,
			job->request.repo);
	if (n < 0 || (size_t)n >= size)
		(void)snprintf(buf, size, "/");
}

void rh_host_hook_run(struct rh_job *job, enum rh_host_hook which, char *const *hook_env,
	void (*done)(struct rh_job *job, int status))
{
	struct work *work = calloc(1, sizeof(*work));

	if (work) {
		work->request.data = work;
		work->job = job;
		work->worker_pid = job->worker_pid;
		work->hook = strdup(rh_host_hook_of(job, which));
		work->root = strdup(job->runner->root);
		work->environment = rh_hook_env_copy(hook_env, &work->environment_size);
		choose_cwd(job, work->cwd, sizeof(work->cwd));
		work->fd = -1;
	}
	if (!work || !work->hook || !work->root || !work->environment) {
		if (work)
			work_free(work);
		done(job, -ENOMEM);
		return;
	}
	job->on_host_hook = done;
	rh_peer_set_handler(job->peer, on_hook_done);
	job->n_async++;

	int r = uv_queue_work(job->all->options.loop, &work->request, on_work, on_work_done);

	if (r < 0) {
		job->n_async--;
		job->on_host_hook = NULL;
		work_free(work);
		done(job, r);
	}
}
