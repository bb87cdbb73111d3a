/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Property: what the kernel, a file or the helper says about the network is refused or printable,
 * bounded and, where it can be written again, the same.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/config/egress.h"
#include "broker/daemon/network/flow.h"
#include "broker/daemon/network/port.h"
#include "broker/daemon/network/protocol.h"
#include "broker/daemon/network/resolvers.h"
#include "broker/daemon/network/watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_flow(const uint8_t *data, size_t size)
{
	struct rh_flow flow;
	char text[RH_FLOW_TEXT_SIZE];

	if (rh_flow_parse(data, size, &flow) < 0)
		return;
	rh_flow_format(&flow, text);
	for (const char *c = text; *c; c++) {
		if (*c < 0x20 || *c > 0x7e)
			abort();
	}
}

/* What was read is written, and what is written is read as the same. */
static void try_port(const uint8_t *data, size_t size)
{
	struct rh_rules_port *port = rh_port_new("x");
	struct rh_rules_port *again = rh_port_new("x");
	char *text = calloc(1, size + 1);
	char *first = NULL;
	char *second = NULL;
	size_t n = 0;

	if (!port || !again || !text)
		abort();
	memcpy(text, data, size);
	if (rh_port_parse(text, port) == 0) {
		FILE *out = open_memstream(&first, &n);

		if (!out || rh_port_write(out, port) < 0 || fclose(out) != 0)
			abort();
		second = strdup(first);
		if (!second || rh_port_parse(second, again) < 0)
			abort();
	}
	free(first);
	free(second);
	free(text);
	rh_port_free(port);
	rh_port_free(again);
}

static void try_rest(const uint8_t *data, size_t size)
{
	static struct rh_network_request request;
	struct rh_network_reply reply;
	struct rh_egress_place place;
	struct rh_rules rules = {0};
	char text[64];

	(void)rh_watch_is_foreign(data, size, "runnerhub", 1);
	if (rh_network_request_parse(data, size, &request) == 0) {
		for (size_t i = 0; i < request.n_words; i++) {
			if (strlen(request.words[i]) >= size)
				abort();
		}
	}
	if (rh_network_reply_parse(data, size, &reply) == 0 &&
		strlen(reply.text) >= sizeof(reply.text))
		abort();
	(void)snprintf(
		text, sizeof(text), "%.*s", (int)(size < 63 ? size : 63), (const char *)data);
	if (rh_egress_parse(text, &place) == 0 && place.last_port < place.first_port)
		abort();
	rh_resolvers_parse(&rules, (const char *)data, size);
	rh_resolvers_parse_engine(&rules, (const char *)data, size);
	if (rules.n_resolvers > RH_RULES_RESOLVERS_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_flow(data, size);
	try_port(data, size);
	try_rest(data, size);
	return 0;
}
