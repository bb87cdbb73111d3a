/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Stand-ins for what jobs stand on.
 */

#include "fakes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/daemon/container/enforced.h"

struct fakes fakes;

/* -- mounter -- */

struct rh_mounter *fakes_mounter(void)
{
	return (struct rh_mounter *)&fakes.released;
}

int rh_mounter_release(struct rh_mounter *mounter, const struct rh_mount_release *release,
	rh_mount_done_fn cb, void *arg)
{
	fakes.released = cb;
	fakes.released_arg = arg;
	return 0;
}

int rh_mounter_retire(struct rh_mounter *mounter, const struct rh_mount_retire *retire,
	rh_mount_done_fn cb, void *arg)
{
	return -ENOBUFS;
}

int rh_mounter_sweep(struct rh_mounter *mounter, const char *work, rh_mount_swept_fn cb, void *arg)
{
	fakes.sweeper = mounter;
	fakes.swept = cb;
	fakes.swept_arg = arg;
	return 0;
}

void fakes_release(int r)
{
	rh_mount_done_fn cb = fakes.released;
	struct rh_mount_result result = {0};
	struct rh_err err = {0};

	(void)rh_err_set(&err, r, "released: %s", strerror(-r));
	fakes.released = NULL;
	cb(fakes.released_arg, r, &result, &err);
}

void fakes_sweep(int r, uint64_t bytes, uint64_t n_files)
{
	rh_mount_swept_fn cb = fakes.swept;

	fakes.swept = NULL;
	cb(fakes.swept_arg, r, bytes, n_files);
}

/* -- store -- */

struct rh_store *fakes_store(void)
{
	return (struct rh_store *)&fakes.event;
}

int rh_store_put_job(
	struct rh_store *store, const struct rh_store_job *job, rh_store_done_fn cb, void *arg)
{
	fakes.n_saved++;
	if (cb)
		cb(arg, 0);
	return 0;
}

int rh_store_put_step(
	struct rh_store *store, const struct rh_store_step *step, rh_store_done_fn cb, void *arg)
{
	return 0;
}

int rh_store_put_isolation(struct rh_store *store, const struct rh_store_isolation *isolation,
	rh_store_done_fn cb, void *arg)
{
	return 0;
}

int rh_store_add_event(struct rh_store *store, const struct rh_store_event *event)
{
	if (store != fakes_store())
		return -EINVAL;
	(void)snprintf(fakes.event, sizeof(fakes.event), "%s: %s", event->kind, event->message);
	fakes.event_job = event->job;
	return 0;
}

/* -- containers -- */

struct rh_containers *fakes_containers(void)
{
	return (struct rh_containers *)&fakes.acquired;
}

bool rh_containers_map_ids(const struct rh_containers *all)
{
	return true;
}

void rh_containers_refill(struct rh_containers *all)
{
}

void rh_containers_announce(
	struct rh_containers *all, const struct rh_profile *profile, const char *runner)
{
}

int rh_containers_acquire(struct rh_containers *all, const struct rh_profile *profile,
	const char *runner, rh_container_acquired_fn cb, void *arg,
	struct rh_container_request **ret_request)
{
	fakes.acquired = cb;
	fakes.acquired_arg = arg;
	*ret_request = (struct rh_container_request *)&fakes.acquired;
	return 0;
}

void rh_container_request_cancel(struct rh_container_request *request)
{
	fakes.acquired = NULL;
	fakes.n_cancelled++;
}

int rh_container_lease(struct rh_container *container, const struct rh_id *job,
	const struct rh_mount_attach *attach, rh_container_leased_fn cb, void *arg)
{
	return -ENOTCONN;
}

int rh_container_step(struct rh_container *container, uint64_t step, const int fds[5])
{
	return -ENOTCONN;
}

void rh_container_step_ack(struct rh_container *container, uint64_t step)
{
}

void rh_container_step_kill(struct rh_container *container, uint64_t step, const char *why)
{
}

void rh_container_hear(struct rh_container *container)
{
}

void rh_container_discard(
	struct rh_container *container, const char *reason, void (*cb)(void *arg), void *arg)
{
	container->n_discarded++;
}

const char *rh_container_dir(const struct rh_container *container)
{
	return NULL;
}

const char *rh_container_firewall(const struct rh_container *container)
{
	return "";
}

const char *rh_container_name(const struct rh_container *container)
{
	return "c";
}

const struct rh_id *rh_container_instance(const struct rh_container *container)
{
	return &container->instance;
}

const struct rh_id *rh_container_job(const struct rh_container *container)
{
	return &container->job;
}

const struct rh_profile *rh_container_profile(const struct rh_container *container)
{
	return container->profile;
}

struct rh_config *rh_container_config(const struct rh_container *container)
{
	return container->config;
}

uint64_t rh_container_last_step(const struct rh_container *container)
{
	return 0;
}

pid_t rh_container_pid(const struct rh_container *container)
{
	return 1;
}

void rh_container_set_owner(struct rh_container *container, void *owner)
{
	container->owner = owner;
}

void *rh_container_owner(const struct rh_container *container)
{
	return container->owner;
}

/* -- what is in force -- */

int rh_enforced_read(pid_t pid, struct rh_enforced *ret_enforced)
{
	return 0;
}

int rh_enforced_check(const struct rh_enforced *enforced, const struct rh_enforced_wanted *wanted,
	char *ret_text, size_t size)
{
	fakes.judged_by = wanted->profile;
	return 0;
}

struct json_object *rh_enforced_to_json(const struct rh_enforced *enforced)
{
	return json_object_new_object();
}
