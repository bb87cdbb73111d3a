/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A container's lease: record and mounts at once, then the agent's word; and its steps.
 *
 * No engine call is on this path. Whether it still lives is asked of its pidfd, whether it was
 * leased before of its agent. The link may break meanwhile: what the agent says when it is met
 * again tells whether the lease has reached it.
 */

#include <errno.h>
#include <string.h>

#include "broker/daemon/container/container_private.h"
#include "runnerhub/clock.h"

/* How many more reports than twice a step an agent may send: those that come again. */
#define REPORTS_SPARE 64

static void deliver(struct rh_container *container)
{
	rh_container_leased_fn cb = container->lease.cb;

	container->lease.cb = NULL;
	if (cb)
		cb(container->lease.arg, container->lease.r, &container->lease.result,
			&container->lease.err);
}

void rh_container_lease_failed(struct rh_container *container, int r, const char *why)
{
	if (!container->lease.cb || container->lease.over)
		return;
	container->lease.over = true;
	if (container->lease.r == 0) {
		container->lease.r = r;
		(void)rh_err_set(&container->lease.err, r, "%s", why);
	}
	rh_container_soon(container, deliver, true);
}

static bool is_leasing(const struct rh_container *container)
{
	return container->state == RH_CONTAINER_LEASED && container->lease.cb &&
		!container->lease.over;
}

static void on_renamed(void *arg, int r, const struct rh_err *err)
{
	struct rh_container *container = arg;

	/* The name it was created with, then. */
	if (r < 0)
		rh_container_name_for_pool(container);
	rh_container_unref(container);
}

/* For people, who look at the engine's list; nothing depends on it. */
static void rename_for_job(struct rh_container *container)
{
	if (rh_engine_rename(container->all->options.engine, container->engine_id, container->name,
		    on_renamed, rh_container_ref(container)) < 0) {
		rh_container_name_for_pool(container);
		rh_container_unref(container);
	}
}

static void finish(struct rh_container *container)
{
	char job[RH_ID_TEXT_SIZE];

	container->lease.over = true;
	rh_container_set_timer(container, 0, NULL);
	/* The job's log names it as it will be called from now on. */
	rh_id_format(&container->job, job);
	(void)snprintf(container->name, sizeof(container->name), "runnerhub-%.12s", job);
	deliver(container);
	if (container->state == RH_CONTAINER_LEASED)
		rename_for_job(container);
}

static void on_silence(uv_timer_t *timer)
{
	struct rh_container *container = rh_list_entry(timer, struct rh_container, timer);

	rh_container_end(container, "its agent did not answer to the lease", true);
}

static void send_lease(struct rh_container *container)
{
	struct rh_wire_lease body = {
		.job = container->job,
		.uid = container->lease.uid,
		.gid = container->lease.gid,
	};
	int r = rh_link_send(&container->link, RH_WIRE_LEASE, &body, sizeof(body), NULL, 0);

	container->lease.sent = true;
	if (r < 0)
		rh_container_end(container, "the lease could not be sent to its agent", true);
	else
		rh_container_set_timer(
			container, container->all->config->agent_timeout_ms, on_silence);
}

/* The store or the mounter is done. */
static void part_done(struct rh_container *container)
{
	container->lease.n_waiting--;
	if (container->detached || !is_leasing(container))
		return;
	if (container->lease.r < 0)
		rh_container_end(container, container->lease.err.text, true);
	else if (container->lease.n_waiting == 0)
		send_lease(container);
}

static void on_attached(
	void *arg, int r, const struct rh_mount_result *result, const struct rh_err *err)
{
	struct rh_container *container = arg;

	if (r < 0 && container->lease.r == 0) {
		container->lease.r = r;
		container->lease.err = *err;
	}
	if (r == 0 && result)
		container->lease.result = *result;
	part_done(container);
	rh_container_unref(container);
}

int rh_container_lease(struct rh_container *container, const struct rh_id *job,
	const struct rh_mount_attach *attach, rh_container_leased_fn cb, void *arg)
{
	struct rh_mount_attach own = *attach;
	int r = 0;

	if (container->state != RH_CONTAINER_WARM || container->custody != RH_CUSTODY_OWNER)
		return rh_origin(-ENOTCONN); /* it died between acquire and lease */
	if (container->dying || rh_container_has_ended(container))
		return rh_origin(-ENOTCONN);
	own.container_pid = container->pid;
	own.state_dir = container->dir;
	container->job = *job;
	container->lease = (struct rh_container_lease_call){
		.cb = cb,
		.arg = arg,
		.n_waiting = 2,
		.uid = attach->step_uid,
		.gid = attach->step_gid,
	};
	rh_container_move(container, RH_CONTAINER_LEASED, part_done);
	r = rh_mounter_attach(
		container->all->options.mounter, &own, on_attached, rh_container_ref(container));
	if (r < 0) {
		rh_container_unref(container);
		container->lease.n_waiting--;
		container->lease.r = r;
		(void)rh_err_set(&container->lease.err, r,
			"its directories could not be mounted: %s", strerror(-r));
		rh_container_end(container, container->lease.err.text, true);
	}
	return 0;
}

static bool is_for_us(const struct rh_container *container, const struct rh_wire_state *state)
{
	return (state->flags & RH_WIRE_STATE_LEASED) && rh_id_equal(&state->job, &container->job);
}

void rh_container_lease_state(struct rh_container *container, const struct rh_wire_state *state)
{
	bool is_leased = state->flags & RH_WIRE_STATE_LEASED;

	if (container->link.pid != container->pid) {
		rh_container_lost(container, "its container was restarted");
	} else if (container->state == RH_CONTAINER_WARM) {
		if (is_leased)
			rh_container_lost(container, "its agent was leased by somebody else");
	} else if (is_leasing(container) && !container->lease.sent) {
		if (is_leased)
			rh_container_end(container, "its agent was leased by somebody else", true);
	} else if (is_for_us(container, state)) {
		if (is_leasing(container))
			finish(container);
	} else if (is_leasing(container) && !is_leased) {
		send_lease(container);
	} else if (container->state == RH_CONTAINER_LEASED) {
		rh_container_lost(container, "its agent has forgotten the job");
	}
}

void rh_container_on_leased(void *arg, const struct rh_wire_state *state)
{
	struct rh_container *container = arg;

	/* The answer to a lease that was sent twice, around a break of the link. */
	if (!is_leasing(container) || !container->lease.sent)
		return;
	if (is_for_us(container, state))
		finish(container);
	else
		rh_container_end(container, "its agent was leased by somebody else", true);
}

void rh_container_on_refused(void *arg, const char *why)
{
	struct rh_container *container = arg;
	struct rh_err err = {0};

	(void)rh_err_set(&err, -EACCES, "its agent refused: %.300s", why);
	if (is_leasing(container))
		rh_container_end(container, err.text, true);
	else
		rh_log_warning(container->all->log, "agent refused",
			RH_STR("container", container->instance_text), RH_STR("why", why));
}

void rh_container_on_step_ended(void *arg, const struct rh_wire_step_report *report)
{
	struct rh_container *container = arg;
	const struct rh_containers_options *options = &container->all->options;

	if (container->state != RH_CONTAINER_LEASED || container->custody != RH_CUSTODY_OWNER)
		return;
	if (!rh_id_equal(&report->job, &container->job)) {
		rh_container_lost(container, "its agent reports steps of another job");
		return;
	}
	/* Again after an adoption, or where the store did not take it. */
	if (report->step == 0 || report->step > container->last_step ||
		container->n_reports++ > REPORTS_SPARE + 2 * container->last_step) {
		rh_container_lost(container, "its agent reports steps that nobody began");
		return;
	}
	options->on_step_ended(options->arg, container, report);
}

void rh_container_hear(struct rh_container *container)
{
	rh_link_hear(&container->link);
}

int rh_container_step(struct rh_container *container, uint64_t step, const int fds[5])
{
	struct rh_wire_step_ref body = {.job = container->job, .step = step};
	int r = 0;

	if (container->state != RH_CONTAINER_LEASED || container->lease.cb || container->dying)
		return rh_origin(-ENOTCONN);
	r = rh_link_send(&container->link, RH_WIRE_STEP, &body, sizeof(body), fds, 5);
	if (r == 0 && step > container->last_step)
		container->last_step = step;
	return rh_trace(r);
}

void rh_container_step_ack(struct rh_container *container, uint64_t step)
{
	struct rh_wire_step_ref body = {.job = container->job, .step = step};

	/* If it cannot be sent the report comes once more. */
	if (container->state == RH_CONTAINER_LEASED)
		(void)rh_link_send(
			&container->link, RH_WIRE_STEP_ACK, &body, sizeof(body), NULL, 0);
}

void rh_container_step_kill(struct rh_container *container, uint64_t step, const char *why)
{
	struct rh_wire_step_ref ref = {.job = container->job, .step = step};
	uint8_t body[RH_WIRE_BODY_MAX];
	size_t n = strnlen(why, sizeof(body) - sizeof(ref));

	memcpy(body, &ref, sizeof(ref));
	memcpy(body + sizeof(ref), why, n);
	/* If it cannot be sent, whoever watches tries again. */
	if (container->state == RH_CONTAINER_LEASED)
		(void)rh_link_send(
			&container->link, RH_WIRE_STEP_KILL, body, sizeof(ref) + n, NULL, 0);
}
