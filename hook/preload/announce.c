/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The packet that says "a job is coming to this runner". The kernel attaches who says so.
 */

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runnerhub/limits.h"
#include "runnerhub/wire.h"
#include "state.h"

/* The directory is named by its descriptor, so that a path of any length fits sun_path. */
static void socket_path(int dir_fd, char *to)
{
	static const char head[] = "/proc/self/fd/";
	static const char tail[] = "/" RH_BROKER_SOCKET;
	char digits[16];
	size_t n = 0;

	for (unsigned int v = (unsigned int)dir_fd; n == 0 || v > 0; v /= 10)
		digits[n++] = (char)('0' + v % 10);
	memcpy(to, head, sizeof(head) - 1);
	to += sizeof(head) - 1;
	while (n > 0)
		*to++ = digits[--n];
	memcpy(to, tail, sizeof(tail));
}

void rh_announce(const char *run_dir)
{
	const struct rh_wire_header header = {
		.magic = RH_WIRE_MAGIC,
		.version = RH_WIRE_VERSION,
		.type = RH_WIRE_ANNOUNCE,
	};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int dir_fd = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (dir_fd >= 0 && fd >= 0) {
		socket_path(dir_fd, address.sun_path);
		if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
			(void)send(fd, &header, sizeof(header), MSG_NOSIGNAL);
	}
	if (dir_fd >= 0)
		(void)close(dir_fd);
	if (fd >= 0)
		(void)close(fd);
}
