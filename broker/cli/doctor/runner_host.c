/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What surrounds a runner: its settings, directories, programs, and whether it runs.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/cli/doctor/runner.h"

#define LIBRARY     "librunnerhub-preload.so"
#define ENVIRON_MAX ((size_t)2 * 1024 * 1024)
#define MAPS_MAX    ((size_t)8 * 1024 * 1024)
#define TAR_MAX     ((size_t)8 * 1024 * 1024)

/* Takes a value out of <root>/.runner, which may begin with a byte-order mark. */
int rh_runner_work(const char *root, char ret_work[PATH_MAX])
{
	_cleanup_(rh_freep) char *text = NULL;
	_cleanup_(json_object_putp) struct json_object *object = NULL;
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/.runner", root);

	ssize_t n = rh_look_read(path, 65536, &text);

	if (n < 0)
		return rh_trace((int)n);
	object = json_tokener_parse(text + (strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0));

	const char *work = rh_json_text(object, "workFolder");

	if (!*work)
		return rh_origin(-ENOENT);
	(void)snprintf(path, sizeof(path), "%s%s%s", *work == '/' ? "" : root,
		*work == '/' ? "" : "/", work);
	return realpath(path, ret_work) ? 0 : rh_origin(-errno);
}

/* The environment that a process was started with. NULL if it cannot be seen. */
static char *read_environ(const struct rh_doctor *doctor, pid_t pid, size_t *ret_size)
{
	_cleanup_(rh_freep) char *block = malloc(ENVIRON_MAX);
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);

	ssize_t n = block ? rh_look_host(doctor, path, block, ENVIRON_MAX) : -ENOMEM;

	if (n <= 0)
		return NULL;
	*ret_size = (size_t)n;
	return rh_steal(&block);
}

struct refusal {
	const char *key;
	const char *why;
};

/* Facts of the runner: its source names these as doctor's to refuse. */
static const struct refusal refusals[] = {
	{"ACTIONS_RUNNER_REQUIRE_JOB_CONTAINER",
		"which fails every job without `container:` before it begins"},
	{"ACTIONS_RUNNER_SYMLINK_CACHED_ACTIONS",
		"which makes _actions links to directories that no container has"},
	{"GITHUB_ACTIONS_RUNNER_TRACE", "which logs the environments of other processes"},
	{"ACTIONS_RUNNER_CONTAINER_HOOKS",
		"whose hooks would have to run on the host, where nothing of a job may run"},
};

struct settings {
	const struct rh_doctor *doctor;
	struct rh_finding *f;
};

static void on_listener_settings(void *arg, const struct rh_process *process)
{
	const struct settings *settings = arg;
	size_t size = 0;
	_cleanup_(rh_freep) char *block = read_environ(settings->doctor, process->pid, &size);

	for (size_t i = 0; block && i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const char *value = rh_environ_get(block, size, refusals[i].key);

		if (!value || !*value)
			continue;
		rh_found(settings->f, RH_HEALTH_FAILURE, "the running Listener (pid %d) has %s, %s",
			(int)process->pid, refusals[i].key, refusals[i].why);
		rh_advise(
			settings->f, "take it out of the service or shell that starts the runner");
	}
}

void rh_check_runner_settings(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	struct settings settings = {.doctor = doctor, .f = f};

	if (rh_runner_skip(runner, f))
		return;
	rh_found(f, RH_HEALTH_OK, "nothing that gets in RunnerHub's way");
	rh_process_each(doctor, runner->root, "Runner.Listener", on_listener_settings, &settings);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		char value[PATH_MAX];

		if (!rh_dotenv_get(runner->env, refusals[i].key, value, sizeof(value)))
			continue;
		rh_found(
			f, RH_HEALTH_FAILURE, ".env sets %s, %s", refusals[i].key, refusals[i].why);
		rh_advise(f, "take the line out of .env and restart the runner");
		return;
	}
}

void rh_check_runner_user(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	rh_found(f, RH_HEALTH_OK, "uid %u", (unsigned)runner->uid);
	if (runner->uid == 0) {
		rh_found(f, RH_HEALTH_WARNING,
			"the runner itself runs as root; its jobs do not, but a flaw in it would");
		rh_advise(f, "let it run as a user of its own");
	}
}

void rh_check_runner_work(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	struct stat st;

	if (stat(runner->work, &st) < 0) {
		rh_found(f, errno == EACCES ? RH_HEALTH_SKIPPED : RH_HEALTH_FAILURE, "%.300s: %s",
			runner->work, strerror(errno));
		if (f->health == RH_HEALTH_FAILURE)
			rh_advise(f, "install -d -o %u -g %u '%.300s'", (unsigned)runner->uid,
				(unsigned)runner->gid, runner->work);
	} else if (st.st_uid != runner->uid) {
		rh_found(f, RH_HEALTH_FAILURE, "%.300s belongs to uid %u, not to the runner's %u",
			runner->work, (unsigned)st.st_uid, (unsigned)runner->uid);
		rh_advise(f, "chown %u '%.300s', or register the right user", (unsigned)runner->uid,
			runner->work);
	} else if (st.st_mode & 0002) {
		rh_found(f, RH_HEALTH_WARNING, "everybody may write to %.300s", runner->work);
		rh_advise(f, "chmod o-w '%.300s'", runner->work);
	} else {
		rh_found(f, RH_HEALTH_OK, "%s", runner->work);
	}
}

void rh_check_runner_idmap(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	struct rh_probe probe;

	if (doctor->probe_r == -EPERM) {
		rh_found(f, RH_HEALTH_SKIPPED, "only root can try it");
		return;
	}

	int r = rh_probe_run(runner->work, &probe);

	if (r == 0)
		r = probe.clone < 0 ? probe.clone : probe.id_map < 0 ? probe.id_map : probe.move;
	if (doctor->probe.slots) {
		rh_found(f, RH_HEALTH_SKIPPED, "this kernel maps no ids");
		return;
	}
	rh_found(f, RH_HEALTH_OK, "the work directory's file system has them");
	if (r == -ENOENT) {
		rh_found(f, RH_HEALTH_SKIPPED, "the work directory is not there");
	} else if (r < 0) {
		rh_found(f, RH_HEALTH_FAILURE, "cannot map the ids of %.300s: %s", runner->work,
			strerror(-r));
		rh_advise(f,
			"move the work directory to a file system with id maps (ext4, xfs, "
			"btrfs), or give the runner a profile with `user: runner`");
	}
}

/* The first file of that name in PATH, as the runner looks it up. */
static bool find_program(const char *path, const char *name, char ret_found[PATH_MAX])
{
	while (path && *(path += strspn(path, ":"))) {
		size_t n = strcspn(path, ":");
		char candidate[PATH_MAX];
		struct stat st;

		(void)snprintf(candidate, sizeof(candidate), "%.*s/%s", (int)n, path, name);
		if (stat(candidate, &st) == 0 && S_ISREG(st.st_mode))
			return realpath(candidate, ret_found) != NULL;
		path += n;
	}
	return false;
}

struct path_search {
	const struct rh_doctor *doctor;
	char *path; /* owned */
};

static void on_listener_path(void *arg, const struct rh_process *process)
{
	struct path_search *search = arg;
	size_t size = 0;
	_cleanup_(rh_freep) char *block = read_environ(search->doctor, process->pid, &size);
	const char *path = block ? rh_environ_get(block, size, "PATH") : NULL;

	if (path && !search->path)
		search->path = strdup(path);
}

static bool contains(const char *file, const char *word)
{
	_cleanup_(rh_freep) char *data = NULL;
	ssize_t n = rh_look_read(file, TAR_MAX, &data);

	return n > 0 && data && memmem(data, (size_t)n, word, strlen(word));
}

void rh_check_runner_tar(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	struct path_search search = {.doctor = doctor};
	_cleanup_(rh_freep) char *path = NULL;
	const char *own = getenv("PATH");
	char file[PATH_MAX];

	/* As it runs; else as the service would start it; else as it is here. */
	rh_process_each(doctor, runner->root, "Runner.Listener", on_listener_path, &search);
	path = search.path;
	if (!path) {
		(void)snprintf(file, sizeof(file), "%s/.path", runner->root);
		if (rh_look_read(file, 65536, &path) >= 0 && path && path[0] == '/') {
			path[strcspn(path, "\r\n")] = '\0';
		} else {
			free(path);
			path = strdup(own ? own : "");
		}
	}
	if (!find_program(path, "tar", file)) {
		rh_found(f, RH_HEALTH_FAILURE, "there is none in the runner's PATH");
		rh_advise(f, "install GNU tar: the runner unpacks actions with it");
		return;
	}
	rh_found(f, RH_HEALTH_OK, "GNU tar, %s", file);
	if (contains(file, "GNU tar"))
		return;
	rh_found(f, RH_HEALTH_FAILURE, "%.300s is not GNU tar%s", file,
		contains(file, "BusyBox") ? " but busybox, which follows an archive's links" : "");
	rh_advise(f, "install GNU tar before it in the runner's PATH");
}

struct running {
	const struct rh_doctor *doctor;
	int64_t env_changed_ms;
	pid_t listener; /* 0: none */
	pid_t stale; /* a Listener that has not read the .env of today */
	pid_t bare; /* a Worker without the library */
};

static void on_listener(void *arg, const struct rh_process *process)
{
	struct running *running = arg;

	running->listener = process->pid;
	if (process->start_ms < running->env_changed_ms)
		running->stale = process->pid;
}

static void on_worker(void *arg, const struct rh_process *process)
{
	struct running *running = arg;
	_cleanup_(rh_freep) char *maps = malloc(MAPS_MAX);
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)process->pid);

	ssize_t n = maps ? rh_look_host(running->doctor, path, maps, MAPS_MAX) : -ENOMEM;

	if (n > 0 && !strstr(maps, "/" LIBRARY))
		running->bare = process->pid;
}

void rh_check_runner_running(
	const struct rh_doctor *doctor, const struct rh_doctor_runner *runner, struct rh_finding *f)
{
	struct running running = {.doctor = doctor};
	char path[PATH_MAX];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/.env", runner->root);
	if (lstat(path, &st) == 0)
		running.env_changed_ms =
			(int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	rh_process_each(doctor, runner->root, "Runner.Listener", on_listener, &running);
	rh_process_each(doctor, runner->root, "Runner.Worker", on_worker, &running);
	if (running.bare) {
		rh_found(f, RH_HEALTH_FAILURE,
			"a job runs in Runner.Worker (pid %d) without the preload library",
			(int)running.bare);
		rh_advise(f, "restart the runner");
	} else if (running.stale) {
		rh_found(f, RH_HEALTH_FAILURE,
			"the Listener (pid %d) was started before .env was changed last",
			(int)running.stale);
		rh_advise(f, "restart the runner: .env counts from its next start");
	} else if (running.listener) {
		rh_found(f, RH_HEALTH_OK, "Listener, pid %d, started after .env was changed last",
			(int)running.listener);
	} else {
		rh_found(f, RH_HEALTH_OK, "no; .env counts from its next start");
	}
}
