/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The broker's own life: start, adoption, reload, drain, stop.
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

#include "broker/daemon/notify.h"
#include "runnerhub/clock.h"

#define RETAIN_EVERY_MS (10u * 60 * 1000)

static void stop(struct rh_broker *broker);

/* -- what the parts tell each other -- */

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

	rh_store_open_free(rh_steal(&broker->open));
	if (broker->state != RH_BROKER_ADOPTING)
		return;
	broker->state = RH_BROKER_SERVING;
	rh_jobs_adopted(broker->jobs);
	if (r < 0)
		rh_log_warning(broker->log,
			"adoption is incomplete; the engine's return completes it", RH_ERRNO(r));
	rh_log_notice(broker->log, "serving", RH_NUM("ms", rh_wall_ms() - broker->started_ms));
	rh_notify("READY=1\nSTATUS=serving");
}

/* -- reload -- */

struct reload {
	uv_work_t work;
	struct rh_broker *broker;
	char *path;
	struct rh_config *config;
	struct rh_err err;
	int r;
};

static void on_reload_work(uv_work_t *work)
{
	struct reload *reload = work->data;

	reload->r = rh_config_load(reload->path, &reload->config, &reload->err);
	if (reload->r == 0)
		reload->r = rh_config_publish(reload->config, &reload->err);
}

static void take_config(struct rh_broker *broker, struct rh_config *config)
{
	const char *fixed = rh_config_needs_restart(broker->config, config);

	if (fixed)
		rh_log_warning(broker->log, "reload: this setting takes effect at the next restart",
			RH_STR("setting", fixed));
	rh_config_unref(broker->config);
	broker->config = rh_config_ref(config);
	rh_log_set(broker->log, config->log_level, config->log_format);
	rh_containers_reload(broker->containers, config);
	rh_jobs_reload(broker->jobs, config);
	rh_control_reload(broker->control, config);
	rh_log_notice(broker->log, "reloaded", RH_NUM("profiles", config->n_profiles),
		RH_NUM("runners", config->n_runners));
}

static void on_reload_done(uv_work_t *work, int status)
{
	struct reload *reload = work->data;
	struct rh_broker *broker = reload->broker;

	broker->reloading = false;
	if (broker->state == RH_BROKER_STOPPING)
		rh_log_debug(broker->log, "reload dropped: stopping");
	else if (status < 0 || reload->r < 0)
		rh_log_error(broker->log, "reload refused: the old configuration stays",
			RH_STR("why", reload->err.text));
	else
		take_config(broker, reload->config);
	rh_config_unref(reload->config);
	free(reload->path);
	free(reload);
	rh_notify("READY=1");
}

static int reload(void *arg, struct rh_err *err)
{
	struct rh_broker *broker = arg;

	if (broker->reloading || broker->state == RH_BROKER_STOPPING)
		return rh_err_set(err, -EBUSY, "a reload is under way already");

	struct reload *r = calloc(1, sizeof(*r));

	if (!r)
		return rh_err_set(err, -ENOMEM, "out of memory");
	r->work.data = r;
	r->broker = broker;
	r->path = strdup(broker->config->path);
	if (!r->path ||
		uv_queue_work(&broker->loop, &r->work, on_reload_work, on_reload_done) < 0) {
		free(r->path);
		free(r);
		return rh_err_set(err, -ENOMEM, "out of memory");
	}
	broker->reloading = true;
	rh_notify("RELOADING=1");
	return 0;
}

static void on_hup(uv_signal_t *handle, int signum)
{
	struct rh_err err = {0};
	struct rh_broker *broker = handle->data;

	if (reload(broker, &err) < 0)
		rh_log_warning(broker->log, "reload not begun", RH_STR("why", err.text));
}

/* -- drain and stop -- */

static void on_idle(void *arg)
{
	struct rh_broker *broker = arg;

	if (broker->state == RH_BROKER_DRAINING)
		stop(broker);
}

static void drain(void *arg, bool on)
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
	stop(broker);
}

static void on_stop_signal(uv_signal_t *handle, int signum)
{
	struct rh_broker *broker = handle->data;

	if (broker->state == RH_BROKER_STOPPING)
		return;
	if (broker->state == RH_BROKER_DRAINING) {
		rh_log_notice(broker->log, "stopping at once: second signal");
		stop(broker);
		return;
	}
	broker->state = RH_BROKER_DRAINING;
	rh_notify("STOPPING=1\nSTATUS=draining");
	(void)uv_timer_start(
		&broker->drain_timer, on_drain_deadline, broker->config->drain_timeout_ms, 0);
	drain(broker, true);
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

static void on_containers_closed(void *arg)
{
	struct rh_broker *broker = arg;

	broker->containers = NULL;
	if (broker->engine)
		rh_engine_close(broker->engine, on_engine_closed, broker);
	else
		on_engine_closed(broker);
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
static void stop(struct rh_broker *broker)
{
	if (broker->state == RH_BROKER_STOPPING)
		return;
	broker->state = RH_BROKER_STOPPING;
	uv_close((uv_handle_t *)&broker->on_term, NULL);
	uv_close((uv_handle_t *)&broker->on_int, NULL);
	uv_close((uv_handle_t *)&broker->on_hup, NULL);
	uv_close((uv_handle_t *)&broker->drain_timer, NULL);
	uv_close((uv_handle_t *)&broker->retain_timer, NULL);
	if (broker->peers)
		rh_peer_server_close(broker->peers, on_peers_closed, broker);
	else
		on_peers_closed(broker);
}

/* -- start -- */

static int make_dir(const char *path, mode_t mode, struct rh_err *err)
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
	broker->on_term.data = broker;
	broker->on_int.data = broker;
	broker->on_hup.data = broker;
	broker->drain_timer.data = broker;
	broker->retain_timer.data = broker;
	(void)uv_signal_start(&broker->on_term, on_stop_signal, SIGTERM);
	(void)uv_signal_start(&broker->on_int, on_stop_signal, SIGINT);
	(void)uv_signal_start(&broker->on_hup, on_hup, SIGHUP);
	(void)uv_timer_start(&broker->retain_timer, on_retain, 60 * 1000, RETAIN_EVERY_MS);
}

static int start_store(struct rh_broker *broker, struct rh_err *err)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/runnerhub.db", broker->config->state_dir);
	return rh_store_start(&broker->loop, path, broker->log, &broker->store, &broker->open, err);
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
		.store = broker->store,
		.log = broker->log,
		.on_step_ended = rh_jobs_on_step_ended,
		.on_lost = rh_jobs_on_lost,
		.arg = broker->jobs,
	};

	r = rh_containers_start(&containers, &broker->containers);
	if (r < 0)
		return rh_err_set(err, r, "containers: %s", strerror(-r));
	rh_jobs_set_containers(broker->jobs, broker->containers);
	return 0;
}

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
		.containers = broker->containers,
		.jobs = broker->jobs,
		.started_ms = broker->started_ms,
		.drain = drain,
		.reload = reload,
		.arg = broker,
	};
	int r = rh_control_start(&control, &broker->control, err);

	return r < 0 ? rh_trace(r) : rh_peer_server_start(&peers, &broker->peers, err);
}

static int start(struct rh_broker *broker, struct rh_err *err)
{
	int r = make_dir(broker->config->state_dir, 0711, err);

	if (r == 0)
		r = make_dir(broker->config->runtime_dir, 0755, err);
	if (r == 0)
		r = take_lock(broker, err);
	if (r == 0)
		r = rh_config_publish(broker->config, err);
	if (r == 0)
		r = start_store(broker, err);
	if (r == 0)
		r = start_containers(broker, err);
	if (r < 0)
		return rh_trace(r);

	/* Before the doors open: a step that knocks finds its job. */
	broker->state = RH_BROKER_ADOPTING;
	rh_jobs_adopt(broker->jobs, broker->open);
	r = start_sockets(broker, err);
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
		stop(broker);
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
