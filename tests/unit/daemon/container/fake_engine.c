/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A stand-in for the engine, whose containers are child processes.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fakes.h"
#include "fakes_later.h"
#include "runnerhub/clock.h"
#include "runnerhub/id.h"
#include "runnerhub/limits.h"

struct call {
	int r;
	char text[512];
	rh_engine_done_fn done;
	rh_engine_create_fn create;
	rh_engine_list_fn list;
	rh_engine_network_fn network;
	rh_engine_info_fn info;
	const struct rh_engine_info *found_info;
	void *arg;
	struct rh_engine_container found[FAKE_CONTAINERS_MAX];
	size_t n;
};

static void answer(void *arg)
{
	struct call *call = arg;
	struct rh_err err = {0};

	if (call->r < 0)
		(void)rh_err_set(
			&err, call->r, "%s", call->text[0] ? call->text : strerror(-call->r));
	if (call->done)
		call->done(call->arg, call->r, &err);
	else if (call->create)
		call->create(call->arg, call->r, call->text, &err);
	else if (call->network)
		call->network(call->arg, call->r,
			&(struct rh_engine_network){
				.id = "runnerhub", .bridge = "br-fake", .isolated = true},
			&err);
	else if (call->info)
		call->info(call->arg, call->r, call->found_info, &err);
	else if (call->list)
		call->list(call->arg, call->r, call->found, call->n, &err);
	free(call);
}

static struct call *call_new(void *arg)
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call)
		abort();
	call->arg = arg;
	call->r = fakes.engine_down ? -ECONNREFUSED : 0;
	return call;
}

struct rh_engine *fakes_engine(void)
{
	return (struct rh_engine *)&fakes;
}

bool rh_engine_is_up(const struct rh_engine *engine)
{
	return !fakes.engine_down;
}

const char *rh_engine_problem(const struct rh_engine *engine)
{
	return "the container engine at /docker.sock does not answer; is it running?";
}

static struct fake_container *by_id(const char *id)
{
	for (size_t i = 0; i < FAKE_CONTAINERS_MAX; i++) {
		struct fake_container *container = &fakes.containers[i];

		if (container->exists &&
			(strcmp(container->id, id) == 0 || strcmp(container->name, id) == 0))
			return container;
	}
	return NULL;
}

static struct fake_container *take_slot(void)
{
	struct rh_id id = {0};

	for (size_t i = 0; i < FAKE_CONTAINERS_MAX; i++) {
		struct fake_container *container = &fakes.containers[i];

		if (container->exists)
			continue;
		*container = (struct fake_container){.exists = true, .created_ms = rh_wall_ms()};
		(void)rh_id_new(&id);
		rh_id_format(&id, container->id);
		rh_id_format(&id, container->id + 32);
		return container;
	}
	abort();
}

static const char *label(const struct rh_engine_spec *spec, const char *name)
{
	for (const char *const *at = spec->labels; at[0]; at += 2) {
		if (strcmp(at[0], name) == 0)
			return at[1];
	}
	return "";
}

static void on_create_ends(void *arg)
{
	fakes.n_at_once--;
	answer(arg);
}

int rh_engine_create(struct rh_engine *engine, const struct rh_engine_spec *spec,
	rh_engine_create_fn cb, void *arg)
{
	struct call *call = call_new(arg);
	struct fake_container *container = NULL;

	fakes.n_creates++;
	if (++fakes.n_at_once > fakes.n_at_once_max)
		fakes.n_at_once_max = fakes.n_at_once;
	call->create = cb;
	if (call->r == 0)
		call->r = fakes.create_r;
	if (call->r < 0 && fakes.create_why)
		(void)snprintf(call->text, sizeof(call->text), "%s", fakes.create_why);
	if (call->r == 0) {
		container = take_slot();
		(void)snprintf(container->name, sizeof(container->name), "%s", spec->name);
		(void)snprintf(container->instance, sizeof(container->instance), "%s",
			label(spec, "runnerhub.instance"));
		(void)snprintf(container->profile, sizeof(container->profile), "%s",
			label(spec, "runnerhub.profile"));
		(void)snprintf(container->revision, sizeof(container->revision), "%s",
			label(spec, "runnerhub.revision"));
		(void)snprintf(container->image, sizeof(container->image), "%s", spec->image);
		(void)snprintf(container->network, sizeof(container->network), "%s", spec->network);
		(void)snprintf(container->socket_dir, sizeof(container->socket_dir), "%s",
			spec->binds[1].source);
		(void)snprintf(call->text, sizeof(call->text), "%s", container->id);
		fakes.n_binds = spec->n_binds;
		if (spec->n_binds > 2 && !spec->binds[2].slave)
			abort();
	}
	fakes_later(2, on_create_ends, call);
	return 0;
}

static void run(struct fake_container *container)
{
	char path[4200];

	(void)snprintf(path, sizeof(path), "%s/%s", container->socket_dir, RH_AGENT_SOCKET_NAME);
	container->started_ms = rh_wall_ms();
	container->pid = fork();
	if (container->pid == 0)
		fake_agent_run(path, fakes.mode);
}

int rh_engine_start_container(
	struct rh_engine *engine, const char *id, rh_engine_done_fn cb, void *arg)
{
	struct call *call = call_new(arg);
	struct fake_container *container = by_id(id);

	call->done = cb;
	if (call->r == 0)
		call->r = container ? fakes.start_r : -ENOENT;
	if (call->r == 0 && fakes.n_networks_lost > 0) {
		fakes.network_is_gone = true;
		call->r = -ENOENT;
		(void)snprintf(
			call->text, sizeof(call->text), "network %s not found", container->network);
	}
	if (call->r == 0)
		run(container);
	fakes_later(fakes.start_is_slow ? 3000 : 5, answer, call);
	return 0;
}

int rh_engine_remove(struct rh_engine *engine, const char *id, rh_engine_done_fn cb, void *arg)
{
	struct call *call = call_new(arg);
	struct fake_container *container = by_id(id);

	fakes.n_removes++;
	call->done = cb;
	if (call->r == 0)
		call->r = fakes.remove_r;
	if (call->r == 0 && container) {
		fakes_kill(container);
		container->exists = false;
	}
	fakes_later(2, answer, call);
	return 0;
}

int rh_engine_rename(
	struct rh_engine *engine, const char *id, const char *name, rh_engine_done_fn cb, void *arg)
{
	struct call *call = call_new(arg);
	struct fake_container *container = by_id(id);

	fakes.n_renames++;
	call->done = cb;
	if (call->r == 0 && container)
		(void)snprintf(container->name, sizeof(container->name), "%s", name);
	fakes_later(1, answer, call);
	return 0;
}

static void describe(const struct fake_container *container, struct rh_engine_container *ret)
{
	const char *state = container->pid > 0 ? "running" : "exited";

	*ret = (struct rh_engine_container){
		.created_ms = container->created_ms,
		.started_ms = container->started_ms,
		.finished_ms = container->finished_ms,
		.pid = container->pid,
		.exit_code = container->exit_code,
		.restart_count = container->restart_count,
	};
	(void)strcpy(ret->id, container->id);
	(void)strcpy(ret->name, container->name);
	(void)strcpy(ret->instance, container->instance);
	(void)strcpy(ret->profile, container->profile);
	(void)strcpy(ret->revision, container->revision);
	(void)strcpy(ret->state, container->paused ? "paused" : state);
}

int rh_engine_inspect(struct rh_engine *engine, const char *id, rh_engine_list_fn cb, void *arg)
{
	struct call *call = call_new(arg);
	struct fake_container *container = by_id(id);

	fakes.n_inspects++;
	call->list = cb;
	if (call->r == 0 && !container)
		call->r = -ENOENT;
	if (call->r == 0) {
		describe(container, &call->found[0]);
		call->n = 1;
	}
	fakes_later(1, answer, call);
	return 0;
}

int rh_engine_list(struct rh_engine *engine, rh_engine_list_fn cb, void *arg)
{
	struct call *call = call_new(arg);

	fakes.n_lists++;
	call->list = cb;
	if (call->r == 0)
		call->r = fakes.list_r;
	for (size_t i = 0; call->r == 0 && i < FAKE_CONTAINERS_MAX; i++) {
		if (fakes.containers[i].exists)
			describe(&fakes.containers[i], &call->found[call->n++]);
	}
	fakes_later(fakes.list_is_slow ? 300 : 2, answer, call);
	return 0;
}

int rh_engine_network(struct rh_engine *engine, const struct rh_engine_network_spec *spec,
	rh_engine_network_fn cb, void *arg)
{
	struct call *call = call_new(arg);

	call->network = cb;
	if (call->r == 0)
		call->r = fakes.network_r;
	if (call->r == 0 && fakes.network_is_gone) {
		fakes.network_is_gone = false;
		fakes.n_networks_lost--;
	}
	fakes_later(1, answer, call);
	return 0;
}

int rh_engine_info(struct rh_engine *engine, rh_engine_info_fn cb, void *arg)
{
	static struct rh_engine_info info = {.default_runtime = "runc",
		.runtimes = "runc runc\ncrun /usr/bin/crun\nsandbox io.containerd.runsc.v1\n"};
	struct call *call = call_new(arg);

	call->info = cb;
	call->found_info = &info;
	fakes_later(1, answer, call);
	return 0;
}

int rh_engine_pull(struct rh_engine *engine, const char *image, rh_engine_done_fn cb, void *arg)
{
	struct call *call = call_new(arg);

	fakes.n_pulls++;
	call->done = cb;
	if (call->r == 0)
		call->r = fakes.pull_r;
	/* It is there then. */
	if (call->r == 0)
		fakes.create_r = 0;
	fakes_later(2, answer, call);
	return 0;
}

int rh_engine_logs(struct rh_engine *engine, const char *id, unsigned n_lines,
	rh_engine_create_fn cb, void *arg)
{
	struct call *call = call_new(arg);

	fakes.n_logs++;
	call->create = cb;
	(void)snprintf(call->text, sizeof(call->text), "first\nlast words\n");
	fakes_later(1, answer, call);
	return 0;
}

struct fake_container *fakes_plant(
	const char *parent_dir, const char *profile, const char *revision)
{
	struct fake_container *container = take_slot();
	struct rh_id instance = {0};
	char path[4200];

	(void)rh_id_new(&instance);
	rh_id_format(&instance, container->instance);
	(void)snprintf(container->profile, sizeof(container->profile), "%s", profile);
	(void)snprintf(container->revision, sizeof(container->revision), "%s", revision);
	(void)snprintf(container->name, sizeof(container->name), "planted-%s", container->id);
	(void)snprintf(container->socket_dir, sizeof(container->socket_dir), "%s/%s/socket",
		parent_dir, container->instance);
	(void)snprintf(path, sizeof(path), "%s/%s", parent_dir, container->instance);
	if (mkdir(path, 0700) < 0 || mkdir(container->socket_dir, 0700) < 0)
		abort();
	run(container);
	return container;
}
