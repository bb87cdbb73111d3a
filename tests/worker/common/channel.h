/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The pipes between Listener and Worker, and between run-workflow and Listener.
 *
 * A frame is two 32-bit little-endian numbers, type and length, and the body, UTF-8 JSON. The types
 * below 10 are the runner's own; events are what the real Worker tells GitHub over HTTP.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/text.h"

enum rh_frame_type {
	RH_FRAME_JOB = 1, /* to the Worker: the job message */
	RH_FRAME_CANCEL = 2, /* to the Worker: cancel the job */
	RH_FRAME_SHUTDOWN = 3, /* to the Worker: the runner stops */
	RH_FRAME_OS_SHUTDOWN = 4, /* to the Worker: the machine stops */
	RH_FRAME_EVENT = 10, /* from the Worker: one event, {"e": …} */
	RH_FRAME_EXIT = 11, /* from the Listener: the Worker ended, {"status": N} */
};

/* Larger frames are taken for damage. */
#define RH_FRAME_MAX (256u * 1024 * 1024)

/**
 * rh_frame_write() - one frame, blocking
 * Return: 0; negative errno, -EPIPE if the reader is gone.
 */
int rh_frame_write(int fd, enum rh_frame_type type, const void *body, size_t size);

/* Adds a frame to a buffer that is written later. */
void rh_frame_add(struct rh_text *buffer, enum rh_frame_type type, const void *body, size_t size);

/**
 * rh_frame_read() - the next frame, blocking
 * @body: emptied, then filled
 *
 * Return: the type; 0 at the end of the stream; negative errno.
 */
int rh_frame_read(int fd, struct rh_text *body);
