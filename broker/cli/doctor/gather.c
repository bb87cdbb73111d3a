/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the checks look at, collected once: configuration, broker, engine, runners.
 *
 * Without --config the broker that answers says which file it uses; with it, the file says where
 * that broker's socket is. Each of the three may be missing: the rest is still worth a look.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/cli/doctor/runner.h"
#include "rh-config.h"
#include "runnerhub/limits.h"

#define CONTROL_SOCKET RH_RUNTIME_DIR "/" RH_CONTROL_SOCKET
#define ENV_MAX        65536

static void load_config(struct rh_doctor *doctor, const char *path)
{
	if (rh_config_load(path, &doctor->config, &doctor->config_err) < 0)
		doctor->config = NULL;
}

static void ask_broker(struct rh_doctor *doctor, struct rh_cli *cli)
{
	struct rh_err *said = cli->said;

	cli->said = &doctor->status_err;
	doctor->status_exit = rh_cli_request(cli, "status", NULL, &doctor->status);
	cli->said = said;
}

static const char *place(
	const struct rh_doctor *doctor, const char *configured, const char *key, const char *built)
{
	const char *told = rh_json_text(rh_json_member(doctor->status, "broker"), key);

	if (doctor->config)
		return configured;
	return *told ? told : built;
}

static void find_places(struct rh_doctor *doctor)
{
	const struct rh_config *c = doctor->config;
	const char *socket = rh_json_text(rh_json_member(doctor->status, "engine"), "socket");

	doctor->state_dir = place(doctor, c ? c->state_dir : NULL, "stateDir", RH_STATE_DIR);
	doctor->runtime_dir =
		place(doctor, c ? c->runtime_dir : NULL, "runtimeDir", RH_RUNTIME_DIR);
	doctor->libexec_dir =
		place(doctor, c ? c->libexec_dir : NULL, "libexecDir", RH_LIBEXEC_DIR);
	doctor->docker_socket = c ? c->docker_socket : *socket ? socket : "/var/run/docker.sock";
}

static void probe_state(struct rh_doctor *doctor)
{
	struct stat st;

	(void)snprintf(doctor->probed, sizeof(doctor->probed), "%s", doctor->state_dir);
	while (stat(doctor->probed, &st) < 0 && strrchr(doctor->probed, '/') > doctor->probed)
		*strrchr(doctor->probed, '/') = '\0';
	doctor->probe_r = geteuid() == 0 ? rh_probe_run(doctor->probed, &doctor->probe) : -EPERM;
}

static void ask_engine(struct rh_doctor *doctor)
{
	int status = 0;

	doctor->engine_r = rh_ask_engine(doctor->docker_socket, "/version", &status,
		&doctor->engine_version, &doctor->engine_err);
	if (doctor->engine_r == 0 && status == 200)
		doctor->engine_r = rh_ask_engine(doctor->docker_socket, "/info", &status,
			&doctor->engine_info, &doctor->engine_err);
	if (doctor->engine_r == 0 && (status != 200 || !doctor->engine_info))
		doctor->engine_r = rh_err_set(
			&doctor->engine_err, -EPROTO, "an odd answer, HTTP status %d", status);
}

/* Copies all texts. Return: 0; -ENOMEM. */
static int add_runner(struct rh_doctor *doctor, const struct rh_doctor_runner *from)
{
	struct rh_doctor_runner *runner = &doctor->runners[doctor->n_runners];
	char path[PATH_MAX];

	*runner = *from;
	runner->env = NULL;
	runner->name = strdup(from->name);
	runner->root = strdup(from->root);
	runner->work = strdup(from->work);
	doctor->n_runners++;
	if (!runner->name || !runner->root || !runner->work)
		return rh_origin(-ENOMEM);
	(void)snprintf(path, sizeof(path), "%s/.env", runner->root);

	ssize_t n = rh_look_read(path, ENV_MAX, &runner->env);

	if (n == -ENOENT) {
		runner->env = strdup("");
		n = runner->env ? 0 : -ENOMEM;
	}
	runner->env_error = n < 0 ? (int)n : 0;
	return 0;
}

static int add_configured(struct rh_doctor *doctor, const struct rh_runner *r)
{
	const struct rh_doctor_runner runner = {.name = r->name,
		.root = r->root,
		.work = r->work,
		.uid = r->uid,
		.gid = r->gid,
		.registered = true};

	return add_runner(doctor, &runner);
}

/* From the broker's list, where the configuration cannot be read. */
static int add_told(struct rh_doctor *doctor, struct json_object *row)
{
	/* json-c's texts are never written through these pointers. */
	const struct rh_doctor_runner runner = {
		.name = (char *)(uintptr_t)rh_json_text(row, "name"),
		.root = (char *)(uintptr_t)rh_json_text(row, "root"),
		.work = (char *)(uintptr_t)rh_json_text(row, "work"),
		.uid = (uid_t)rh_json_number(row, "uid"),
		.gid = (gid_t)rh_json_number(row, "gid"),
		.registered = true,
	};

	return add_runner(doctor, &runner);
}

/* A directory that nobody has registered: what can be seen of it. */
static int add_unknown(struct rh_doctor *doctor, char root[PATH_MAX])
{
	char work[PATH_MAX];
	struct stat st = {0};
	const char *slash = strrchr(root, '/');

	if (rh_runner_work(root, work) < 0)
		(void)snprintf(work, sizeof(work), "%.*s/_work", PATH_MAX - 8, root);
	(void)stat(root, &st);

	const struct rh_doctor_runner runner = {
		.name = (char *)(uintptr_t)(slash ? slash + 1 : root),
		.root = root,
		.work = work,
		.uid = st.st_uid,
		.gid = st.st_gid};

	return add_runner(doctor, &runner);
}

static int add_named(struct rh_doctor *doctor, struct json_object *told, const char *dir)
{
	const struct rh_config *config = doctor->config;
	char root[PATH_MAX];

	if (!realpath(dir, root))
		(void)snprintf(root, sizeof(root), "%s", dir);
	for (size_t i = 0; config && i < config->n_runners; i++) {
		if (strcmp(config->runners[i].root, root) == 0)
			return add_configured(doctor, &config->runners[i]);
	}
	for (size_t i = 0; !config && i < rh_json_length(told); i++) {
		struct json_object *row = json_object_array_get_idx(told, i);

		if (strcmp(rh_json_text(row, "root"), root) == 0)
			return add_told(doctor, row);
	}
	return add_unknown(doctor, root);
}

static int find_runners(struct rh_doctor *doctor, const struct rh_words *dirs)
{
	const struct rh_config *config = doctor->config;
	struct json_object *told = rh_json_member(doctor->status, "runners");
	size_t n_told = rh_json_length(told);
	size_t n = dirs->n ? dirs->n : config ? config->n_runners : n_told;
	int r = 0;

	doctor->runners = calloc(n + 1, sizeof(*doctor->runners));
	if (!doctor->runners)
		return rh_origin(-ENOMEM);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (dirs->n)
			r = add_named(doctor, n_told ? told : NULL, dirs->words[i]);
		else if (config)
			r = add_configured(doctor, &config->runners[i]);
		else
			r = add_told(doctor, json_object_array_get_idx(told, i));
	}
	return rh_trace(r);
}

int rh_doctor_gather(
	struct rh_doctor *doctor, struct rh_cli *cli, const struct rh_doctor_wish *wish)
{
	const char *told = NULL;

	if (wish->config_path)
		load_config(doctor, wish->config_path);
	if (doctor->config && strcmp(cli->socket, CONTROL_SOCKET) == 0) {
		(void)snprintf(doctor->control_socket, sizeof(doctor->control_socket),
			"%s/" RH_CONTROL_SOCKET, doctor->config->runtime_dir);
		cli->socket = doctor->control_socket;
	}
	ask_broker(doctor, cli);
	told = rh_json_text(rh_json_member(doctor->status, "broker"), "config");
	if (!wish->config_path)
		load_config(doctor, *told ? told : RH_CONFIG_DIR "/runnerhub.yaml");
	find_places(doctor);
	probe_state(doctor);
	ask_engine(doctor);
	return rh_trace(find_runners(doctor, wish->runner_dirs));
}

void rh_doctor_deinit(struct rh_doctor *doctor)
{
	for (size_t i = 0; i < doctor->n_runners; i++) {
		free(doctor->runners[i].name);
		free(doctor->runners[i].root);
		free(doctor->runners[i].work);
		free(doctor->runners[i].env);
	}
	free(doctor->runners);
	rh_config_unref(doctor->config);
	json_object_put(doctor->status);
	json_object_put(doctor->engine_version);
	json_object_put(doctor->engine_info);
	*doctor = (struct rh_doctor){0};
}
