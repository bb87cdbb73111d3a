/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Packets between the broker and its mount helpers. Property: a request that is accepted is written
 * back as the same bytes; its names never make a plan that leaves the runner's directories.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/mount/plan.h"
#include "broker/daemon/mount/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_plan(const struct rh_mount_attach *attach)
{
	static struct rh_plan plan;
	const struct rh_plan_names names = {.bin = "bin.1", .externals = "externals"};
	struct rh_err err;

	if (rh_plan_make(attach, &names, &plan, &err) < 0)
		return;
	for (size_t i = 0; i < plan.n_entries; i++) {
		const struct rh_plan_entry *entry = &plan.entries[i];
		const char *base = entry->base == RH_PLAN_WORK ? attach->work : attach->root;

		if (!rh_plan_is_path(entry->target) || !rh_plan_below(base, entry->target) ||
			entry->source[0] == '/' || strstr(entry->source, ".."))
			abort();
	}
	if (plan.tools_kind != RH_PLAN_TOOLS_NONE && !rh_plan_is_path(plan.tools_target))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[RH_MOUNT_PACKET_MAX];
	struct rh_mount_request request;
	struct rh_mount_reply reply;

	if (rh_mount_request_decode(data, size, &request) == 0) {
		int n = rh_mount_request_encode(&request, again, sizeof(again));

		if (n != (int)size)
			abort();
		if (request.op == RH_MOUNT_ATTACH)
			check_plan(&request.attach);
	}
	(void)rh_mount_reply_decode(data, size, &reply);
	return 0;
}
