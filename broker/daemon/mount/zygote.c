/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The parent of the mount helpers. It gets one byte (the kind) and one descriptor (the helper's end
 * of its socket) a packet, kills the old helper of that kind, forks the new one. It reaps its
 * children itself, so a number that it kills is always its child's.
 *
 * Forks are made with _Fork(): libuv has a handler for children of fork(), which closes descriptors
 * by the numbers that they had in the broker.
 */

#include "broker/daemon/mount/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/daemon/mount/helper.h"
#include "broker/daemon/mount/kernel.h"
#include "runnerhub/cleanup.h"

static const char *const helper_names[RH_MOUNT_HELPERS] = {
	[RH_MOUNT_HELPER_FAST] = "rh-mount",
	[RH_MOUNT_HELPER_SWEEP] = "rh-sweep",
};

#define END_TRIES 500 /* of a millisecond */
#define ZYGOTE_FD 3 /* its socket, where it is a program of its own */

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static void on_child(int signal)
{
	/* It interrupts ppoll(2), that is all. */
}

/* All that ended, also a helper that was killed and took its time. */
static void reap(pid_t helpers[RH_MOUNT_HELPERS])
{
	pid_t pid = -1;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		for (size_t i = 0; i < RH_MOUNT_HELPERS; i++) {
			if (helpers[i] == pid)
				helpers[i] = -1;
		}
	}
}

/* The kind and the descriptor (-1: none came) of the next packet. Return: 0; -EPIPE: the end. */
static int receive(int fd, uint8_t *ret_kind, int *ret_fd)
{
	uint8_t kind = RH_MOUNT_HELPERS;
	struct iovec iov = {.iov_base = &kind, .iov_len = 1};
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = -1;

	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n <= 0)
		return rh_origin(-EPIPE);

	const struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	*ret_fd = -1;
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
		head->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(head), sizeof(int));
	*ret_kind = kind;
	return 0;
}

static pid_t spawn(pid_t old, uint8_t kind, int fd)
{
	pid_t self = getpid();

	/* Not waited for: a dead disk may hold it. It is reaped when it ends. */
	if (old > 0)
		(void)kill(old, SIGKILL);

	pid_t pid = _Fork();

	if (pid == 0) {
		rh_mount_process_init(helper_names[kind], &fd, self);
		rh_mount_helper_main(fd, (enum rh_mount_helper_kind)kind);
	}
	return pid;
}

/* Takes its helpers along, and leaves none for others to reap unless a dead disk holds it. */
static _Noreturn void end_with(const pid_t helpers[RH_MOUNT_HELPERS])
{
	for (size_t i = 0; i < RH_MOUNT_HELPERS; i++) {
		if (helpers[i] > 0)
			(void)kill(helpers[i], SIGKILL);
	}
	for (int i = 0; i < END_TRIES && (waitpid(-1, NULL, WNOHANG) >= 0 || errno == EINTR); i++)
		(void)poll(NULL, 0, 1);
	_exit(0);
}

static _Noreturn void be_zygote(int fd)
{
	const struct sigaction interrupt = {.sa_handler = on_child};
	pid_t helpers[RH_MOUNT_HELPERS] = {-1, -1};
	sigset_t none;
	sigset_t child;

	/* The signal comes while ppoll(2) waits, and at no other time. */
	(void)sigemptyset(&none);
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &child, NULL);
	(void)sigaction(SIGCHLD, &interrupt, NULL);
	for (;;) {
		struct pollfd readable = {.fd = fd, .events = POLLIN};
		int helper_fd = -1;
		uint8_t kind = 0;
		int n = ppoll(&readable, 1, NULL, &none);

		reap(helpers);
		if (n <= 0)
			continue;
		if (receive(fd, &kind, &helper_fd) < 0)
			end_with(helpers);
		if (kind < RH_MOUNT_HELPERS && helper_fd >= 0)
			helpers[kind] = spawn(helpers[kind], kind, helper_fd);
		rh_close(helper_fd);
	}
}

/* The parent's side of a new one. Consumes @fd. @pid: its pid, or a negative errno. */
static int hold(pid_t pid, int fd, struct rh_zygote *ret_zygote)
{
	int r = pid < 0 ? pid : rh_sys_pidfd_open(pid);

	if (r < 0) {
		(void)close(fd); /* it ends at the end of its socket */
		if (pid > 0)
			(void)waitpid(pid, NULL, 0);
		return rh_trace(r);
	}
	*ret_zygote = (struct rh_zygote){.pid = pid, .pidfd = r, .fd = fd};
	return 0;
}

int rh_zygote_fork(struct rh_zygote *ret_zygote)
{
	int pair[2] = {-1, -1};
	pid_t self = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return rh_origin(-errno);

	pid_t pid = _Fork();

	if (pid == 0) {
		rh_mount_process_init("rh-zygote", &pair[1], self);
		be_zygote(pair[1]);
	}
	if (pid < 0)
		pid = rh_origin(-errno);
	(void)close(pair[1]);
	return hold(pid, pair[0], ret_zygote);
}

int rh_zygote_exec(const char *program, struct rh_zygote *ret_zygote)
{
	char option[] = RH_ZYGOTE_OPTION;
	char name[] = "runnerhubd";
	char parent[16];
	char *argv[] = {name, option, parent, NULL};
	posix_spawn_file_actions_t actions;
	int pair[2] = {-1, -1};
	pid_t pid = -1;

	(void)snprintf(parent, sizeof(parent), "%d", (int)getpid());
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return rh_origin(-errno);

	/* All others are close-on-exec; dup2 to the same number clears the flag, too. */
	int r = -posix_spawn_file_actions_init(&actions);

	if (r == 0) {
		r = -posix_spawn_file_actions_adddup2(&actions, pair[1], ZYGOTE_FD);
		if (r == 0)
			r = -posix_spawn(&pid, program, &actions, NULL, argv, environ);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	(void)close(pair[1]);
	return hold(r < 0 ? (pid_t)rh_origin(r) : pid, pair[0], ret_zygote);
}

void rh_zygote_main(const char *parent)
{
	int fd = ZYGOTE_FD;

	rh_mount_process_init("rh-zygote", &fd, (pid_t)strtol(parent, NULL, 10));
	be_zygote(fd);
}

int rh_zygote_spawn(const struct rh_zygote *zygote, enum rh_mount_helper_kind kind, int *ret_fd)
{
	_cleanup_(rh_closep) int own = -1;
	_cleanup_(rh_closep) int theirs = -1;
	uint8_t byte = (uint8_t)kind;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	union control control = {.bytes = {0}};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	int pair[2] = {-1, -1};

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return rh_origin(-errno);
	own = pair[0];
	theirs = pair[1];
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &theirs, sizeof(int));
	if (fcntl(own, F_SETFL, O_NONBLOCK) < 0 ||
		sendmsg(zygote->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return rh_origin(-errno);
	*ret_fd = rh_steal_fd(&own);
	return 0;
}

void rh_zygote_end(const struct rh_zygote *zygote)
{
	if (zygote->fd >= 0)
		(void)shutdown(zygote->fd, SHUT_RDWR); /* it sees the end of its socket */
}

void rh_zygote_kill(const struct rh_zygote *zygote)
{
	if (zygote->pidfd >= 0)
		(void)rh_sys_pidfd_signal(zygote->pidfd, SIGKILL); /* gone is as good */
}

void rh_zygote_reap(struct rh_zygote *zygote)
{
	if (zygote->pid > 0)
		(void)waitpid(zygote->pid, NULL, 0);
	rh_close(zygote->pidfd);
	rh_close(zygote->fd);
	*zygote = (struct rh_zygote)RH_ZYGOTE_INIT;
}
