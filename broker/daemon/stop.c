/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Draining and stopping: the parts are closed one after the other, from the door inwards.
 */

#include "broker/daemon/broker.h"

#include "broker/daemon/broker_private.h"
#include "broker/daemon/notify.h"

static void on_idle(void *arg)
{
	struct rh_broker *broker = arg;

	if (broker->state == RH_BROKER_DRAINING)
		rh_broker_stop(broker);
}

void rh_broker_drain(void *arg, bool on)
{
	struct rh_broker *broker = arg;

	if (on) {
		rh_log_notice(broker->log, "draining: no new jobs");
		rh_jobs_drain(broker->jobs, on_idle, broker);
	} else if (broker->state != RH_BROKER_DRAINING) {
		rh_log_notice(broker->log, "taking jobs again");
		rh_jobs_resume(broker->jobs);
	}
}

static void on_drain_deadline(uv_timer_t *timer)
{
	struct rh_broker *broker = timer->data;

	rh_log_warning(
		broker->log, "drain deadline passed: jobs go on and wait for the next broker");
	rh_broker_stop(broker);
}

void rh_broker_on_stop_signal(uv_signal_t *handle, int signum)
{
	struct rh_broker *broker = handle->data;

	if (broker->state == RH_BROKER_STOPPING)
		return;
	if (broker->state == RH_BROKER_DRAINING) {
		rh_log_notice(broker->log, "stopping at once: second signal");
		rh_broker_stop(broker);
		return;
	}
	broker->state = RH_BROKER_DRAINING;
	rh_notify("STOPPING=1\nSTATUS=draining");
	(void)uv_timer_start(
		&broker->drain_timer, on_drain_deadline, broker->config->drain_timeout_ms, 0);
	rh_broker_drain(broker, true);
}

static void on_store_closed(void *arg)
{
	struct rh_broker *broker = arg;

	broker->store = NULL;
}

static void on_mounter_closed(void *arg)
{
	struct rh_broker *broker = arg;

	broker->mounter = NULL;
	if (broker->store)
		rh_store_close(broker->store, on_store_closed, broker);
}

static void on_engine_closed(void *arg)
{
	struct rh_broker *broker = arg;

	broker->engine = NULL;
	rh_mounter_close(broker->mounter, on_mounter_closed, broker);
}

static void on_network_closed(void *arg)
{
	struct rh_broker *broker = arg;

	broker->network = NULL;
	if (broker->engine)
		rh_engine_close(broker->engine, on_engine_closed, broker);
	else
		on_engine_closed(broker);
}

static void on_containers_closed(void *arg)
{
	struct rh_broker *broker = arg;

	broker->containers = NULL;
	if (broker->network)
		rh_network_close(broker->network, on_network_closed, broker);
	else
		on_network_closed(broker);
}

static void on_jobs_closed(void *arg)
{
	struct rh_broker *broker = arg;

	broker->jobs = NULL;
	if (broker->containers)
		rh_containers_close(broker->containers, true, on_containers_closed, broker);
	else
		on_containers_closed(broker);
}

static void on_control_closed(void *arg)
{
	struct rh_broker *broker = arg;

	broker->control = NULL;
	if (broker->jobs)
		rh_jobs_close(broker->jobs, on_jobs_closed, broker);
	else
		on_jobs_closed(broker);
}

static void on_peers_closed(void *arg)
{
	struct rh_broker *broker = arg;

	broker->peers = NULL;
	if (broker->control)
		rh_control_close(broker->control, on_control_closed, broker);
	else
		on_control_closed(broker);
}

/* Closes the parts one after the other, from the door inwards; the loop ends with the last handle.
 */
void rh_broker_stop(struct rh_broker *broker)
{
	if (broker->state == RH_BROKER_STOPPING)
		return;
	broker->state = RH_BROKER_STOPPING;
	/* Nobody waits for what takes long and can be done by the next broker. */
	rh_mounter_end_sweeps(broker->mounter);
	uv_close((uv_handle_t *)&broker->on_term, NULL);
	uv_close((uv_handle_t *)&broker->on_int, NULL);
	uv_close((uv_handle_t *)&broker->on_hup, NULL);
	uv_close((uv_handle_t *)&broker->drain_timer, NULL);
	uv_close((uv_handle_t *)&broker->retain_timer, NULL);
	uv_close((uv_handle_t *)&broker->doors_timer, NULL);
	if (broker->peers)
		rh_peer_server_close(broker->peers, on_peers_closed, broker);
	else
		on_peers_closed(broker);
}
