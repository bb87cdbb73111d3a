/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The agent's event loop.
 */

#include "broker/agent/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"

int rh_loop_init(struct rh_loop *loop)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return rh_origin(-errno);
	*loop = (struct rh_loop){.epoll_fd = fd};
	return 0;
}

void rh_loop_deinit(struct rh_loop *loop)
{
	rh_close(loop->epoll_fd);
	loop->epoll_fd = -1;
}

static int control(struct rh_loop *loop, int op, int fd, uint32_t events, struct rh_source *source)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	return epoll_ctl(loop->epoll_fd, op, fd, &event) < 0 ? rh_origin(-errno) : 0;
}

int rh_loop_add(struct rh_loop *loop, int fd, uint32_t events, struct rh_source *source)
{
	return control(loop, EPOLL_CTL_ADD, fd, events, source);
}

int rh_loop_change(struct rh_loop *loop, int fd, uint32_t events, struct rh_source *source)
{
	return control(loop, EPOLL_CTL_MOD, fd, events, source);
}

void rh_loop_remove(struct rh_loop *loop, int fd)
{
	/* Fails only for what is not watched. */
	(void)control(loop, EPOLL_CTL_DEL, fd, 0, NULL);
}

int rh_loop_run(struct rh_loop *loop)
{
	while (!loop->stopping) {
		struct epoll_event event;
		int n = epoll_wait(loop->epoll_fd, &event, 1, -1);

		if (n < 0 && errno != EINTR)
			return rh_origin(-errno);
		if (n == 1) {
			struct rh_source *source = event.data.ptr;

			source->on_event(source->arg, event.events);
		}
	}
	return 0;
}

void rh_loop_stop(struct rh_loop *loop)
{
	loop->stopping = true;
}
