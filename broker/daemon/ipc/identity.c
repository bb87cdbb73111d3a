/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Who is asking: from a connection to the Runner.Worker of a registered runner.
 */

#include "broker/daemon/ipc/identity.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "broker/daemon/ipc/procfs.h"
#include "broker/daemon/ipc/worker.h"
#include "runnerhub/weaken.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* include/uapi/asm-generic/socket.h, Linux 6.5 */
#endif

/* A process, held so that its pid cannot be reused while we look. */
struct held {
	struct ucred cred;
	int pidfd;
};

static int hold_peer(int socket_fd, struct held *ret_held)
{
	struct held held = {.pidfd = -1};
	socklen_t size = sizeof(held.cred);

	if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, &held.cred, &size) < 0)
		return rh_origin(-errno);
	if (held.cred.pid <= 0)
		return rh_origin(-EPERM); /* of a pid namespace that we cannot see */

	size = sizeof(held.pidfd);
	if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERPIDFD, &held.pidfd, &size) < 0)
		held.pidfd = rh_pidfd_open(held.cred.pid);
	if (held.pidfd < 0)
		return rh_origin(-ESRCH);
	*ret_held = held;
	return 0;
}

static int find_runner(pid_t worker, const struct rh_config *config, uid_t uid,
	const struct rh_runner **ret_runner, struct rh_err *err)
{
	char exe[PATH_MAX];
	int r = rh_proc_exe(worker, exe, sizeof(exe));

	if (r < 0)
		return rh_trace(r);
	for (size_t i = 0; i < config->n_runners; i++) {
		const struct rh_runner *runner = &config->runners[i];

		bool is_ours = rh_worker_is_of(runner->root, worker, exe) ||
			(rh_weakened("identity") && runner->uid == uid);

		if (!is_ours)
			continue;
		if (runner->uid != uid && !rh_weakened("identity-uid"))
			return rh_err_set(err, -EPERM,
				"runner %s is registered for uid %u, but its worker runs as uid %u",
				runner->name, (unsigned)runner->uid, (unsigned)uid);
		*ret_runner = runner;
		return 0;
	}
	return rh_err_set(
		err, -EPERM, "%.200s is not the Runner.Worker of a registered runner", exe);
}

static int take_worker(pid_t worker, const struct rh_config *config, struct rh_identity *identity,
	struct rh_err *err)
{
	struct rh_proc_stat before = {0}, after = {0};
	uid_t uid = (uid_t)-1;
	_cleanup_(rh_closep) int pidfd = rh_pidfd_open(worker);

	if (pidfd < 0)
		return rh_trace(pidfd);

	int r = rh_proc_stat(worker, &before);

	if (r == 0)
		r = rh_proc_uid(worker, &uid);
	if (r == 0)
		r = find_runner(worker, config, uid, &identity->runner, err);
	if (r == 0)
		r = rh_proc_stat(worker, &after);
	if (r < 0)
		return rh_trace(r);
	/* What was read belongs to one process, and that is the one the pidfd holds. */
	if (before.start_ticks != after.start_ticks || rh_pidfd_ended(pidfd))
		return rh_origin(-ESRCH);
	identity->worker_pid = worker;
	identity->worker_start = after.start_ticks;
	identity->worker_pidfd = rh_steal_fd(&pidfd);
	return 0;
}

/* The parent of a held process, or -ESRCH if the process has ended. */
static pid_t parent_of(const struct held *held)
{
	struct rh_proc_stat stat;
	int r = rh_proc_stat(held->cred.pid, &stat);

	if (r < 0)
		return rh_trace(r);
	return rh_pidfd_ended(held->pidfd) ? rh_origin(-ESRCH) : stat.ppid;
}

int rh_identity_take(int socket_fd, enum rh_identity_who who, const struct rh_config *config,
	struct rh_identity *ret_identity, struct rh_err *err)
{
	struct rh_identity identity = {.worker_pidfd = -1};
	struct held held = {.pidfd = -1};
	int r = hold_peer(socket_fd, &held);

	if (r < 0)
		return rh_err_set(err, r, "the caller has gone");
	_cleanup_(rh_closep) int pidfd = held.pidfd;

	pid_t worker = who == RH_PEER_IS_WORKER ? held.cred.pid : parent_of(&held);

	if (worker <= 0)
		return rh_err_set(err, -ESRCH, "the caller has gone");
	identity.pid = held.cred.pid;
	identity.uid = held.cred.uid;
	(void)rh_err_set(err, -ESRCH, "the caller's parent has gone");
	r = take_worker(worker, config, &identity, err);
	/* Still its parent after the parent was looked at. */
	if (r == 0 && who == RH_PEER_IS_CHILD && parent_of(&held) != worker)
		r = rh_err_set(err, -ESRCH, "the caller has gone");
	if (r == 0 && identity.runner && identity.uid != identity.runner->uid &&
		!rh_weakened("identity-uid"))
		r = rh_err_set(err, -EPERM, "the caller's uid %u is not its runner's",
			(unsigned)identity.uid);
	if (r < 0) {
		rh_close(identity.worker_pidfd);
		return rh_trace(r);
	}
	*ret_identity = identity;
	return 0;
}

pid_t rh_identity_parent(int socket_fd)
{
	struct held held = {.pidfd = -1};
	int r = hold_peer(socket_fd, &held);

	if (r < 0)
		return rh_trace(r);

	pid_t parent = parent_of(&held);

	rh_close(held.pidfd);
	return parent;
}
