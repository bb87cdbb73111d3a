/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Stand-ins for mounter and store, and what all stand-ins share.
 */

#include "fakes.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/daemon/mount/mount.h"
#include "fakes_later.h"
#include "runnerhub/clock.h"

struct fakes fakes;

struct later {
	uv_timer_t timer;
	void (*fn)(void *arg);
	void *arg;
};

static void on_later_closed(uv_handle_t *handle)
{
	free(handle);
}

static void on_later(uv_timer_t *timer)
{
	struct later *later = (struct later *)timer;
	void (*fn)(void *arg) = later->fn;
	void *arg = later->arg;

	uv_close((uv_handle_t *)timer, on_later_closed);
	fakes.n_pending--;
	fn(arg);
}

void fakes_later(uint64_t wait_ms, void (*fn)(void *arg), void *arg)
{
	struct later *later = calloc(1, sizeof(*later));

	if (!later || uv_timer_init(fakes.loop, &later->timer) < 0)
		abort();
	later->fn = fn;
	later->arg = arg;
	fakes.n_pending++;
	(void)uv_timer_start(&later->timer, on_later, wait_ms, 0);
}

struct mount_call {
	rh_mount_done_fn done;
	rh_mount_swept_fn swept;
	void *arg;
	int r;
};

static void mount_done(void *arg)
{
	struct mount_call call = *(struct mount_call *)arg;
	struct rh_mount_result result = {.id_mapped = call.r == 0};
	struct rh_err err = {0};

	free(arg);
	(void)rh_err_set(&err, call.r, "mount: %s", strerror(-call.r));
	if (call.done)
		call.done(call.arg, call.r, &result, &err);
	else if (call.swept)
		call.swept(call.arg, call.r, 0, 0);
}

static int mount_later(rh_mount_done_fn done, rh_mount_swept_fn swept, void *arg, int r)
{
	struct mount_call *call = malloc(sizeof(*call));

	if (!call)
		return -ENOMEM;
	*call = (struct mount_call){.done = done, .swept = swept, .arg = arg, .r = r};
	fakes_later(0, mount_done, call);
	return 0;
}

struct rh_mounter *fakes_mounter(void)
{
	return (struct rh_mounter *)&fakes;
}

bool rh_mounter_uses_slots(const struct rh_mounter *mounter)
{
	return fakes.slots;
}

int rh_mounter_attach(struct rh_mounter *mounter, const struct rh_mount_attach *attach,
	rh_mount_done_fn cb, void *arg)
{
	fakes.n_attaches++;
	if (attach->container_pid <= 0 || !attach->state_dir)
		abort();
	return mount_later(cb, NULL, arg, fakes.attach_r);
}

int rh_mounter_make_dir(struct rh_mounter *mounter, const char *parent, const char *name,
	rh_mount_done_fn cb, void *arg)
{
	char path[4096];
	int r = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", parent, name);
	r = mkdir(path, 0700) < 0 ? -errno : 0;
	(void)strncat(path, "/socket", sizeof(path) - strlen(path) - 1);
	if (r == 0)
		r = mkdir(path, 0700) < 0 ? -errno : 0;
	return mount_later(cb, NULL, arg, r);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

void fakes_remove_tree(const char *path)
{
	(void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int rh_mounter_remove_tree(struct rh_mounter *mounter, const char *parent, const char *name,
	rh_mount_swept_fn cb, void *arg)
{
	char path[4096];

	if (fakes.n_trees_lost > 0) {
		fakes.n_trees_lost--;
		return mount_later(NULL, cb, arg, -EPIPE);
	}
	(void)snprintf(path, sizeof(path), "%s/%s", parent, name);
	fakes_remove_tree(path);
	return mount_later(NULL, cb, arg, 0);
}

struct store_call {
	rh_store_done_fn cb;
	void *arg;
};

static void store_done(void *arg)
{
	struct store_call call = *(struct store_call *)arg;

	free(arg);
	if (call.cb)
		call.cb(call.arg, 0);
}

struct rh_store *fakes_store(void)
{
	return (struct rh_store *)&fakes;
}

static struct fake_record *find_record(const char *instance)
{
	for (unsigned i = 0; i < fakes.n_records; i++) {
		if (strcmp(fakes.records[i].instance, instance) == 0)
			return &fakes.records[i];
	}
	return NULL;
}

const char *fakes_states(const char *instance)
{
	struct fake_record *record = find_record(instance);

	return record ? record->states : "";
}

int rh_store_put_container(struct rh_store *store, const struct rh_store_container *container,
	rh_store_done_fn cb, void *arg)
{
	struct store_call *call = NULL;
	struct fake_record *record = NULL;
	char instance[RH_ID_TEXT_SIZE];

	if (fakes.store_r < 0)
		return fakes.store_r;
	rh_id_format(&container->instance, instance);
	record = find_record(instance);
	if (!record) {
		if (fakes.n_records == FAKE_RECORDS_MAX)
			abort();
		record = &fakes.records[fakes.n_records++];
		memcpy(record->instance, instance, sizeof(instance));
	}
	if (record->states[0])
		(void)strcat(record->states, " ");
	(void)strcat(record->states, container->state);
	(void)snprintf(record->profile, sizeof(record->profile), "%s", container->profile);
	(void)snprintf(record->engine_id, sizeof(record->engine_id), "%s", container->engine_id);
	record->last = *container;
	record->last.profile = record->profile;
	record->last.engine_id = record->engine_id;
	record->last.reason = "";
	call = malloc(sizeof(*call));
	if (!call)
		return -ENOMEM;
	*call = (struct store_call){.cb = cb, .arg = arg};
	fakes_later(0, store_done, call);
	return 0;
}

void fakes_start(uv_loop_t *loop)
{
	fakes = (struct fakes){.loop = loop};
}

unsigned fakes_n_containers(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < FAKE_CONTAINERS_MAX; i++)
		n += fakes.containers[i].exists;
	return n;
}

struct fake_container *fakes_find(const char *instance)
{
	for (size_t i = 0; i < FAKE_CONTAINERS_MAX; i++) {
		if (fakes.containers[i].exists &&
			strcmp(fakes.containers[i].instance, instance) == 0)
			return &fakes.containers[i];
	}
	return NULL;
}

void fakes_kill(struct fake_container *container)
{
	int status = 0;

	if (container->pid <= 0)
		return;
	(void)kill(container->pid, SIGKILL);
	(void)waitpid(container->pid, &status, 0);
	container->pid = 0;
	container->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void fakes_stop(void)
{
	for (size_t i = 0; i < FAKE_CONTAINERS_MAX; i++)
		fakes_kill(&fakes.containers[i]);
}
