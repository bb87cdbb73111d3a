/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The agent's socket. A peer that is not the broker is closed before a byte of it is read, so that
 * the only thing it can hold is a place in the backlog.
 */

#include "broker/agent/listen.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"
#include "runnerhub/fd.h"
#include "runnerhub/weaken.h"

#define LISTEN_BACKLOG 8

bool rh_from_host(uid_t uid, pid_t pid)
{
	return (uid == 0 && pid == 0) || rh_weakened("agent-peer");
}

static void on_connection(void *arg, uint32_t events)
{
	struct rh_listen *listen = arg;
	_cleanup_(rh_closep) int fd = accept4(listen->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer = {.pid = -1, .uid = (uid_t)-1};
	socklen_t size = sizeof(peer);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return;
	if (listen->from_host(peer.uid, peer.pid))
		rh_link_take(listen->link, rh_steal_fd(&fd));
}

int rh_listen_start(struct rh_listen *listen, const char *path)
{
	int fd = rh_unix_listen(path, SOCK_SEQPACKET | SOCK_NONBLOCK, 0600, LISTEN_BACKLOG);

	if (fd < 0)
		return rh_trace(fd);
	listen->fd = fd;
	listen->source = (struct rh_source){.on_event = on_connection, .arg = listen};
	return rh_trace(rh_loop_add(listen->loop, fd, EPOLLIN, &listen->source));
}

void rh_listen_close(struct rh_listen *listen)
{
	rh_close(rh_steal_fd(&listen->fd));
}
