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
#include <time.h>

#include "broker/daemon/engine/docker.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/id.h"

#define JSON_DEPTH_MAX 24
#define LIST_MAX       4096u /* containers of ours on one host */

static void json_putp(struct json_object **object)
{
	json_object_put(*object);
}

/* Parses a whole document of the given type, strictly. */
static int parse(
	const char *data, size_t size, enum json_type type, struct json_object **ret_object)
{
	struct json_tokener *tokener = NULL;
	_cleanup_(json_putp) struct json_object *object = NULL;
	enum json_tokener_error error = json_tokener_success;

	while (size > 0 && isspace((unsigned char)data[size - 1]))
		size--;
	if (size == 0 || size > INT_MAX)
		return rh_origin(-EPROTO);
	tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
	if (!tokener)
		return rh_origin(-ENOMEM);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, data, (int)size);
	error = json_tokener_get_error(tokener);
	if (error == json_tokener_success && json_tokener_get_parse_end(tokener) != size)
		error = json_tokener_error_parse_unexpected;
	json_tokener_free(tokener);
	if (error != json_tokener_success || !json_object_is_type(object, type))
		return rh_origin(-EPROTO);
	*ret_object = rh_steal(&object);
	return 0;
}

static struct json_object *member(struct json_object *object, const char *key, enum json_type type)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(object, json_type_object) ||
		!json_object_object_get_ex(object, key, &value) ||
		!json_object_is_type(value, type))
		return NULL;
	return value;
}

static const char *text_member(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key, json_type_string);

	return value ? json_object_get_string(value) : "";
}

static int64_t number_member(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key, json_type_int);

	return value ? json_object_get_int64(value) : 0;
}

static bool flag_member(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key, json_type_boolean);

	return value && json_object_get_boolean(value);
}

static int clamp_int(int64_t number)
{
	if (number < INT_MIN)
		return INT_MIN;
	return number > INT_MAX ? INT_MAX : (int)number;
}

/* Copies as much as fits, never half a UTF-8 sequence, control characters as spaces. */
static void copy_text(char *buf, size_t size, const char *text)
{
	size_t n = strlen(text);

	if (n >= size) {
		n = size - 1;
		while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--;
	}
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		buf[i] = (char)(c < 0x20 || c == 0x7f ? ' ' : c);
	}
	buf[n] = '\0';
}

static int copy_id(char ret_id[RH_ENGINE_ID_SIZE], const char *text)
{
	size_t n = strspn(text, "0123456789abcdef");

	if (n != RH_ENGINE_ID_SIZE - 1 || text[n] != '\0')
		return rh_origin(-EPROTO);
	memcpy(ret_id, text, RH_ENGINE_ID_SIZE);
	return 0;
}

/* The instance label, or "" if it is none. */
static void copy_instance(char buf[RH_ID_TEXT_SIZE], struct json_object *labels)
{
	const char *text = text_member(labels, "runnerhub.instance");
	struct rh_id id = {0};

	if (rh_id_parse(text, &id) == 0)
		memcpy(buf, text, RH_ID_TEXT_SIZE);
	else
		buf[0] = '\0';
}

/* RFC 3339 with any number of decimals, in UTC as Docker writes it; 0 if it is no time. */
static int64_t parse_time_ms(const char *text)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t ms = 0;

	if (!rest || tm.tm_year < 70) /* "0001-01-01T00:00:00Z" is never */
		return 0;
	if (*rest == '.') {
		for (int digit = 0, factor = 100; digit < 3; digit++, factor /= 10) {
			if (!isdigit((unsigned char)rest[1]))
				break;
			ms += (int64_t)(*++rest - '0') * factor;
		}
	}
	return (int64_t)timegm(&tm) * 1000 + ms;
}

int rh_docker_read_error(const char *data, size_t size, char *buf, size_t buf_size)
{
	_cleanup_(json_putp) struct json_object *root = NULL;
	int r = parse(data, size, json_type_object, &root);

	if (r < 0)
		return rh_trace(r);
	if (!member(root, "message", json_type_string))
		return rh_origin(-EPROTO);
	copy_text(buf, buf_size, text_member(root, "message"));
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
	_cleanup_(json_putp) struct json_object *root = NULL;
	unsigned newest = 0;
	unsigned oldest = 0;
	int r = parse(data, size, json_type_object, &root);

	if (r == 0)
		r = parse_api(text_member(root, "ApiVersion"), &newest);
	if (r < 0)
		return rh_trace(r);
	if (parse_api(text_member(root, "MinAPIVersion"), &oldest) < 0)
		oldest = 0; /* not every engine says it */
	if (newest < RH_DOCKER_API_OLDEST || oldest > RH_DOCKER_API_NEWEST)
		return rh_origin(-EPROTONOSUPPORT);
	*ret_minor = newest < RH_DOCKER_API_NEWEST ? newest : RH_DOCKER_API_NEWEST;
	return 0;
}

int rh_docker_read_created(const char *data, size_t size, char ret_id[RH_ENGINE_ID_SIZE])
{
	_cleanup_(json_putp) struct json_object *root = NULL;
	int r = parse(data, size, json_type_object, &root);

	return r < 0 ? rh_trace(r) : rh_trace(copy_id(ret_id, text_member(root, "Id")));
}

static void copy_name(struct rh_engine_container *container, const char *name)
{
	copy_text(container->name, sizeof(container->name), name + (name[0] == '/'));
}

static int read_list_item(struct json_object *item, struct rh_engine_container *container)
{
	struct json_object *labels = member(item, "Labels", json_type_object);
	struct json_object *names = member(item, "Names", json_type_array);
	struct json_object *name = names ? json_object_array_get_idx(names, 0) : NULL;
	int r = copy_id(container->id, text_member(item, "Id"));

	if (r < 0)
		return rh_trace(r);
	if (json_object_is_type(name, json_type_string))
		copy_name(container, json_object_get_string(name));
	copy_instance(container->instance, labels);
	copy_text(container->profile, sizeof(container->profile),
		text_member(labels, "runnerhub.profile"));
	copy_text(container->state, sizeof(container->state), text_member(item, "State"));
	if (container->state[0] == '\0')
		return rh_origin(-EPROTO);

	int64_t created_s = number_member(item, "Created");

	container->created_ms =
		created_s > 0 && created_s < INT64_MAX / 1000 ? created_s * 1000 : 0;
	return 0;
}

int rh_docker_read_list(
	const char *data, size_t size, struct rh_engine_container **ret_list, size_t *ret_n)
{
	_cleanup_(json_putp) struct json_object *root = NULL;
	_cleanup_(rh_freep) struct rh_engine_container *list = NULL;
	int r = parse(data, size, json_type_array, &root);
	size_t n = 0;

	if (r < 0)
		return rh_trace(r);
	n = json_object_array_length(root);
	if (n > LIST_MAX)
		return rh_origin(-EPROTO);
	list = calloc(n + 1, sizeof(*list));
	if (!list)
		return rh_origin(-ENOMEM);
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
	_cleanup_(json_putp) struct json_object *root = NULL;
	struct rh_engine_container container = {0};
	int r = parse(data, size, json_type_object, &root);
	struct json_object *state = r < 0 ? NULL : member(root, "State", json_type_object);
	struct json_object *config = r < 0 ? NULL : member(root, "Config", json_type_object);
	struct json_object *labels = member(config, "Labels", json_type_object);

	if (r == 0)
		r = copy_id(container.id, text_member(root, "Id"));
	if (r < 0)
		return rh_trace(r);
	if (!state)
		return rh_origin(-EPROTO);
	copy_name(&container, text_member(root, "Name"));
	copy_instance(container.instance, labels);
	copy_text(container.profile, sizeof(container.profile),
		text_member(labels, "runnerhub.profile"));
	copy_text(container.revision, sizeof(container.revision),
		text_member(labels, "runnerhub.revision"));
	copy_text(container.state, sizeof(container.state), text_member(state, "Status"));
	container.created_ms = parse_time_ms(text_member(root, "Created"));
	container.started_ms = parse_time_ms(text_member(state, "StartedAt"));
	container.finished_ms = parse_time_ms(text_member(state, "FinishedAt"));
	container.pid = clamp_int(number_member(state, "Pid"));
	container.exit_code = clamp_int(number_member(state, "ExitCode"));
	container.oom_killed = flag_member(state, "OOMKilled");

	int64_t restarts = number_member(root, "RestartCount");

	container.restart_count =
		restarts < 0 || restarts > UINT32_MAX ? UINT32_MAX : (uint32_t)restarts;
	*ret_container = container;
	return 0;
}

int rh_docker_read_info(const char *data, size_t size, struct rh_engine_info *ret_info)
{
	_cleanup_(json_putp) struct json_object *root = NULL;
	int r = parse(data, size, json_type_object, &root);

	if (r < 0)
		return rh_trace(r);

	int64_t n_cpus = number_member(root, "NCPU");
	int64_t memory = number_member(root, "MemTotal");
	const char *cgroup_version = text_member(root, "CgroupVersion");
	struct rh_engine_info info = {
		.cgroup_version = strcmp(cgroup_version, "2") == 0 ? 2 : 1,
		.n_cpus = n_cpus > 0 && n_cpus < UINT32_MAX ? (uint32_t)n_cpus : 0,
		.memory_bytes = memory > 0 ? (uint64_t)memory : 0,
	};

	copy_text(info.version, sizeof(info.version), text_member(root, "ServerVersion"));
	copy_text(info.storage_driver, sizeof(info.storage_driver), text_member(root, "Driver"));
	copy_text(
		info.cgroup_driver, sizeof(info.cgroup_driver), text_member(root, "CgroupDriver"));
	copy_text(info.root_dir, sizeof(info.root_dir), text_member(root, "DockerRootDir"));
	copy_text(info.kernel, sizeof(info.kernel), text_member(root, "KernelVersion"));
	*ret_info = info;
	return 0;
}

int rh_docker_read_network(const char *data, size_t size, bool *ret_isolated)
{
	_cleanup_(json_putp) struct json_object *root = NULL;
	int r = parse(data, size, json_type_object, &root);
	struct json_object *options = r < 0 ? NULL : member(root, "Options", json_type_object);

	if (r < 0)
		return rh_trace(r);
	*ret_isolated = strcmp(text_member(root, "Driver"), "bridge") == 0 &&
		strcmp(text_member(options, "com.docker.network.bridge.enable_icc"), "false") == 0;
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
	_cleanup_(json_putp) struct json_object *root = NULL;
	struct rh_engine_event event = {0};
	int r = parse(data, size, json_type_object, &root);

	if (r < 0)
		return rh_trace(r);

	struct json_object *actor = member(root, "Actor", json_type_object);
	struct json_object *attributes = member(actor, "Attributes", json_type_object);
	const char *action = text_member(root, "Action");
	size_t i = 0;

	while (i < sizeof(kinds) / sizeof(kinds[0]) && strcmp(kinds[i].action, action) != 0)
		i++;
	if (i == sizeof(kinds) / sizeof(kinds[0]) ||
		strcmp(text_member(root, "Type"), "container") != 0)
		return RH_DOCKER_E_OTHER;
	event.kind = kinds[i].kind;
	r = copy_id(event.id, text_member(actor, "ID"));
	if (r < 0)
		return rh_trace(r);
	copy_instance(event.instance, attributes);
	event.exit_code = clamp_int(strtol(text_member(attributes, "exitCode"), NULL, 10));
	*ret_event = event;
	*ret_time_ns = number_member(root, "timeNano");
	return 0;
}
