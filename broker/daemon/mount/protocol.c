/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Packets between the broker and its mount helpers: a fixed head, then strings, each ended by a
 * NUL. An absent string is an empty one.
 */

#include "broker/daemon/mount/protocol.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#define MAGIC       0x31544d52u /* "RMT1" */
#define MAX_STRINGS 6

struct head {
	uint32_t magic;
	uint16_t op;
	uint16_t n_strings;
	uint64_t seq;
	int64_t worker_started_ms;
	int32_t container_pid;
	uint32_t runner_uid;
	uint32_t runner_gid;
	uint32_t step_uid;
	uint32_t step_gid;
	uint32_t id_map_base;
	uint32_t flag; /* attach: tools_writable; release: scrub_workspace; make: slot */
	int32_t worker_pid;
	uint64_t worker_start;
};

#define AT(member) offsetof(struct rh_mount_request, member)

/* Each operation's strings, in the order of the packet; the bit of an optional one is set. */
static const struct {
	uint8_t n_strings;
	uint8_t optional;
	uint8_t helper;
	size_t offsets[MAX_STRINGS];
} shapes[RH_MOUNT_OPS] = {
	[RH_MOUNT_ATTACH] = {6, 1 << 4, RH_MOUNT_HELPER_FAST,
		{AT(attach.root), AT(attach.work), AT(attach.repo), AT(attach.workspace),
			AT(attach.tool_cache), AT(attach.state_dir)}},
	[RH_MOUNT_RELEASE] = {3, 1 << 2, RH_MOUNT_HELPER_FAST,
		{AT(release.work), AT(release.repo), AT(release.keep)}},
	[RH_MOUNT_RETIRE] = {2, 0, RH_MOUNT_HELPER_FAST, {AT(retire.root), AT(retire.work)}},
	[RH_MOUNT_MAKE_DIR] = {2, 0, RH_MOUNT_HELPER_FAST, {AT(dir.parent), AT(dir.name)}},
	[RH_MOUNT_SWEEP] = {1, 0, RH_MOUNT_HELPER_SWEEP, {AT(dir.parent)}},
	[RH_MOUNT_REMOVE_TREE] = {2, 0, RH_MOUNT_HELPER_SWEEP, {AT(dir.parent), AT(dir.name)}},
};

enum rh_mount_helper_kind rh_mount_op_helper(enum rh_mount_op op)
{
	return shapes[op].helper;
}

static const char *get_string(const struct rh_mount_request *request, unsigned i)
{
	const char *text = NULL;

	memcpy(&text, (const char *)request + shapes[request->op].offsets[i], sizeof(text));
	return text;
}

static void set_string(struct rh_mount_request *request, unsigned i, const char *text)
{
	memcpy((char *)request + shapes[request->op].offsets[i], &text, sizeof(text));
}

static void numbers_to_head(const struct rh_mount_request *request, struct head *head)
{
	const struct rh_mount_attach *attach = &request->attach;
	const struct rh_mount_release *release = &request->release;

	if (request->op == RH_MOUNT_ATTACH) {
		head->worker_started_ms = attach->worker_started_ms;
		head->container_pid = attach->container_pid;
		head->runner_uid = attach->runner_uid;
		head->runner_gid = attach->runner_gid;
		head->step_uid = attach->step_uid;
		head->step_gid = attach->step_gid;
		head->id_map_base = attach->id_map_base;
		head->worker_pid = attach->worker_pid;
		head->worker_start = attach->worker_start;
		head->flag = attach->tools_writable;
	} else if (request->op == RH_MOUNT_RELEASE) {
		head->runner_uid = release->runner_uid;
		head->runner_gid = release->runner_gid;
		head->id_map_base = release->id_map_base;
		head->flag = release->scrub_workspace;
	} else if (request->op == RH_MOUNT_RETIRE) {
		head->runner_uid = request->retire.runner_uid;
		head->runner_gid = request->retire.runner_gid;
	} else {
		head->flag = request->dir.slot;
	}
}

static void numbers_from_head(const struct head *head, struct rh_mount_request *request)
{
	if (request->op == RH_MOUNT_ATTACH) {
		request->attach = (struct rh_mount_attach){
			.worker_started_ms = head->worker_started_ms,
			.container_pid = head->container_pid,
			.runner_uid = head->runner_uid,
			.runner_gid = head->runner_gid,
			.step_uid = head->step_uid,
			.step_gid = head->step_gid,
			.id_map_base = head->id_map_base,
			.worker_pid = head->worker_pid,
			.worker_start = head->worker_start,
			.tools_writable = head->flag != 0,
		};
	} else if (request->op == RH_MOUNT_RELEASE) {
		request->release = (struct rh_mount_release){
			.runner_uid = head->runner_uid,
			.runner_gid = head->runner_gid,
			.id_map_base = head->id_map_base,
			.scrub_workspace = head->flag != 0,
		};
	} else if (request->op == RH_MOUNT_RETIRE) {
		request->retire = (struct rh_mount_retire){
			.runner_uid = head->runner_uid,
			.runner_gid = head->runner_gid,
		};
	} else {
		request->dir.slot = head->flag != 0;
	}
}

int rh_mount_request_encode(const struct rh_mount_request *request, uint8_t *buf, size_t size)
{
	size_t n = sizeof(struct head);

	if (request->op <= 0 || request->op >= RH_MOUNT_OPS)
		return rh_origin(-EINVAL);
	if (size < n)
		return rh_origin(-EMSGSIZE);

	struct head head = {
		.magic = MAGIC,
		.op = (uint16_t)request->op,
		.n_strings = shapes[request->op].n_strings,
		.seq = request->seq,
	};

	numbers_to_head(request, &head);
	memcpy(buf, &head, sizeof(head));
	for (unsigned i = 0; i < head.n_strings; i++) {
		const char *given = get_string(request, i);
		const char *text = given ? given : "";
		size_t length = strlen(text) + 1;

		if (length == 1 && !(shapes[request->op].optional & 1 << i))
			return rh_origin(-EINVAL);
		if (length > PATH_MAX)
			return rh_origin(-ENAMETOOLONG);
		if (length > size - n)
			return rh_origin(-EMSGSIZE);
		memcpy(buf + n, text, length);
		n += length;
	}
	return (int)n;
}

int rh_mount_request_decode(const uint8_t *buf, size_t size, struct rh_mount_request *ret_request)
{
	struct rh_mount_request request = {0};
	size_t at = sizeof(struct head);
	struct head head;

	if (size < sizeof(head) || size > RH_MOUNT_PACKET_MAX)
		return rh_origin(-EBADMSG);
	memcpy(&head, buf, sizeof(head));
	if (head.magic != MAGIC || head.op == 0 || head.op >= RH_MOUNT_OPS ||
		head.n_strings != shapes[head.op].n_strings || head.flag > 1)
		return rh_origin(-EBADMSG);
	request.op = head.op;
	request.seq = head.seq;
	numbers_from_head(&head, &request);
	for (unsigned i = 0; i < head.n_strings; i++) {
		const char *text = (const char *)buf + at;
		size_t length = strnlen(text, size - at);

		if (length == size - at || length >= PATH_MAX)
			return rh_origin(-EBADMSG);
		if (length == 0 && !(shapes[head.op].optional & 1 << i))
			return rh_origin(-EBADMSG);
		set_string(&request, i, length > 0 ? text : NULL);
		at += length + 1;
	}
	if (at != size)
		return rh_origin(-EBADMSG);
	*ret_request = request;
	return 0;
}

void rh_mount_reply_seal(struct rh_mount_reply *reply)
{
	reply->magic = MAGIC;
	reply->text[sizeof(reply->text) - 1] = '\0';
}

int rh_mount_reply_decode(const uint8_t *buf, size_t size, struct rh_mount_reply *ret_reply)
{
	struct rh_mount_reply reply;

	if (size != sizeof(reply))
		return rh_origin(-EBADMSG);
	memcpy(&reply, buf, sizeof(reply));
	if (reply.magic != MAGIC || reply.r > 0 || reply.r < -4095 ||
		reply.text[sizeof(reply.text) - 1] != '\0' || reply.swapped_workspace > 1 ||
		reply.id_mapped > 1 || reply.no_follow > 1 ||
		(reply.kind != RH_MOUNT_PROGRESS && reply.kind != RH_MOUNT_DONE))
		return rh_origin(-EBADMSG);
	*ret_reply = reply;
	return 0;
}
