/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The broker's own life: start and adoption. reload.c and stop.c hold the rest.
 */

#include "broker/daemon/broker.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "broker/daemon/broker_private.h"
#include "broker/daemon/notify.h"
#include "runnerhub/clock.h"

#define RETAIN_FIRST_MS (UINT64_C(60) * 1000)
#define RETAIN_EVERY_MS (UINT64_C(600) * 1000)

static void on_engine_event(void *arg, const struct rh_engine_event *event)
{
	struct rh_broker *broker = arg;

	if (broker->containers)
		rh_containers_on_engine(broker->containers, event);
}

static void on_job_event(void *arg, const struct rh_store_event *event)
{
	struct rh_broker *broker = arg;

	if (broker->control)
		rh_control_publish(broker->control, event);
}

static bool on_leased(void *arg, const struct rh_id *job, struct rh_container *container)
{
	struct rh_broker *broker = arg;

	return rh_jobs_wants(broker->jobs, job, container);
}

static void on_adopted(void *arg, int r)
{
	struct rh_broker *broker = arg;
	bool serves = broker->state == RH_BROKER_ADOPTING;

	rh_store_open_free(rh_steal(&broker->open));
	if (broker->state == RH_BROKER_STOPPING)
		return;
	if (serves)
		broker->state = RH_BROKER_SERVING;
	/* One that was told to stop meanwhile waits for these jobs, perhaps for days. */
	rh_jobs_adopted(broker->jobs);
	if (r < 0)
		rh_log_warning(broker->log,
			"adoption is incomplete; the engine's return completes it", RH_ERRNO(r));
	if (!serves)
		return;
	rh_log_notice(broker->log, "serving", RH_NUM("ms", rh_wall_ms() - broker->started_ms));
	rh_notify("READY=1\nSTATUS=serving");
}

int rh_broker_make_dir(const char *path, mode_t mode, struct rh_err *err)
{
	struct stat st;

	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return rh_err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return rh_err_set(err, -ENOTDIR, "%s is not a directory", path);
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return rh_err_set(err, -EPERM,
			"%s must belong to the broker's user and to nobody else to write", path);
	return 0;
}

static int take_lock(struct rh_broker *broker, struct rh_err *err)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/lock", broker->config->state_dir);
	broker->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (broker->lock_fd < 0)
		return rh_err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (flock(broker->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return rh_err_set(
			err, -EBUSY, "%s: another broker uses this state directory", path);
	return 0;
}

static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit); /* more is a comfort, not a need */
	}
}

static void on_retain(uv_timer_t *timer)
{
	struct rh_broker *broker = timer->data;

	(void)rh_store_retain(
		broker->store, broker->config->store_keep_ms, broker->config->store_keep_jobs);
}

static void init_handles(struct rh_broker *broker)
{
	(void)uv_signal_init(&broker->loop, &broker->on_term);
	(void)uv_signal_init(&broker->loop, &broker->on_int);
	(void)uv_signal_init(&broker->loop, &broker->on_hup);
	(void)uv_timer_init(&broker->loop, &broker->drain_timer);
	(void)uv_timer_init(&broker->loop, &broker->retain_timer);
	(void)uv_timer_init(&broker->loop, &broker->doors_timer);
	broker->on_term.data = broker;
	broker->on_int.data = broker;
	broker->on_hup.data = broker;
	broker->drain_timer.data = broker;
	broker->retain_timer.data = broker;
	broker->doors_timer.data = broker;
	(void)uv_signal_start(&broker->on_term, rh_broker_on_stop_signal, SIGTERM);
	(void)uv_signal_start(&broker->on_int, rh_broker_on_stop_signal, SIGINT);
	(void)uv_signal_start(&broker->on_hup, rh_broker_on_hup, SIGHUP);
	(void)uv_timer_start(&broker->retain_timer, on_retain, RETAIN_FIRST_MS, RETAIN_EVERY_MS);
}

static int start_store(struct rh_broker *broker, struct rh_err *err)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/runnerhub.db", broker->config->state_dir);
	return rh_store_start(&broker->loop, path, broker->log, &broker->store, &broker->open, err);
}

static void on_network_state(void *arg)
{
	struct rh_broker *broker = arg;

	if (broker->containers)
		rh_containers_on_network_state(broker->containers);
}

static void on_flow(void *arg, const char *instance, const char *kind, const char *text)
{
	struct rh_broker *broker = arg;

	if (broker->containers)
		rh_containers_on_flow(broker->containers, instance, kind, text);
}

static int start_network(struct rh_broker *broker, struct rh_err *err)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/containers", broker->config->state_dir);

	struct rh_network_options options = {
		.loop = &broker->loop,
		.log = broker->log,
		.name = broker->config->network_name,
		.firewall = rh_config_firewalls[broker->config->network_firewall],
		.containers_dir = path,
		.on_state = on_network_state,
		.on_flow = on_flow,
		.arg = broker,
	};
	int r = rh_network_start(&options, &broker->network);

	return r < 0 ? rh_err_set(err, r, "the network's rules: %s", strerror(-r)) : 0;
}

static int start_containers(struct rh_broker *broker, struct rh_err *err)
{
	char labels[8192];
	struct rh_engine_options engine = {
		.socket = broker->config->docker_socket,
		.label_filter = labels,
		.timeout_ms = broker->config->engine_timeout_ms,
		.on_event = on_engine_event,
		.arg = broker,
	};
	int r = rh_containers_label_filter(broker->config, labels, sizeof(labels));

	if (r == 0)
		r = rh_engine_start(&broker->loop, &engine, broker->log, &broker->engine);
	if (r == 0)
		r = rh_mounter_start(broker->mounter, &broker->loop, broker->log);
	if (r < 0)
		return rh_err_set(
			err, r, "the container engine's client cannot start: %s", strerror(-r));

	struct rh_jobs_options jobs = {
		.loop = &broker->loop,
		.config = broker->config,
		.mounter = broker->mounter,
		.store = broker->store,
		.log = broker->log,
		.on_event = on_job_event,
		.arg = broker,
	};

	r = rh_jobs_start(&jobs, &broker->jobs);
	if (r < 0)
		return rh_err_set(err, r, "out of memory");

	struct rh_containers_options containers = {
		.loop = &broker->loop,
		.config = broker->config,
		.engine = broker->engine,
		.mounter = broker->mounter,
		.network = broker->network,
		.store = broker->store,
		.log = broker->log,
		.on_step_ended = rh_jobs_on_step_ended,
		.on_lost = rh_jobs_on_lost,
		.on_flow = rh_jobs_on_flow,
		.arg = broker->jobs,
	};

	r = rh_containers_start(&containers, &broker->containers);
	if (r < 0)
		return rh_err_set(err, r, "containers: %s", strerror(-r));
	rh_jobs_set_containers(broker->jobs, broker->containers);
	return 0;
}

static int start(struct rh_broker *broker, struct rh_err *err)
{
	int r = rh_broker_make_dir(broker->config->state_dir, 0711, err);

	if (r == 0)
		r = rh_broker_make_dir(broker->config->runtime_dir, 0755, err);
	if (r == 0)
		r = take_lock(broker, err);
	if (r == 0)
		r = rh_config_publish(broker->config, err);
	if (r == 0)
		r = start_store(broker, err);
	if (r == 0)
		r = start_network(broker, err);
	if (r == 0)
		r = start_containers(broker, err);
	if (r < 0)
		return rh_trace(r);

	/* Before the doors open: a step that knocks finds its job. */
	broker->state = RH_BROKER_ADOPTING;
	rh_jobs_adopt(broker->jobs, broker->open);
	r = rh_broker_open_doors(broker, err);
	if (r < 0)
		return rh_trace(r);
	r = rh_containers_adopt(broker->containers, broker->open, on_leased, on_adopted, broker);
	return r < 0 ? rh_err_set(err, r, "adoption: %s", strerror(-r)) : 0;
}

int rh_broker_run(struct rh_config *config, struct rh_mounter *mounter, struct rh_err *err)
{
	struct rh_broker *broker = calloc(1, sizeof(*broker));

	if (!broker)
		return rh_err_set(err, -ENOMEM, "out of memory");
	broker->config = rh_config_ref(config);
	broker->mounter = mounter;
	broker->lock_fd = -1;
	broker->started_ms = rh_wall_ms();
	broker->log = rh_log_new(STDERR_FILENO, config->log_level, config->log_format);
	raise_file_limit();

	int r = broker->log ? uv_loop_init(&broker->loop) : -ENOMEM;

	if (r < 0)
		return rh_err_set(err, r, "the event loop cannot start: %s", strerror(-r));
	init_handles(broker);
	(void)rh_log_start(broker->log); /* without its thread the log writes by itself */
	rh_log_notice(broker->log, "starting", RH_NUM("pid", getpid()),
		RH_STR("config", config->path), RH_STR("state", config->state_dir));

	r = start(broker, err);
	if (r < 0)
		rh_broker_stop(broker);
	(void)uv_run(&broker->loop, UV_RUN_DEFAULT);
	rh_log_notice(broker->log, "stopped");

	int closed = uv_loop_close(&broker->loop);

	assert(closed == 0);
	(void)closed;
	rh_store_open_free(broker->open);
	rh_log_free(broker->log);
	rh_close(broker->lock_fd);
	rh_config_unref(broker->config);
	free(broker);
	return rh_trace(r);
}
