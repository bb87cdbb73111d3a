/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The log's descriptor.
 *
 * O_NONBLOCK belongs to the open file description, which stderr shares with whoever started us, so
 * it is never set there. A pipe or terminal is opened again through /proc, which makes a
 * description of our own; a socket has MSG_DONTWAIT. Where neither works poll(2) is asked first,
 * and no more than PIPE_BUF written.
 */

#include "broker/daemon/log/sink.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "runnerhub/err.h"

/* systemd says which device and inode its journal's stream is (systemd.exec(5), JOURNAL_STREAM). */
static bool is_journal(const struct stat *st)
{
	const char *text = secure_getenv("JOURNAL_STREAM");
	char own[64];

	(void)snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)st->st_dev,
		(unsigned long long)st->st_ino);
	return text && strcmp(text, own) == 0;
}

void rh_log_sink_init(struct rh_log_sink *sink, int fd)
{
	struct stat st = {0};

	*sink = (struct rh_log_sink){.fd = fd};
	if (fstat(fd, &st) < 0)
		return;
	sink->is_socket = S_ISSOCK(st.st_mode);
	sink->is_file = S_ISREG(st.st_mode);
	sink->is_journal = is_journal(&st);
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;

	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int own_fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (own_fd < 0)
		return;
	sink->fd = own_fd;
	sink->own_fd = true;
}

void rh_log_sink_deinit(struct rh_log_sink *sink)
{
	if (sink->own_fd)
		rh_close(sink->fd);
	*sink = (struct rh_log_sink){.fd = -1};
}

ssize_t rh_log_sink_write(const struct rh_log_sink *sink, const char *data, size_t size)
{
	ssize_t n = 0;

	if (!sink->is_socket && !sink->is_file && !sink->own_fd) {
		struct pollfd pfd = {.fd = sink->fd, .events = POLLOUT};

		if (poll(&pfd, 1, 0) == 0)
			return -EAGAIN;
		size = size < PIPE_BUF ? size : PIPE_BUF;
	}
	do
		n = sink->is_socket ? send(sink->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
				    : write(sink->fd, data, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? rh_origin(-errno) : n;
}

void rh_log_sink_wait(const struct rh_log_sink *sink, int timeout_ms)
{
	struct pollfd pfd = {.fd = sink->fd, .events = POLLOUT};

	(void)poll(&pfd, 1, timeout_ms); /* an early return costs one more write */
}
