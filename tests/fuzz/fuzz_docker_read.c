/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Property: whatever an engine answers, what is accepted has identifiers that are identifiers,
 * texts that are one line of valid UTF-8 within their buffers, and instances that are ours or "".
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/engine/docker.h"
#include "runnerhub/id.h"
#include "runnerhub/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
	size_t n = strnlen(text, size);

	if (n == size || strchr(text, '\n') || !rh_wire_text_valid(text, n, false))
		abort();
}

static void check_ids(const char *id, const char *instance)
{
	struct rh_id parsed;

	if (strspn(id, "0123456789abcdef") != RH_ENGINE_ID_SIZE - 1 || strlen(id) != 64)
		abort();
	if (instance[0] && rh_id_parse(instance, &parsed) < 0)
		abort();
}

static void check_container(const struct rh_engine_container *container)
{
	check_ids(container->id, container->instance);
	check_text(container->name, sizeof(container->name));
	check_text(container->profile, sizeof(container->profile));
	check_text(container->revision, sizeof(container->revision));
	check_text(container->state, sizeof(container->state));
	if (container->created_ms < 0)
		abort();
}

static void read_list(const char *text, size_t size)
{
	struct rh_engine_container *list = NULL;
	size_t n = 0;

	if (rh_docker_read_list(text, size, &list, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		check_container(&list[i]);
	free(list);
}

static void read_objects(const char *text, size_t size)
{
	struct rh_engine_container container = {0};
	struct rh_engine_event event = {0};
	struct rh_engine_info info = {0};
	char message[64];
	char id[RH_ENGINE_ID_SIZE];
	unsigned minor = 0;
	int64_t time_ns = 0;

	if (rh_docker_read_inspect(text, size, &container) == 0)
		check_container(&container);
	if (rh_docker_read_event(text, size, &event, &time_ns) == 0)
		check_ids(event.id, event.instance);
	if (rh_docker_read_created(text, size, id) == 0)
		check_ids(id, "");
	if (rh_docker_read_error(text, size, message, sizeof(message)) == 0)
		check_text(message, sizeof(message));
	if (rh_docker_read_version(text, size, &minor) == 0 &&
		(minor < RH_DOCKER_API_OLDEST || minor > RH_DOCKER_API_NEWEST))
		abort();
	if (rh_docker_read_info(text, size, &info) == 0) {
		check_text(info.version, sizeof(info.version));
		check_text(info.root_dir, sizeof(info.root_dir));
		check_text(info.kernel, sizeof(info.kernel));
	}
}

static void read_networks(const char *text, size_t size)
{
	struct rh_engine_network *list = NULL;
	size_t n = 0;

	if (rh_docker_read_networks(text, size, "runnerhub", "/hub", &list, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		check_ids(list[i].id, "");
		check_text(list[i].bridge, sizeof(list[i].bridge));
		check_text(list[i].gateway, sizeof(list[i].gateway));
	}
	free(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of its own size, so that a byte too far is seen. */
	char *text = malloc(size + (size == 0));

	if (!text)
		return 0;
	memcpy(text, data, size);
	read_list(text, size);
	read_objects(text, size);
	read_networks(text, size);
	free(text);
	return 0;
}
