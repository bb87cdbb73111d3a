/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The descriptors that come with a STEP message.
 */

#include "broker/agent/stepfds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"

enum {
	FD_BLOCK,
	FD_STDIN,
	FD_STDOUT,
	FD_STDERR,
	FD_CHANNEL,
	FD_COUNT,
};

static int socket_option(int fd, int option)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? -1 : value;
}

static bool is_channel(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return socket_option(fd, SO_DOMAIN) == AF_UNIX &&
		socket_option(fd, SO_TYPE) == SOCK_SEQPACKET && flags >= 0 &&
		fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

int rh_step_fds_take(struct rh_wire_msg *msg, struct rh_step_fds *ret_fds)
{
	if (msg->n_fds != FD_COUNT || !is_channel(msg->fds[FD_CHANNEL]))
		return rh_origin(-EPROTO);
	*ret_fds = (struct rh_step_fds){
		.block = msg->fds[FD_BLOCK],
		.stdio = {msg->fds[FD_STDIN], msg->fds[FD_STDOUT], msg->fds[FD_STDERR]},
		.channel = msg->fds[FD_CHANNEL],
	};
	msg->n_fds = 0;
	return 0;
}

void rh_step_fds_deinit(struct rh_step_fds *fds)
{
	rh_close(fds->block);
	for (int i = 0; i < 3; i++)
		rh_close(fds->stdio[i]);
	rh_close(fds->channel);
	*fds = RH_STEP_FDS_NONE;
}

static bool may_be_stream(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || (flags & O_PATH) || fstat(fd, &st) < 0)
		return false;
	switch (st.st_mode & S_IFMT) {
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFREG:
		return true;
	case S_IFCHR:
		/* Documentation/admin-guide/devices.txt: 1:3 is null. */
		return st.st_rdev == makedev(1, 3);
	default:
		return false;
	}
}

const char *rh_step_fds_check(const struct rh_step_fds *fds)
{
	for (int i = 0; i < 3; i++) {
		if (!may_be_stream(fds->stdio[i]))
			return "runnerhub: a standard stream of the step is neither a pipe, a "
			       "socket, a regular file nor /dev/null\n";
	}
	return NULL;
}
