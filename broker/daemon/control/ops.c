/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The operations: one table, a function each.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "broker/daemon/control/call.h"
#include "rh-config.h"
#include "runnerhub/clock.h"

static void add(struct json_object *object, const char *key, struct json_object *value)
{
	(void)json_object_object_add(object, key, value);
}

static void add_text(struct json_object *object, const char *key, const char *text)
{
	add(object, key, text ? json_object_new_string(text) : NULL);
}

static void add_number(struct json_object *object, const char *key, int64_t number)
{
	add(object, key, json_object_new_int64(number));
}

static void add_job(void *arg, const struct rh_job_view *view)
{
	struct json_object *job = json_object_new_object();

	add_text(job, "id", view->id);
	add_text(job, "phase", rh_job_phase_name(view->phase));
	add_text(job, "runner", view->runner);
	add_text(job, "profile", view->profile);
	add_text(job, "repository", view->repository);
	add_text(job, "workflow", view->workflow);
	add_text(job, "jobKey", view->job_key);
	add_text(job, "runId", view->run_id);
	add_text(job, "container", view->container);
	add_text(job, "reason", view->reason);
	add_number(job, "workerPid", view->worker_pid);
	add_number(job, "createdMs", view->created_ms);
	add_number(job, "leasedMs", view->leased_ms);
	add_number(job, "startUs", view->start_us);
	add_number(job, "steps", (int64_t)view->n_steps);
	add_number(job, "stepsRunning", view->n_steps_running);
	add(job, "cold", json_object_new_boolean(view->cold));
	(void)json_object_array_add(arg, job);
}

static void add_pool(void *arg, const struct rh_pool_view *view)
{
	struct json_object *pool = json_object_new_object();

	add_text(pool, "profile", view->profile);
	add_number(pool, "want", view->want_warm);
	add_number(pool, "max", view->max);
	add_number(pool, "creating", view->n_creating);
	add_number(pool, "warm", view->n_warm);
	add_number(pool, "leased", view->n_leased);
	add_number(pool, "stopping", view->n_stopping);
	add_text(pool, "problem", view->problem);
	(void)json_object_array_add(arg, pool);
}

static struct json_object *broker_json(const struct rh_control_options *o)
{
	struct json_object *broker = json_object_new_object();

	add_text(broker, "version", RH_VERSION);
	add_number(broker, "pid", getpid());
	add_number(broker, "startedMs", o->started_ms);
	add_number(broker, "nowMs", rh_wall_ms());
	add(broker, "draining", json_object_new_boolean(rh_jobs_draining(o->jobs)));
	add_text(broker, "config", o->config->path);
	add_text(broker, "stateDir", o->config->state_dir);
	add_text(broker, "runtimeDir", o->config->runtime_dir);
	add_text(broker, "libexecDir", o->config->libexec_dir);
	return broker;
}

static struct json_object *store_json(const struct rh_control_options *o)
{
	struct json_object *store = json_object_new_object();
	struct rh_store_health health;

	rh_store_health(o->store, &health);
	add_number(store, "queued", health.n_queued);
	add_number(store, "written", (int64_t)health.n_written);
	add_number(store, "failed", (int64_t)health.n_failed);
	add(store, "damagedSetAside", json_object_new_boolean(health.damaged_set_aside));
	add_text(store, "lastError", health.last_error ? strerror(-health.last_error) : NULL);
	return store;
}

static struct json_object *runners_json(const struct rh_control_options *o)
{
	struct json_object *runners = json_object_new_array();

	for (size_t i = 0; i < o->config->n_runners; i++) {
		const struct rh_runner *r = &o->config->runners[i];
		struct json_object *runner = json_object_new_object();

		add_text(runner, "name", r->name);
		add_text(runner, "root", r->root);
		add_text(runner, "work", r->work);
		add_number(runner, "uid", r->uid);
		add_text(runner, "profile", r->profile ? r->profile : o->config->default_profile);
		(void)json_object_array_add(runners, runner);
	}
	return runners;
}

static struct json_object *engine_json(const struct rh_control_options *o,
	const struct rh_engine_info *info, const struct rh_err *err)
{
	struct json_object *engine = json_object_new_object();
	struct rh_engine_stats stats;

	rh_engine_stats(o->engine, &stats);
	add(engine, "up", json_object_new_boolean(info != NULL));
	add_text(engine, "socket", o->config->docker_socket);
	add_number(engine, "requests", (int64_t)stats.n_requests);
	add_number(engine, "failed", (int64_t)stats.n_failed);
	if (!info) {
		add_text(engine, "problem",
			err && err->text[0] ? err->text : rh_engine_problem(o->engine));
		return engine;
	}
	add_text(engine, "version", info->version);
	add_text(engine, "apiVersion", info->api_version);
	add_text(engine, "storageDriver", info->storage_driver);
	add_text(engine, "cgroupDriver", info->cgroup_driver);
	add_number(engine, "cgroupVersion", info->cgroup_version);
	add_text(engine, "rootDir", info->root_dir);
	add_text(engine, "kernel", info->kernel);
	add_number(engine, "cpus", info->n_cpus);
	add_number(engine, "memoryBytes", (int64_t)info->memory_bytes);
	return engine;
}

static struct json_object *network_json(const struct rh_control_options *o)
{
	struct json_object *network = json_object_new_object();
	const char *problem = rh_network_problem(o->network);

	add_text(network, "name", o->config->network_name);
	add_text(network, "firewall", rh_network_firewall(o->network));
	add(network, "inForce", json_object_new_boolean(!problem));
	if (problem)
		add_text(network, "problem", problem);
	return network;
}

static struct json_object *mounts_json(const struct rh_control_options *o)
{
	struct json_object *mounts = json_object_new_object();
	bool maps = rh_containers_map_ids(o->containers);

	add_text(mounts, "kind", maps ? "detached" : "slot");
	add(mounts, "idMaps", json_object_new_boolean(maps));
	return mounts;
}

static void finish_status(
	struct rh_call *call, const struct rh_engine_info *info, const struct rh_err *err)
{
	const struct rh_control_options *o = rh_control_options(call->control);
	struct json_object *data = json_object_new_object();
	struct json_object *jobs = json_object_new_array();
	struct json_object *pools = json_object_new_array();

	rh_jobs_each(o->jobs, add_job, jobs);
	rh_containers_pools(o->containers, add_pool, pools);
	add(data, "broker", broker_json(o));
	add(data, "engine", engine_json(o, info, err));
	add(data, "network", network_json(o));
	add(data, "mounts", mounts_json(o));
	add(data, "store", store_json(o));
	add(data, "pools", pools);
	add(data, "jobs", jobs);
	add(data, "runners", runners_json(o));
	rh_call_reply(call, data);
}

static void on_info(void *arg, int r, const struct rh_engine_info *info, const struct rh_err *err)
{
	struct rh_call *call = arg;

	if (call->control)
		finish_status(call, r == 0 ? info : NULL, err);
	else
		rh_call_free(call);
}

static void op_status(struct rh_call *call)
{
	const struct rh_control_options *o = rh_control_options(call->control);

	if (!rh_engine_is_up(o->engine) || rh_engine_info(o->engine, on_info, call) < 0)
		finish_status(call, NULL, NULL);
}

static void op_version(struct rh_call *call)
{
	rh_call_reply(call, broker_json(rh_control_options(call->control)));
}

static void op_pools(struct rh_call *call)
{
	struct json_object *pools = json_object_new_array();

	rh_containers_pools(rh_control_options(call->control)->containers, add_pool, pools);
	rh_call_reply(call, pools);
}

static void on_query(void *arg, int r, struct json_object *data)
{
	struct rh_call *call = arg;

	if (r < 0)
		rh_call_fail_errno(call, r, call->op);
	else
		rh_call_reply(call, json_object_get(data));
}

/* The store's query of the same name answers. */
static void op_query(struct rh_call *call)
{
	int r = rh_store_query(
		rh_control_options(call->control)->store, call->op, call->args, on_query, call);

	if (r < 0)
		rh_call_fail_errno(call, r, call->op);
}

static void op_drain(struct rh_call *call)
{
	const struct rh_control_options *o = rh_control_options(call->control);
	struct json_object *on = NULL;

	if (json_object_object_get_ex(call->args, "on", &on) &&
		!json_object_is_type(on, json_type_boolean)) {
		rh_call_fail(call, "bad-request", "drain: on must be true or false");
		return;
	}
	o->drain(o->arg, on ? json_object_get_boolean(on) : true);
	rh_call_reply(call, broker_json(o));
}

static void op_reload(struct rh_call *call)
{
	const struct rh_control_options *o = rh_control_options(call->control);
	struct rh_err err = {0};

	if (o->reload(o->arg, &err) < 0)
		rh_call_fail(call, "busy", "%s", err.text);
	else
		rh_call_reply(call, json_object_new_object());
}

static const char *text_of(const struct rh_call *call, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(call->args, key, &value) ||
		!json_object_is_type(value, json_type_string))
		return "";
	return json_object_get_string(value);
}

static void op_warm_tools(struct rh_call *call)
{
	const struct rh_control_options *o = rh_control_options(call->control);
	struct rh_err err = {0};

	if (rh_jobs_warm_tools(
		    o->jobs, text_of(call, "runner"), text_of(call, "repository"), &err) < 0)
		rh_call_fail(call, "bad-request", "%s", err.text);
	else
		rh_call_reply(call, json_object_new_object());
}

static void op_subscribe(struct rh_call *call)
{
	rh_call_subscribe(call);
	rh_call_reply(call, json_object_new_object());
}

static void op_help(struct rh_call *call);

const struct rh_op rh_ops[] = {
	{"status", RH_OP_VIEW, "broker, engine, store, pools, running jobs, runners", op_status},
	{"version", RH_OP_VIEW, "the broker alone", op_version},
	{"pools", RH_OP_VIEW, "warm pools", op_pools},
	{"jobs", RH_OP_VIEW, "jobs: limit offset state result runner repository since_ms",
		op_query},
	{"job", RH_OP_VIEW, "one job with steps and events: id", op_query},
	{"isolation", RH_OP_VIEW, "what was really in force for a job: id", op_query},
	{"containers", RH_OP_VIEW, "containers: state all", op_query},
	{"events", RH_OP_VIEW, "events: limit job since_id", op_query},
	{"counts", RH_OP_VIEW, "how many jobs, steps, containers, events", op_query},
	{"subscribe", RH_OP_VIEW, "stream events from now on", op_subscribe},
	{"drain", RH_OP_OPERATE, "take no new jobs: on (default true)", op_drain},
	{"warm-tools", RH_OP_OWN, "the next job may write the tool cache: runner repository",
		op_warm_tools},
	{"reload", RH_OP_OPERATE, "read the configuration again", op_reload},
	{"help", RH_OP_VIEW, "this list", op_help},
	{NULL, RH_OP_VIEW, NULL, NULL},
};

static void op_help(struct rh_call *call)
{
	static const char *const classes[] = {
		[RH_OP_VIEW] = "view", [RH_OP_OPERATE] = "operate", [RH_OP_OWN] = "own"};
	struct json_object *list = json_object_new_array();

	for (const struct rh_op *op = rh_ops; op->name; op++) {
		struct json_object *row = json_object_new_object();

		add_text(row, "op", op->name);
		add_text(row, "class", classes[op->class]);
		add_text(row, "help", op->help);
		(void)json_object_array_add(list, row);
	}
	rh_call_reply(call, list);
}
