/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is compared: the engine's word, and the broker's.
 */

#include <stdio.h>
#include <string.h>

#include "broker/cli/doctor/verify/verify.h"

#define RECORDS_MAX 1000

static struct json_object *ask_engine(const struct rh_doctor *doctor, const char *path)
{
	struct json_object *body = NULL;
	struct rh_err err = {0};
	int status = 0;

	if (rh_ask_engine(doctor->docker_socket, path, &status, &body, &err) == 0 && status == 200)
		return body;
	(void)json_object_put(body);
	return NULL;
}

static struct json_object *ask_broker(
	struct rh_cli *cli, const char *op, const char *key, struct json_object *value)
{
	struct json_object *args = json_object_new_object();
	struct json_object *data = NULL;
	struct rh_err *said = cli->said;
	struct rh_err ignored;

	if (key)
		(void)json_object_object_add(args, key, value);
	if (strcmp(op, "status") != 0)
		(void)json_object_object_add(args, "limit", json_object_new_int(RECORDS_MAX));
	cli->said = &ignored; /* that it does not answer is a difference of its own */
	if (rh_cli_request(cli, op, args, &data) != RH_EXIT_OK) {
		rh_cli_hang_up(cli);
		data = NULL;
	}
	cli->said = said;
	return data;
}

/* Of the newest ones: what has not ended is among them, but for jobs that ran for very long. */
static struct json_object *open_jobs(struct rh_cli *cli)
{
	struct json_object *jobs = ask_broker(cli, "jobs", NULL, NULL);
	struct json_object *open = jobs ? json_object_new_array() : NULL;

	for (size_t i = 0; i < rh_json_length(jobs); i++) {
		struct json_object *job = json_object_array_get_idx(jobs, i);

		if (strcmp(rh_json_text(job, "state"), "ended") != 0)
			(void)json_object_array_add(open, json_object_get(job));
	}
	(void)json_object_put(jobs);
	return open;
}

void rh_verify_gather(struct rh_verify *verify)
{
	struct rh_cli *cli = verify->cli;
	char path[256];

	/* The records last: what is on a list is in them, since they are written first. */
	verify->listed = ask_engine(verify->doctor, "/containers/json?all=1");
	verify->status = ask_broker(cli, "status", NULL, NULL);
	(void)snprintf(path, sizeof(path), "/networks/%s", rh_doctor_network(verify->doctor));
	verify->network = ask_engine(verify->doctor, path);
	verify->open_jobs = open_jobs(cli);
	verify->records = ask_broker(cli, "containers", "all", json_object_new_boolean(true));
}

void rh_verify_forget(struct rh_verify *verify)
{
	struct json_object **all[] = {&verify->listed, &verify->network, &verify->status,
		&verify->records, &verify->open_jobs, &verify->found};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		(void)json_object_put(*all[i]);
		*all[i] = NULL;
	}
}

struct json_object *rh_verify_find(struct json_object *array, const char *key, const char *value)
{
	for (size_t i = 0; i < rh_json_length(array); i++) {
		struct json_object *row = json_object_array_get_idx(array, i);

		if (strcmp(rh_json_text(row, key), value) == 0)
			return row;
	}
	return NULL;
}

bool rh_verify_is_ours(const struct rh_verify *verify, struct json_object *listed)
{
	const char *hub = rh_json_text(rh_json_member(listed, "Labels"), "runnerhub.hub");

	return strcmp(hub, verify->doctor->state_dir) == 0;
}

bool rh_verify_is_live(struct json_object *record)
{
	const char *state = rh_json_text(record, "state");

	return strcmp(state, "warm") == 0 || strcmp(state, "leased") == 0;
}

const char *rh_verify_quote(const char *text, char *buf, size_t size)
{
	size_t n = 0;

	buf[n++] = '\'';
	for (; *text && n + 6 < size; text++) {
		if (*text == '\'') {
			memcpy(buf + n, "'\\''", 4);
			n += 4;
		} else {
			buf[n++] = *text;
		}
	}
	buf[n++] = '\'';
	buf[n] = '\0';
	return buf;
}
