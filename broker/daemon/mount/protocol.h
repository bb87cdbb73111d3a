/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the broker and its mount helpers say to each other: one packet a request, one or more
 * replies, the last of which is DONE. Both ends check everything they get.
 */

#include <stddef.h>
#include <stdint.h>

#include "broker/daemon/mount/mount.h"

/* Six paths of PATH_MAX (linux/limits.h) and a head. */
#define RH_MOUNT_PACKET_MAX (6 * 4096 + 128)

enum rh_mount_helper_kind {
	RH_MOUNT_HELPER_FAST, /* what jobs wait for */
	RH_MOUNT_HELPER_SWEEP, /* deletes trash */
	RH_MOUNT_HELPERS,
};

enum rh_mount_op {
	RH_MOUNT_ATTACH = 1,
	RH_MOUNT_RELEASE,
	RH_MOUNT_RETIRE,
	RH_MOUNT_MAKE_DIR,
	RH_MOUNT_SWEEP,
	RH_MOUNT_REMOVE_TREE,
	RH_MOUNT_OPS,
};

struct rh_mount_request {
	enum rh_mount_op op;
	uint64_t seq;
	union {
		struct rh_mount_attach attach;
		struct rh_mount_release release;
		struct rh_mount_retire retire;
		struct {
			const char *parent; /* the work directory of a sweep */
			const char *name; /* NULL in a sweep */
			bool slot; /* to make with it (slot.h) */
		} dir;
	};
};

enum rh_mount_reply_kind {
	RH_MOUNT_PROGRESS = 1, /* still at it: the deadline begins anew */
	RH_MOUNT_DONE,
};

struct rh_mount_reply {
	uint64_t seq;
	uint64_t bytes; /* of a sweep */
	uint64_t n_files;
	int32_t r; /* 0 or negative errno */
	uint16_t kind;
	uint8_t swapped_workspace;
	uint8_t id_mapped;
	uint32_t n_temp_leftovers;
	uint32_t no_follow;
	char text[sizeof(((struct rh_err *)NULL)->text)];
	uint32_t magic;
};

/**
 * rh_mount_request_encode() - write a request into a packet
 * @size: of @buf; RH_MOUNT_PACKET_MAX is always enough for paths that Linux accepts
 *
 * Return: bytes; -EINVAL if a string is missing; -ENAMETOOLONG; -EMSGSIZE.
 */
int rh_mount_request_encode(const struct rh_mount_request *request, uint8_t *buf, size_t size);

/**
 * rh_mount_request_decode() - check a packet and read it
 * @ret_request: its strings point into @buf
 *
 * Lengths, counts, NULs and the shape of numbers are checked; what the strings mean is not.
 * Return: 0; -EBADMSG.
 */
int rh_mount_request_decode(const uint8_t *buf, size_t size, struct rh_mount_request *ret_request);

/* Return: 0; -EBADMSG. */
int rh_mount_reply_decode(const uint8_t *buf, size_t size, struct rh_mount_reply *ret_reply);
void rh_mount_reply_seal(struct rh_mount_reply *reply);

/* Which helper serves an operation. */
enum rh_mount_helper_kind rh_mount_op_helper(enum rh_mount_op op);
