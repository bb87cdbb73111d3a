/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a Docker engine says: responses and events, checked and turned into our structures.
 *
 * Whoever answers on the socket is not trusted with more than its own containers: depth and types
 * are checked, texts are bounded, identifiers must look like identifiers.
 */

#include <ctype.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/engine/docker.h"
#include "broker/daemon/engine/docker_json.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/id.h"
#include "runnerhub/wire.h"

static int clamp_int(int64_t number)
{
	if (number < INT_MIN)
		return INT_MIN;
	return number > INT_MAX ? INT_MAX : (int)number;
}

/* The instance label, or "" if it is none. */
static void copy_instance(char buf[RH_ID_TEXT_SIZE], struct json_object *labels)
{
	const char *text = rh_docker_json_text(labels, "runnerhub.instance");
	struct rh_id id = {0};

	if (rh_id_parse(text, &id) == 0)
		memcpy(buf, text, RH_ID_TEXT_SIZE);
	else
		buf[0] = '\0';
}

int rh_docker_read_error(const char *data, size_t size, char *buf, size_t buf_size)
{
	_cleanup_(rh_docker_json_putp) struct json_object *root = NULL;
	int r = rh_docker_json_parse(data, size, json_type_object, &root);

	if (r < 0)
		return rh_trace(r);
	if (!rh_docker_json_member(root, "message", json_type_string))
		return rh_origin(-EPROTO);
	rh_wire_text_copy(rh_docker_json_text(root, "message"), buf, buf_size);
	return 0;
}

/* "1.41" → 41; -EPROTO for anything else. */
static int parse_api(const char *text, unsigned *ret_minor)
{
	char *end = NULL;
	unsigned long minor = 0;

	if (strncmp(text, "1.", 2) != 0 || !isdigit((unsigned char)text[2]))
		return rh_origin(-EPROTO);
	minor = strtoul(text + 2, &end, 10);
	if (*end != '\0' || minor > 9999)
		return rh_origin(-EPROTO);
	*ret_minor = (unsigned)minor;
	return 0;
}

int rh_docker_read_version(const char *data, size_t size, unsigned *ret_minor)
{
	_cleanup_(rh_docker_json_putp) struct json_object *root = NULL;
	unsigned newest = 0;
	unsigned oldest = 0;
	int r = rh_docker_json_parse(data, size, json_type_object, &root);

	if (r == 0)
		r = parse_api(rh_docker_json_text(root, "ApiVersion"), &newest);
	if (r < 0)
		return rh_trace(r);
	if (parse_api(rh_docker_json_text(root, "MinAPIVersion"), &oldest) < 0)
		oldest = 0; /* not every engine says it */
	if (newest < RH_DOCKER_API_OLDEST || oldest > RH_DOCKER_API_NEWEST)
		return rh_origin(-EPROTONOSUPPORT);
	*ret_minor = newest < RH_DOCKER_API_NEWEST ? newest : RH_DOCKER_API_NEWEST;
	return 0;
}

int rh_docker_read_created(const char *data, size_t size, char ret_id[RH_ENGINE_ID_SIZE])
{
	_cleanup_(rh_docker_json_putp) struct json_object *root = NULL;
	int r = rh_docker_json_parse(data, size, json_type_object, &root);

	return r < 0 ? rh_trace(r) : rh_trace(rh_docker_json_id(root, "Id", ret_id));
}

static void copy_name(struct rh_engine_container *container, const char *name)
{
	rh_wire_text_copy(name + (name[0] == '/'), container->name, sizeof(container->name));
}

static int read_list_item(struct json_object *item, struct rh_engine_container *container)
{
	struct json_object *labels = rh_docker_json_member(item, "Labels", json_type_object);
	struct json_object *names = rh_docker_json_member(item, "Names", json_type_array);
	struct json_object *name = names ? json_object_array_get_idx(names, 0) : NULL;
	int r = rh_docker_json_id(item, "Id", container->id);

	if (r < 0)
		return rh_trace(r);
	if (json_object_is_type(name, json_type_string))
		copy_name(container, json_object_get_string(name));
	copy_instance(container->instance, labels);
	rh_wire_text_copy(rh_docker_json_text(labels, "runnerhub.profile"), container->profile,
		sizeof(container->profile));
	rh_wire_text_copy(
		rh_docker_json_text(item, "State"), container->state, sizeof(container->state));
	if (container->state[0] == '\0')
		return rh_origin(-EPROTO);

	int64_t created_s = rh_docker_json_number(item, "Created");

	container->created_ms =
		created_s > 0 && created_s < INT64_MAX / 1000 ? created_s * 1000 : 0;
	return 0;
}

int rh_docker_read_list(
	const char *data, size_t size, struct rh_engine_container **ret_list, size_t *ret_n)
{
	_cleanup_(rh_docker_json_putp) struct json_object *root = NULL;
	_cleanup_(rh_freep) struct rh_engine_container *list = NULL;
	int r = rh_docker_json_list(data, size, sizeof(*list), &root, (void **)&list);
	size_t n = r < 0 ? 0 : json_object_array_length(root);

	if (r < 0)
		return rh_trace(r);
	for (size_t i = 0; i < n; i++) {
		r = read_list_item(json_object_array_get_idx(root, i), &list[i]);
		if (r < 0)
			return rh_trace(r);
	}
	*ret_list = rh_steal(&list);
	*ret_n = n;
	return 0;
}

int rh_docker_read_inspect(const char *data, size_t size, struct rh_engine_container *ret_container)
{
	_cleanup_(rh_docker_json_putp) struct json_object *root = NULL;
	struct rh_engine_container container = {0};
	int r = rh_docker_json_parse(data, size, json_type_object, &root);
	struct json_object *state =
		r < 0 ? NULL : rh_docker_json_member(root, "State", json_type_object);
	struct json_object *config =
		r < 0 ? NULL : rh_docker_json_member(root, "Config", json_type_object);
	struct json_object *labels = rh_docker_json_member(config, "Labels", json_type_object);

	if (r == 0)
		r = rh_docker_json_id(root, "Id", container.id);
	if (r < 0)
		return rh_trace(r);
	if (!state)
		return rh_origin(-EPROTO);
	copy_name(&container, rh_docker_json_text(root, "Name"));
	copy_instance(container.instance, labels);
	rh_wire_text_copy(rh_docker_json_text(labels, "runnerhub.profile"), container.profile,
		sizeof(container.profile));
	rh_wire_text_copy(rh_docker_json_text(labels, "runnerhub.revision"), container.revision,
		sizeof(container.revision));
	rh_wire_text_copy(
		rh_docker_json_text(state, "Status"), container.state, sizeof(container.state));
	container.created_ms = rh_docker_json_time_ms(root, "Created");
	container.started_ms = rh_docker_json_time_ms(state, "StartedAt");
	container.finished_ms = rh_docker_json_time_ms(state, "FinishedAt");
	container.pid = clamp_int(rh_docker_json_number(state, "Pid"));
	container.exit_code = clamp_int(rh_docker_json_number(state, "ExitCode"));
	container.oom_killed = rh_docker_json_flag(state, "OOMKilled");

	int64_t restarts = rh_docker_json_number(root, "RestartCount");

	container.restart_count =
		restarts < 0 || restarts > UINT32_MAX ? UINT32_MAX : (uint32_t)restarts;
	*ret_container = container;
	return 0;
}

int rh_docker_read_pull(const char *data, size_t size, char *buf, size_t buf_size)
{
	for (const char *line = data, *end = NULL; line < data + size; line = end + 1) {
		_cleanup_(rh_docker_json_putp) struct json_object *root = NULL;

		end = memchr(line, '\n', (size_t)(data + size - line));
		end = end ? end : data + size;
		/* Hundreds of lines tell of progress. */
		if (!memmem(line, (size_t)(end - line), "\"error\"", 7) ||
			rh_docker_json_parse(line, (size_t)(end - line), json_type_object, &root) <
				0)
			continue;
		rh_wire_text_copy(rh_docker_json_text(root, "error"), buf, buf_size);
		if (*buf)
			return rh_origin(-EIO);
	}
	return 0;
}

int rh_docker_read_event(
	const char *data, size_t size, struct rh_engine_event *ret_event, int64_t *ret_time_ns)
{
	static const struct {
		const char *action;
		enum rh_engine_event_kind kind;
	} kinds[] = {
		{"die", RH_ENGINE_DIED},
		{"oom", RH_ENGINE_OOM},
		{"pause", RH_ENGINE_PAUSED},
		{"destroy", RH_ENGINE_DESTROYED},
	};
	_cleanup_(rh_docker_json_putp) struct json_object *root = NULL;
	struct rh_engine_event event = {0};
	int r = rh_docker_json_parse(data, size, json_type_object, &root);

	if (r < 0)
		return rh_trace(r);

	struct json_object *actor = rh_docker_json_member(root, "Actor", json_type_object);
	struct json_object *attributes =
		rh_docker_json_member(actor, "Attributes", json_type_object);
	const char *action = rh_docker_json_text(root, "Action");
	size_t i = 0;

	while (i < sizeof(kinds) / sizeof(kinds[0]) && strcmp(kinds[i].action, action) != 0)
		i++;
	if (i == sizeof(kinds) / sizeof(kinds[0]) ||
		strcmp(rh_docker_json_text(root, "Type"), "container") != 0)
		return RH_DOCKER_E_OTHER;
	event.kind = kinds[i].kind;
	r = rh_docker_json_id(actor, "ID", event.id);
	if (r < 0)
		return rh_trace(r);
	copy_instance(event.instance, attributes);
	event.exit_code = clamp_int(strtol(rh_docker_json_text(attributes, "exitCode"), NULL, 10));
	*ret_event = event;
	*ret_time_ns = rh_docker_json_number(root, "timeNano");
	return 0;
}
