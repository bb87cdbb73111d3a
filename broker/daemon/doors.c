/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The run directory: the sockets, what clients read there, and a look each second whether all of it
 * is still there. Whoever empties /run must not end the jobs of a host until somebody notices.
 */

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "broker/daemon/broker_private.h"
#include "runnerhub/limits.h"

#define CHECK_EVERY_MS UINT64_C(1000)

static int start_sockets(struct rh_broker *broker, struct rh_err *err)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/" RH_BROKER_SOCKET, broker->config->runtime_dir);

	struct rh_peer_server_options peers = {
		.loop = &broker->loop,
		.log = broker->log,
		.path = path,
		.allowed = rh_jobs_allowed,
		.on_first = rh_jobs_on_peer,
		.arg = broker->jobs,
	};
	struct rh_control_options control = {
		.loop = &broker->loop,
		.config = broker->config,
		.log = broker->log,
		.store = broker->store,
		.engine = broker->engine,
		.network = broker->network,
		.containers = broker->containers,
		.jobs = broker->jobs,
		.started_ms = broker->started_ms,
		.drain = rh_broker_drain,
		.reload = rh_broker_reload,
		.arg = broker,
	};
	int r = rh_control_start(&control, &broker->control, err);

	return r < 0 ? rh_trace(r) : rh_peer_server_start(&peers, &broker->peers, err);
}

/* A small file in memory, and only when it is missing: nothing that the loop would feel. */
static int check_conf(const struct rh_broker *broker, struct rh_err *err)
{
	char path[4096];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/" RH_CLIENT_CONF, broker->config->runtime_dir);
	if (lstat(path, &st) == 0 || errno != ENOENT)
		return 0;

	int r = rh_config_publish(broker->config, err);

	return r < 0 ? rh_trace(r) : 1;
}

/* Return: how many things were made again; negative errno with @err. */
static int check(struct rh_broker *broker, struct rh_err *err)
{
	struct stat st;
	int n = 0;
	int r = 0;

	if (lstat(broker->config->runtime_dir, &st) < 0 && errno == ENOENT)
		r = rh_broker_make_dir(broker->config->runtime_dir, 0755, err);
	if (r == 0)
		r = check_conf(broker, err);
	if (r >= 0) {
		n += r;
		r = rh_control_check(broker->control, err);
	}
	if (r >= 0) {
		n += r;
		r = rh_peer_server_check(broker->peers, err);
	}
	return r < 0 ? rh_trace(r) : n + r;
}

static void on_check(uv_timer_t *timer)
{
	struct rh_broker *broker = timer->data;
	struct rh_err err = {0};
	int r = check(broker, &err);

	if (r > 0)
		rh_log_warning(broker->log, "what was removed from the run directory is back",
			RH_STR("directory", broker->config->runtime_dir), RH_NUM("things", r));
	/* Once, not each second. */
	if (r < 0 && !broker->doors_fail)
		rh_log_error(broker->log,
			"the run directory is not as it should be; restart the broker",
			RH_STR("why", err.text));
	broker->doors_fail = r < 0;
}

int rh_broker_open_doors(struct rh_broker *broker, struct rh_err *err)
{
	int r = start_sockets(broker, err);

	if (r < 0)
		return rh_trace(r);
	(void)uv_timer_start(&broker->doors_timer, on_check, CHECK_EVERY_MS, CHECK_EVERY_MS);
	return 0;
}
