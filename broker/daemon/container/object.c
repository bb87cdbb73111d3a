/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The container object: its memory, its handles, and the table by instance.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/daemon/container/container_private.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"

/* Instances are random: their first bytes are as good as any hash. */
static struct rh_container **bucket_of(struct rh_containers *all, const struct rh_id *instance)
{
	unsigned index = (unsigned)instance->bytes[0] << 8 | instance->bytes[1];

	return &all->buckets[index % RH_CONTAINER_N_BUCKETS];
}

struct rh_container *rh_containers_find(struct rh_containers *all, const char *instance_text)
{
	struct rh_id instance = {0};
	struct rh_container *at = NULL;

	if (rh_id_parse(instance_text, &instance) < 0)
		return NULL;
	for (at = *bucket_of(all, &instance); at; at = at->next_in_bucket) {
		if (rh_id_equal(&at->instance, &instance))
			break;
	}
	return at;
}

static void free_container(struct rh_container *container)
{
	struct rh_containers *all = container->all;

	while (!rh_list_is_empty(&container->waiters)) {
		struct rh_container_waiter *waiter =
			rh_list_first(&container->waiters, struct rh_container_waiter, node);

		rh_list_remove(&waiter->node);
		free(waiter);
	}
	if (container->own_profile)
		free(container->own_profile->name);
	free(container->own_profile);
	rh_config_unref(container->config);
	free(container->dir);
	free(container->socket_path);
	free(container);
	rh_containers_unref(all);
}

struct rh_container *rh_container_ref(struct rh_container *container)
{
	container->n_refs++;
	return container;
}

void rh_container_unref(struct rh_container *container)
{
	if (--container->n_refs == 0)
		free_container(container);
}

void rh_container_hold(struct rh_container *container)
{
	container->all->n_handles++;
	(void)rh_container_ref(container);
}

void rh_container_release(struct rh_container *container)
{
	struct rh_containers *all = container->all;

	all->n_refs++;
	all->n_handles--;
	rh_container_unref(container);
	rh_containers_check_closed(all);
	rh_containers_unref(all);
}

void rh_container_set_custody(struct rh_container *container, enum rh_custody custody)
{
	bool was_owned = container->custody == RH_CUSTODY_OWNER;

	container->custody = custody;
	if (custody == RH_CUSTODY_OWNER && !was_owned)
		(void)rh_container_ref(container);
	if (custody == RH_CUSTODY_OWNER || !was_owned)
		return;
	if (container->detached)
		rh_list_remove(&container->node);
	rh_container_unref(container);
}

static int make_paths(struct rh_container *container, const char *parent)
{
	if (asprintf(&container->dir, "%s/%s", parent, container->instance_text) < 0) {
		container->dir = NULL;
		return rh_origin(-ENOMEM);
	}
	if (asprintf(&container->socket_path, "%s/socket/%s", container->dir,
		    RH_AGENT_SOCKET_NAME) < 0) {
		container->socket_path = NULL;
		return rh_origin(-ENOMEM);
	}
	return 0;
}

/* A profile that is no longer configured leaves its name. */
static int take_profile(struct rh_container *container)
{
	struct rh_container_pool *pool = container->pool;
	struct rh_profile *own = NULL;

	container->config = rh_config_ref(container->all->config);
	container->profile = pool->profile;
	memcpy(container->revision, pool->revision, sizeof(container->revision));
	if (container->profile)
		return 0;
	own = calloc(1, sizeof(*own));
	container->own_profile = own;
	if (own)
		own->name = strdup(pool->name);
	container->profile = own;
	return own && own->name ? 0 : rh_origin(-ENOMEM);
}

void rh_container_name_for_pool(struct rh_container *container)
{
	(void)snprintf(container->name, sizeof(container->name), "runnerhub-%.63s-%.12s",
		container->pool->name, container->instance_text);
}

int rh_container_new(struct rh_containers *all, struct rh_container_pool *pool,
	const struct rh_id *instance, struct rh_container **ret_container)
{
	struct rh_container *container = calloc(1, sizeof(*container));
	struct rh_container **bucket = NULL;
	int r = 0;

	if (!container)
		return rh_origin(-ENOMEM);
	all->n_refs++;
	container->all = all;
	container->pool = pool;
	container->n_refs = 1;
	container->pidfd = -1;
	container->created_ms = rh_wall_ms();
	rh_list_init(&container->node);
	rh_list_init(&container->idle_node);
	rh_list_init(&container->removal_node);
	rh_list_init(&container->waiters);
	if (instance)
		container->instance = *instance;
	else
		r = rh_id_new(&container->instance);
	rh_id_format(&container->instance, container->instance_text);
	rh_container_name_for_pool(container);
	if (r == 0)
		r = make_paths(container, all->parent_dir);
	if (r == 0)
		r = take_profile(container);
	if (r == 0)
		r = uv_timer_init(all->options.loop, &container->timer);
	if (r < 0) {
		rh_container_unref(container);
		return rh_trace(r);
	}
	rh_container_hold(container);
	container->link.loop = all->options.loop;
	container->link.events = &rh_container_link_events;
	container->link.arg = container;
	container->link.path = container->socket_path;
	bucket = bucket_of(all, &container->instance);
	container->next_in_bucket = *bucket;
	*bucket = container;
	rh_list_append(&all->list, &container->node);
	all->n_containers++;
	pool->n_by_state[RH_CONTAINER_CREATING]++;
	*ret_container = container;
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	rh_container_release(rh_list_entry(handle, struct rh_container, timer));
}

static void on_exit_closed(uv_handle_t *handle)
{
	rh_container_release(rh_list_entry(handle, struct rh_container, exit_poll));
}

static void unwatch_init(struct rh_container *container)
{
	if (container->pidfd < 0)
		return;
	uv_close((uv_handle_t *)&container->exit_poll, on_exit_closed);
	rh_close(container->pidfd);
	container->pidfd = -1;
}

static void leave_table(struct rh_container *container)
{
	struct rh_container **at = bucket_of(container->all, &container->instance);

	while (*at != container)
		at = &(*at)->next_in_bucket;
	*at = container->next_in_bucket;
	rh_list_remove(&container->node);
	container->all->n_containers--;
	container->pool->n_by_state[container->state]--;
}

void rh_container_detach(struct rh_container *container)
{
	if (container->detached)
		return;
	rh_container_withdraw(container);
	rh_container_settle(container);
	container->detached = true;
	leave_table(container);
	if (container->custody == RH_CUSTODY_OWNER)
		rh_list_append(&container->all->kept, &container->node);
	rh_list_remove(&container->removal_node);
	rh_link_stop(&container->link);
	unwatch_init(container);
	(void)uv_timer_stop(&container->timer);
	uv_close((uv_handle_t *)&container->timer, on_timer_closed);
	rh_container_unref(container);
}

void rh_container_set_timer(
	struct rh_container *container, uint64_t wait_ms, void (*fn)(uv_timer_t *timer))
{
	if (container->detached)
		return;
	if (fn)
		(void)uv_timer_start(&container->timer, fn, wait_ms, 0);
	else
		(void)uv_timer_stop(&container->timer);
}

static void on_exit_poll(uv_poll_t *poll, int status, int events)
{
	struct rh_container *container = rh_list_entry(poll, struct rh_container, exit_poll);

	(void)uv_poll_stop(poll); /* it stays readable */
	rh_container_init_ended(container);
}

int rh_container_watch_init(struct rh_container *container, pid_t pid)
{
	_cleanup_(rh_closep) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	int r = 0;

	if (fd < 0)
		return rh_origin(-errno);
	r = uv_poll_init(container->all->options.loop, &container->exit_poll, fd);
	if (r < 0)
		return rh_trace(r);
	container->pidfd = rh_steal_fd(&fd);
	container->pid = pid;
	rh_container_hold(container);
	return rh_trace(uv_poll_start(&container->exit_poll, UV_READABLE, on_exit_poll));
}

bool rh_container_has_ended(const struct rh_container *container)
{
	struct pollfd poll_fd = {.fd = container->pidfd, .events = POLLIN};

	return container->pidfd < 0 || poll(&poll_fd, 1, 0) != 0;
}
