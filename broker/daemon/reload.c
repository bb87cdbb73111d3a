/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reading the configuration again: in a worker thread, then taken whole or not at all.
 */

#include "broker/daemon/broker.h"

#include <stdlib.h>
#include <string.h>

#include "broker/daemon/broker_private.h"
#include "broker/daemon/notify.h"

struct reload {
	uv_work_t work;
	struct rh_broker *broker;
	struct rh_config *old;
	struct rh_config *config;
	const char *fixed; /* a setting that waits for the next start, or NULL */
	struct rh_err err;
	int r;
};

static void on_reload_work(uv_work_t *work)
{
	struct reload *reload = work->data;

	reload->r = rh_config_reload(reload->old, &reload->config, &reload->fixed, &reload->err);
	if (reload->r == 0)
		reload->r = rh_config_publish(reload->config, &reload->err);
}

static void take_config(struct rh_broker *broker, struct rh_config *config, const char *fixed)
{
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
		take_config(broker, reload->config, reload->fixed);
	rh_config_unref(reload->config);
	rh_config_unref(reload->old);
	free(reload);
	rh_notify("READY=1");
}

int rh_broker_reload(void *arg, struct rh_err *err)
{
	struct rh_broker *broker = arg;

	if (broker->reloading || broker->state == RH_BROKER_STOPPING)
		return rh_err_set(err, -EBUSY, "a reload is under way already");

	struct reload *r = calloc(1, sizeof(*r));

	if (!r)
		return rh_err_set(err, -ENOMEM, "out of memory");
	r->work.data = r;
	r->broker = broker;
	r->old = rh_config_ref(broker->config);
	if (uv_queue_work(&broker->loop, &r->work, on_reload_work, on_reload_done) < 0) {
		rh_config_unref(r->old);
		free(r);
		return rh_err_set(err, -ENOMEM, "out of memory");
	}
	broker->reloading = true;
	rh_notify("RELOADING=1");
	return 0;
}

void rh_broker_on_hup(uv_signal_t *handle, int signum)
{
	struct rh_err err = {0};
	struct rh_broker *broker = handle->data;

	if (rh_broker_reload(broker, &err) < 0)
		rh_log_warning(broker->log, "reload not begun", RH_STR("why", err.text));
}
