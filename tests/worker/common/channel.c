/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames on a pipe, see channel.h.
 */

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/channel.h"
#include "runnerhub/fd.h"

struct head {
	uint32_t type;
	uint32_t size;
};

void rh_frame_add(struct rh_text *buffer, enum rh_frame_type type, const void *body, size_t size)
{
	struct head head = {.type = htole32((uint32_t)type), .size = htole32((uint32_t)size)};

	rh_text_add(buffer, &head, sizeof(head));
	rh_text_add(buffer, body, size);
}

int rh_frame_write(int fd, enum rh_frame_type type, const void *body, size_t size)
{
	struct rh_text frame = {0};

	rh_frame_add(&frame, type, body, size);

	int r = rh_write_all(fd, frame.data, frame.size);

	rh_text_deinit(&frame);
	return r;
}

/* Return: 1 if all was read, 0 at the end of the stream; negative errno. */
static int read_all(int fd, void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, (char *)data + done, size - done);

		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += (size_t)n;
	}
	return 1;
}

int rh_frame_read(int fd, struct rh_text *body)
{
	struct head head = {0};
	int r = read_all(fd, &head, sizeof(head));

	if (r <= 0)
		return r;

	uint32_t left = le32toh(head.size);
	char buf[16384];

	if (left > RH_FRAME_MAX)
		return -EBADMSG;
	body->size = 0;
	rh_text_add(body, "", 0);
	while (left) {
		uint32_t n = left < sizeof(buf) ? left : (uint32_t)sizeof(buf);

		r = read_all(fd, buf, n);
		if (r <= 0)
			return r;
		rh_text_add(body, buf, n);
		left -= n;
	}
	return (int)le32toh(head.type);
}
