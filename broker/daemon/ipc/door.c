/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A listening socket of the broker's that outlives trouble around it.
 *
 *   open ──file gone──▶ a new listener; the old one is emptied and closed ──▶ open
 */

#include "broker/daemon/ipc/door.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runnerhub/cleanup.h"
#include "runnerhub/fd.h"

#define ACCEPT_AT_ONCE 64

struct listener {
	struct rh_door *door;
	uv_poll_t poll;
	int fd;
};

struct rh_door {
	struct rh_door_options options;
	char *path;
	struct listener *listener;
	dev_t dev; /* of the socket's file */
	ino_t ino;
	int spare_fd; /* -1: it could not be had back */
	bool is_full; /* and that has been said */
	int n_handles;
	bool closing;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void maybe_closed(struct rh_door *door)
{
	if (!door->closing || door->n_handles > 0)
		return;

	void (*cb)(void *) = door->on_closed;
	void *arg = door->closed_arg;

	rh_close(door->spare_fd);
	free(door->path);
	free(door);
	if (cb)
		cb(arg);
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct listener *listener = handle->data;
	struct rh_door *door = listener->door;

	rh_close(listener->fd);
	free(listener);
	door->n_handles--;
	maybe_closed(door);
}

static int open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Level-triggered: what cannot be accepted now would wake the loop again at once. */
static bool rest(struct listener *listener, int error)
{
	rh_log_error(listener->door->options.log, "cannot accept a connection",
		RH_STR("socket", listener->door->path), RH_ERRNO(-error));
	(void)uv_poll_stop(&listener->poll);
	return false;
}

/* Turns one away. Return: whether there was one. */
static bool turn_away(struct listener *listener)
{
	struct rh_door *door = listener->door;

	if (!door->is_full)
		rh_log_error(door->options.log,
			"connections are turned away: no descriptor is left; raise the broker's "
			"limit (LimitNOFILE in its unit)",
			RH_STR("socket", door->path));
	door->is_full = true;
	rh_close(door->spare_fd);
	door->spare_fd = -1;

	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int error = errno;

	if (fd >= 0 && door->options.on_full)
		door->options.on_full(door->options.arg, fd);
	rh_close(fd);
	door->spare_fd = open_spare();
	if (fd < 0 && error != EAGAIN)
		return rest(listener, error);
	return fd >= 0;
}

/* Return: whether another one may wait. */
static bool take_one(struct listener *listener)
{
	struct rh_door *door = listener->door;
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		door->is_full = false;
		door->options.on_connection(door->options.arg, fd);
		return true;
	}
	if (errno == EMFILE || errno == ENFILE)
		return turn_away(listener);
	if (errno == EINTR || errno == ECONNABORTED)
		return true;
	return errno == EAGAIN ? false : rest(listener, errno);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct listener *listener = handle->data;

	for (int i = 0; i < ACCEPT_AT_ONCE && !listener->door->closing; i++) {
		if (!take_one(listener))
			return;
	}
}

static int listen_on(
	const struct rh_door *door, int *ret_fd, struct stat *ret_st, struct rh_err *err)
{
	const struct rh_door_options *o = &door->options;
	_cleanup_(rh_closep) int fd =
		rh_unix_listen(door->path, o->type | SOCK_NONBLOCK, o->mode, o->backlog);

	if (fd < 0)
		return rh_err_set(err, fd, "%s: %s", door->path, strerror(-fd));
	if ((o->gid != RH_DOOR_NO_GID && chown(door->path, (uid_t)-1, o->gid) < 0) ||
		lstat(door->path, ret_st) < 0)
		return rh_err_set(err, -errno, "%s: %s", door->path, strerror(errno));
	*ret_fd = rh_steal_fd(&fd);
	return 0;
}

static int add_listener(struct rh_door *door, struct rh_err *err)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	_cleanup_(rh_closep) int fd = -1;
	struct stat st = {0};

	if (!listener)
		return rh_err_set(err, -ENOMEM, "out of memory");

	int r = listen_on(door, &fd, &st, err);

	if (r == 0) {
		r = uv_poll_init(door->options.loop, &listener->poll, fd);
		if (r < 0)
			(void)rh_err_set(err, r, "%s: %s", door->path, uv_strerror(r));
	}
	if (r < 0) {
		free(listener);
		return rh_trace(r);
	}
	listener->door = door;
	listener->fd = rh_steal_fd(&fd);
	listener->poll.data = listener;
	door->n_handles++;
	door->listener = listener;
	door->dev = st.st_dev;
	door->ino = st.st_ino;
	(void)uv_poll_start(&listener->poll, UV_READABLE, on_poll);
	return 0;
}

int rh_door_open(
	const struct rh_door_options *options, struct rh_door **ret_door, struct rh_err *err)
{
	struct rh_door *door = calloc(1, sizeof(*door));

	if (!door)
		return rh_err_set(err, -ENOMEM, "out of memory");
	door->options = *options;
	door->options.path = NULL;
	door->spare_fd = open_spare();
	door->path = strdup(options->path);

	int r = door->path ? add_listener(door, err) : rh_err_set(err, -ENOMEM, "out of memory");

	if (r < 0) {
		door->closing = true;
		maybe_closed(door);
		return rh_trace(r);
	}
	*ret_door = door;
	return 0;
}

int rh_door_check(struct rh_door *door, struct rh_err *err)
{
	struct listener *old = door->listener;
	struct stat st;

	(void)uv_poll_start(&old->poll, UV_READABLE, on_poll); /* it may have rested */
	if (lstat(door->path, &st) == 0) {
		if (st.st_dev == door->dev && st.st_ino == door->ino)
			return 0;
		return rh_err_set(err, -EEXIST,
			"%s is not this broker's any more: another one has taken its place",
			door->path);
	}
	if (errno != ENOENT)
		return rh_err_set(err, -errno, "%s: %s", door->path, strerror(errno));

	int r = add_listener(door, err);

	if (r < 0)
		return rh_trace(r);
	/* Nobody new can come to the old one. */
	while (take_one(old))
		;
	uv_close((uv_handle_t *)&old->poll, on_listener_closed);
	return 1;
}

void rh_door_close(struct rh_door *door, void (*cb)(void *arg), void *arg)
{
	if (door->closing)
		return;
	door->closing = true;
	door->on_closed = cb;
	door->closed_arg = arg;
	uv_close((uv_handle_t *)&door->listener->poll, on_listener_closed);
}
