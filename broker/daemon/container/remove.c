/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The end of a container: kill, remove from the engine, delete its directory, close its record.
 *
 *   STORING ──▶ WAITING ──▶ ENGINE ──▶ TREE ──▶ RECORD ──▶ (gone)
 *                  ▲           │
 *                  └───────────┘   the engine failed: again after 0.25 … 30 s, or when it is up
 *
 * It is killed before "stopping" is stored: a job's processes must not go on, and a broker that
 * dies in between finds a container that has ended, which it removes too. Removal is a promise:
 * record and label outlive the broker.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/daemon/container/container_private.h"

#define REMOVALS_AT_ONCE 8u
#define RETRY_FIRST_MS   250u
#define RETRY_LAST_MS    30000u
#define BUSY_MS          100u /* the engine is removing it already */
#define TREES_LOST_MAX   3u

static void go_on(struct rh_container *container);

void rh_container_kill(struct rh_container *container)
{
	if (container->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, container->pidfd, SIGKILL, NULL, 0);
}

static void run_waiters(struct rh_container *container)
{
	while (!rh_list_is_empty(&container->waiters)) {
		struct rh_container_waiter *waiter =
			rh_list_first(&container->waiters, struct rh_container_waiter, node);
		void (*cb)(void *arg) = waiter->cb;
		void *arg = waiter->arg;

		rh_list_remove(&waiter->node);
		free(waiter);
		cb(arg);
	}
}

static void gone(struct rh_container *container)
{
	struct rh_containers *all = container->all;

	(void)rh_container_ref(container);
	rh_container_detach(container);
	run_waiters(container);
	rh_container_unref(container);
	rh_containers_fill(all);
	rh_containers_check_closed(all);
}

static void remove_tree(struct rh_container *container);

static void on_tree_removed(void *arg, int r, uint64_t bytes, uint64_t n_files)
{
	struct rh_container *container = arg;

	/* Its helper died, which says nothing of the directory; the next one goes on. */
	if (r == -EPIPE && !container->detached && container->n_trees_lost < TREES_LOST_MAX) {
		container->n_trees_lost++;
		remove_tree(container);
		rh_container_unref(container);
		return;
	}
	if (r < 0 && r != -ENOENT && r != -ECANCELED)
		rh_log_warning(container->all->log,
			"container's directory not deleted; the next start tries again",
			RH_STR("directory", container->dir), RH_ERRNO(r));
	if (!container->detached) {
		container->removal = RH_REMOVAL_RECORD;
		rh_container_move(container, RH_CONTAINER_REMOVED, gone);
	}
	rh_container_unref(container);
}

static void remove_tree(struct rh_container *container)
{
	struct rh_containers *all = container->all;
	int r = 0;

	container->removal = RH_REMOVAL_TREE;
	r = rh_mounter_remove_tree(all->options.mounter, all->parent_dir, container->instance_text,
		on_tree_removed, rh_container_ref(container));
	if (r < 0)
		on_tree_removed(container, r, 0, 0); /* drops the reference */
}

static void on_retry(uv_timer_t *timer)
{
	rh_container_removal_go_on(rh_list_entry(timer, struct rh_container, timer));
}

static void retry_later(struct rh_container *container, int r)
{
	unsigned shift = container->n_removal_failures < 8 ? container->n_removal_failures : 8;
	uint64_t wait_ms = (uint64_t)RETRY_FIRST_MS << shift;

	container->removal = RH_REMOVAL_WAITING;
	if (r == -EEXIST)
		wait_ms = BUSY_MS;
	else
		container->n_removal_failures++;
	rh_container_set_timer(
		container, wait_ms < RETRY_LAST_MS ? wait_ms : RETRY_LAST_MS, on_retry);
}

static void slot_freed(struct rh_containers *all)
{
	struct rh_container *next =
		rh_list_first(&all->removals, struct rh_container, removal_node);

	all->n_removing--;
	if (next) {
		rh_list_remove(&next->removal_node);
		go_on(next);
	}
}

static void on_removed(void *arg, int r, const struct rh_err *err)
{
	struct rh_container *container = arg;
	struct rh_containers *all = container->all;

	if (r == 0)
		rh_container_dismiss(container);
	if (!container->detached && r == 0) {
		remove_tree(container);
	} else if (!container->detached) {
		if (r != -EEXIST && container->n_removal_failures == 0)
			rh_log_warning(all->log, "container not removed, trying again",
				RH_STR("container", container->instance_text),
				RH_STR("reason", err->text));
		retry_later(container, r);
	}
	if (!all->finished)
		slot_freed(all);
	rh_container_unref(container);
}

/* From WAITING, when nothing is in the way. */
static void go_on(struct rh_container *container)
{
	struct rh_containers *all = container->all;
	const char *id = container->engine_id[0] ? container->engine_id : container->name;
	int r = 0;

	rh_container_set_timer(container, 0, NULL); /* something else was quicker */
	if (container->create_in_flight || container->n_to_create > 0)
		return; /* its creation calls rh_container_removal_go_on() */
	if (!container->asked) {
		remove_tree(container);
		return;
	}
	if (container->recorded && !all->listed)
		return; /* the engine's list goes on, and says which of its containers this is */
	if (all->n_removing >= REMOVALS_AT_ONCE) {
		rh_list_remove(&container->removal_node);
		rh_list_append(&all->removals, &container->removal_node);
		return;
	}
	container->removal = RH_REMOVAL_ENGINE;
	all->n_removing++;
	r = rh_engine_remove(all->options.engine, id, on_removed, rh_container_ref(container));
	if (r < 0) {
		all->n_removing--;
		rh_container_unref(container);
		retry_later(container, r);
	}
}

void rh_container_removal_go_on(struct rh_container *container)
{
	if (container->removal == RH_REMOVAL_WAITING)
		go_on(container);
}

void rh_containers_retry_removals(struct rh_containers *all)
{
	rh_list_for_each (at, &all->list) {
		struct rh_container *container = rh_list_entry(at, struct rh_container, node);

		if (container->removal == RH_REMOVAL_WAITING &&
			rh_list_is_empty(&container->removal_node))
			go_on(container);
	}
}

static void on_stopping_stored(struct rh_container *container)
{
	container->removal = RH_REMOVAL_WAITING;
	go_on(container);
}

void rh_container_end(struct rh_container *container, const char *reason, bool failed)
{
	if (container->detached || container->removal != RH_REMOVAL_NONE)
		return;
	container->removal = RH_REMOVAL_STORING;
	(void)snprintf(container->reason, sizeof(container->reason), "%s", reason);
	rh_container_kill(container);
	rh_container_set_timer(container, 0, NULL);
	rh_container_withdraw(container);
	rh_link_stop(&container->link);
	rh_log_info(container->all->log, failed ? "container failed" : "container stops",
		RH_STR("container", container->instance_text), RH_STR("name", container->name),
		RH_STR("reason", container->reason));
	rh_container_lease_failed(container, -EIO, container->reason);
	if (failed)
		rh_container_move(container, RH_CONTAINER_FAILED, NULL);
	/* Adopted ones may be here already. */
	if (container->state == RH_CONTAINER_STOPPING)
		rh_container_save(container, on_stopping_stored);
	else
		rh_container_move(container, RH_CONTAINER_STOPPING, on_stopping_stored);
	rh_container_settle(container);
}

void rh_container_discard(
	struct rh_container *container, const char *reason, void (*cb)(void *arg), void *arg)
{
	struct rh_container_waiter *waiter = cb ? calloc(1, sizeof(*waiter)) : NULL;

	(void)rh_container_ref(container);
	if (waiter) {
		waiter->cb = cb;
		waiter->arg = arg;
		rh_list_append(&container->waiters, &waiter->node);
	}
	container->owner = NULL;
	rh_container_end(container, reason, false);
	if (container->custody == RH_CUSTODY_OWNER)
		rh_container_set_custody(container, RH_CUSTODY_NONE);
	/* Gone already, or out of memory for a waiter: what is promised is the callback. */
	if (container->detached && waiter)
		rh_container_soon(container, run_waiters, true);
	else if (cb && !waiter)
		cb(arg);
	rh_container_unref(container);
}
