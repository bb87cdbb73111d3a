/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The death of a container that was not to end: find out why, tell its owner, remove it.
 *
 * Its init's pidfd tells first, within microseconds; the engine needs longer to know, and knows
 * the exit status and whether memory ran out. So its event is waited for a little, then it is
 * asked. Nobody waits for this but the message: steps see their channels close at once.
 */

#include <errno.h>
#include <string.h>

#include "broker/daemon/container/container_private.h"
#include "runnerhub/cleanup.h"

#define EVENT_WAIT_MS   1500 /* of a job's: its log will say why */
#define IDLE_WAIT_MS    300
#define INSPECT_WAIT_MS 250
#define INSPECTIONS_MAX 8u
#define LOG_LINES       5u

void rh_container_lost(struct rh_container *container, const char *reason)
{
	struct rh_containers *all = container->all;
	bool tell = container->state == RH_CONTAINER_LEASED &&
		container->custody == RH_CUSTODY_OWNER && !container->lease.cb;

	if (container->detached || container->removal != RH_REMOVAL_NONE)
		return;
	if (container->state == RH_CONTAINER_CREATING && !container->adopting) {
		struct rh_err err = {0};

		(void)rh_err_set(&err, -EIO, "%s", reason);
		rh_containers_pool_failed(all, container->pool, -EIO, &err);
	}
	(void)rh_container_ref(container);
	rh_container_end(container, reason, true);
	if (tell)
		all->options.on_lost(all->options.arg, container, container->reason);
	rh_container_unref(container);
	rh_containers_fill(all);
}

/* The last line of what it said, if it said something. */
static const char *last_line(char *text)
{
	size_t n = strlen(text);
	char *newline = NULL;

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		text[--n] = '\0';
	newline = strrchr(text, '\n');
	return newline ? newline + 1 : text;
}

static void on_logs(void *arg, int r, const char *text, const struct rh_err *err)
{
	struct rh_container *container = arg;
	char copy[4096] = "";
	char reason[sizeof(container->reason)];

	if (r == 0)
		(void)snprintf(copy, sizeof(copy), "%s", text);

	const char *line = last_line(copy);

	(void)snprintf(reason, sizeof(reason), line[0] ? "%.120s: %.120s" : "%.120s",
		container->reason, line);
	rh_container_lost(container, reason);
	rh_container_unref(container);
}

/* One that never was warm may have said why. */
static void conclude(struct rh_container *container, const char *reason)
{
	int r = 0;

	if (container->state != RH_CONTAINER_CREATING || container->engine_id[0] == '\0') {
		rh_container_lost(container, reason);
		return;
	}
	container->dying = true;
	(void)snprintf(container->reason, sizeof(container->reason), "%s", reason);
	r = rh_engine_logs(container->all->options.engine, container->engine_id, LOG_LINES, on_logs,
		rh_container_ref(container));
	if (r < 0) {
		rh_container_unref(container);
		rh_container_lost(container, reason);
	}
}

static void inspect(struct rh_container *container);

static void on_inspect_again(uv_timer_t *timer)
{
	inspect(rh_list_entry(timer, struct rh_container, timer));
}

static void explain_end(struct rh_container *container, int exit_code, bool oom)
{
	char reason[sizeof(container->reason)];
	const char *how = exit_code > 128 ? "was killed" : "ended";

	(void)snprintf(reason, sizeof(reason), "its container %s (exit status %d%s)", how,
		exit_code, oom || container->oom ? ", out of memory" : "");
	conclude(container, reason);
}

/* The engine does not say why; with its event seen before, that is known at least. */
static void explain_silence(struct rh_container *container)
{
	char reason[sizeof(container->reason)];

	if (container->died)
		(void)snprintf(reason, sizeof(reason),
			"its container ended (exit status %d) while the container engine stopped",
			container->exit_code);
	else
		(void)snprintf(reason, sizeof(reason),
			"its container ended, and the container engine does not answer; was it "
			"stopped?");
	conclude(container, reason);
}

static void on_inspected(void *arg, int r, const struct rh_engine_container *list, size_t n,
	const struct rh_err *err)
{
	struct rh_container *container = arg;

	if (container->detached || container->removal != RH_REMOVAL_NONE)
		;
	else if (r == -ENOENT || (n > 0 && strcmp(list->state, "removing") == 0))
		conclude(container, "its container was removed by someone else");
	else if (r < 0 || n == 0)
		explain_silence(container);
	else if (strcmp(list->state, "running") != 0)
		explain_end(container, list->exit_code, list->oom_killed);
	else if (container->n_inspections < INSPECTIONS_MAX)
		rh_container_set_timer(container, INSPECT_WAIT_MS, on_inspect_again);
	else
		conclude(container, "its container was restarted");
	rh_container_unref(container);
}

static void inspect(struct rh_container *container)
{
	const char *id = container->engine_id[0] ? container->engine_id : container->name;
	int r = 0;

	rh_container_set_timer(container, 0, NULL);
	container->n_inspections++;
	if (container->recorded && !container->all->listed &&
		container->n_inspections < INSPECTIONS_MAX &&
		rh_engine_is_up(container->all->options.engine)) {
		/* Its list, which is under way, says which of its containers this is. */
		rh_container_set_timer(container, INSPECT_WAIT_MS, on_inspect_again);
		return;
	}
	r = rh_engine_inspect(
		container->all->options.engine, id, on_inspected, rh_container_ref(container));
	if (r < 0) {
		rh_container_unref(container);
		explain_silence(container);
	}
}

void rh_container_init_ended(struct rh_container *container)
{
	if (container->detached || container->removal != RH_REMOVAL_NONE || container->dying)
		return;
	container->dying = true;
	rh_container_withdraw(container);
	rh_link_stop(&container->link);
	if (container->destroyed)
		conclude(container, "its container was removed by someone else");
	else if (container->died || !rh_engine_is_up(container->all->options.engine))
		inspect(container);
	else
		rh_container_set_timer(container,
			container->state == RH_CONTAINER_LEASED ? EVENT_WAIT_MS : IDLE_WAIT_MS,
			on_inspect_again);
}

void rh_container_agent_lost(struct rh_container *container, const char *why)
{
	if (container->detached || container->removal != RH_REMOVAL_NONE || container->dying)
		return;
	if (container->adopting)
		rh_container_end(container, "it did not outlive the broker's absence", false);
	else if (container->pidfd >= 0 && rh_container_has_ended(container))
		rh_container_init_ended(container);
	else
		conclude(container, why);
}

static void on_died(struct rh_container *container, const struct rh_engine_event *event)
{
	container->died = true;
	container->exit_code = event->exit_code;
	if (!container->dying)
		rh_container_init_ended(container);
	else if (uv_is_active((const uv_handle_t *)&container->timer))
		inspect(container);
}

static void on_container_event(struct rh_container *container, const struct rh_engine_event *event)
{
	if (container->removal != RH_REMOVAL_NONE)
		return;
	switch (event->kind) {
	case RH_ENGINE_DIED:
		on_died(container, event);
		break;
	case RH_ENGINE_OOM:
		container->oom = true;
		break;
	case RH_ENGINE_PAUSED:
		if (container->state == RH_CONTAINER_WARM)
			rh_container_lost(container, "its container was paused");
		break;
	case RH_ENGINE_DESTROYED:
		container->destroyed = true;
		if (!container->dying)
			rh_container_lost(container, "its container was removed by someone else");
		else if (uv_is_active((const uv_handle_t *)&container->timer))
			inspect(container);
		break;
	case RH_ENGINE_UP:
	case RH_ENGINE_DOWN:
		break;
	}
}

void rh_containers_on_engine(struct rh_containers *all, const struct rh_engine_event *event)
{
	struct rh_container *container = NULL;

	if (all->closing)
		return;
	if (event->kind == RH_ENGINE_UP) {
		rh_containers_retry_removals(all);
		rh_containers_reconcile(all);
	} else if (event->kind != RH_ENGINE_DOWN) {
		container = rh_containers_find(all, event->instance);
		if (container &&
			(container->engine_id[0] == '\0' ||
				strcmp(container->engine_id, event->id) == 0))
			on_container_event(container, event);
	}
}
