/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a Docker engine says of its networks. Source: Docker Engine API v1.41, NetworkList.
 */

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/engine/docker.h"
#include "broker/daemon/engine/docker_json.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/wire.h"

/* The engine calls a bridge after its network unless it was told a name. */
static void read_bridge(struct json_object *options, struct rh_engine_network *network)
{
	const char *name = rh_docker_json_text(options, "com.docker.network.bridge.name");

	if (name[0])
		rh_wire_text_copy(name, network->bridge, sizeof(network->bridge));
	else
		(void)snprintf(network->bridge, sizeof(network->bridge), "br-%.12s", network->id);
}

/* The first IPv4 one of its subnets'. */
static void read_gateway(struct json_object *item, struct rh_engine_network *network)
{
	struct json_object *ipam = rh_docker_json_member(item, "IPAM", json_type_object);
	struct json_object *subnets = rh_docker_json_member(ipam, "Config", json_type_array);
	size_t n = subnets ? json_object_array_length(subnets) : 0;

	for (size_t i = 0; i < n && i < RH_DOCKER_LIST_MAX && !network->gateway[0]; i++) {
		const char *gateway =
			rh_docker_json_text(json_object_array_get_idx(subnets, i), "Gateway");

		if (!strchr(gateway, ':'))
			rh_wire_text_copy(gateway, network->gateway, sizeof(network->gateway));
	}
}

static int read_network(
	struct json_object *item, const char *hub, struct rh_engine_network *network)
{
	struct json_object *options = rh_docker_json_member(item, "Options", json_type_object);
	struct json_object *labels = rh_docker_json_member(item, "Labels", json_type_object);
	int r = rh_docker_json_id(item, "Id", network->id);

	if (r < 0)
		return rh_trace(r);
	network->isolated = strcmp(rh_docker_json_text(item, "Driver"), "bridge") == 0 &&
		strcmp(rh_docker_json_text(options, "com.docker.network.bridge.enable_icc"),
			"false") == 0;
	network->has_ip6 = rh_docker_json_flag(item, "EnableIPv6");
	network->created_ms = rh_docker_json_time_ms(item, "Created");
	network->ours = strcmp(rh_docker_json_text(labels, "runnerhub.managed"), "true") == 0 &&
		strcmp(rh_docker_json_text(labels, "runnerhub.hub"), hub) == 0;
	read_bridge(options, network);
	read_gateway(item, network);
	return 0;
}

int rh_docker_read_networks(const char *data, size_t size, const char *name, const char *hub,
	struct rh_engine_network **ret_list, size_t *ret_n)
{
	_cleanup_(rh_docker_json_putp) struct json_object *root = NULL;
	_cleanup_(rh_freep) struct rh_engine_network *list = NULL;
	int r = rh_docker_json_list(data, size, sizeof(*list), &root, (void **)&list);
	size_t n = 0;

	if (r < 0)
		return rh_trace(r);
	for (size_t i = 0; i < json_object_array_length(root); i++) {
		struct json_object *item = json_object_array_get_idx(root, i);

		if (strcmp(rh_docker_json_text(item, "Name"), name) != 0)
			continue;
		r = read_network(item, hub, &list[n++]);
		if (r < 0)
			return rh_trace(r);
	}
	*ret_list = rh_steal(&list);
	*ret_n = n;
	return 0;
}
