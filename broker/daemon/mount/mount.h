/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Late mounts and scrubbing: everything that touches a job's file trees as root.
 *
 * It happens in small single-threaded helper processes, forked before the loop starts: setns(2)
 * into a mount namespace is refused to a thread that shares its fs attributes, forking a
 * many-threaded process stalls it, and no disk may block the loop. One helper does what jobs wait
 * for (attach, release); the other deletes trash. Requests and answers are packets on a socket
 * pair; a helper that dies is noticed, its request fails, and a new one is forked by its own zygote
 * parent.
 *
 * Paths are opened with openat2(2) beneath the registered work directory (RESOLVE_BENEATH |
 * RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS); the work directory itself is root's word.
 *
 * What a job's container gets, at the same absolute paths as on the host:
 *   _work/<repo>            rw, id-mapped           _work/_temp                    rw, id-mapped
 *   _work/_actions          ro, id-mapped           _work/_temp/_github_workflow   ro, id-mapped
 *   <root>/externals        ro                      <root>/bin/hashFiles           ro
 *   the tool cache          overlay: host copy below, this job's changes above
 *
 * Ledger: <work>/_runnerhub/ (root's, 0700) holds "leased-<repo>" while a workspace is in use and
 * "trash/" for what is to be deleted. A workspace whose marker is still there at the next lease was
 * never scrubbed: it is swapped for a fresh one (with an empty <repo>/<repo>) before anything is
 * mounted; one without a marker is kept as it is. Entries of _temp that are older than the Worker
 * are moved to the trash too. Release leaves an empty <repo>/<repo> as well.
 *
 * The Worker writes and reads in _temp by path, where its job can plant links: from attach to
 * retire _temp is covered, in the Worker's mount namespace, by a view of itself that follows none
 * (view.h). The Worker's own directories are closed to other users of the host, so that a
 * set-user-id file of a job is of no use to any of them.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "broker/daemon/log/log.h"
#include "runnerhub/err.h"

struct rh_mounter;

struct rh_mount_attach {
	pid_t container_pid; /* init of the container, in our pid namespace */
	const char *root; /* of the runner, canonical */
	const char *work; /* canonical */
	const char *repo; /* one path component: the workspace is <work>/<repo>/… */
	const char *workspace; /* GITHUB_WORKSPACE, must be below <work>/<repo> */
	const char *tool_cache; /* absolute path, below work or elsewhere; NULL: none */
	/*
	 * The container's own directory on the host: overlay upper and work, and socket/, which
	 * must be mounted at RH_AGENT_SOCKET_DIR inside: by that the container is known, and it is
	 * detached by the one attach that a container gets (-ESTALE for a second).
	 */
	const char *state_dir;
	uid_t runner_uid;
	gid_t runner_gid;
	uid_t step_uid; /* id inside that the runner's uid is shown as */
	gid_t step_gid;
	uint32_t id_map_base;
	int64_t worker_started_ms; /* wall clock */
	bool tools_writable; /* the host's copy itself: a trusted job */
	pid_t worker_pid; /* whose view of _temp is guarded; 0: nobody's */
	uint64_t worker_start; /* clock ticks after boot, against a reused pid */
};

struct rh_mount_release {
	const char *work;
	const char *repo;
	uid_t runner_uid;
	gid_t runner_gid;
	uint32_t id_map_base;
	bool scrub_workspace;
	const char *keep; /* paths in the workspace, a line each, that are not scrubbed; or NULL */
};

struct rh_mount_retire {
	const char *root;
	const char *work;
	uid_t runner_uid;
	gid_t runner_gid;
};

/* What was found and done, for the job's record. */
struct rh_mount_result {
	bool swapped_workspace; /* it had not been scrubbed */
	uint32_t n_temp_leftovers;
	bool id_mapped;
	bool no_follow; /* the Worker follows no link in _temp */
};

typedef void (*rh_mount_done_fn)(
	void *arg, int r, const struct rh_mount_result *result, const struct rh_err *err);
typedef void (*rh_mount_swept_fn)(void *arg, int r, uint64_t bytes, uint64_t n_files);

/**
 * rh_mounter_fork() - fork the helpers
 *
 * Context: start-up, single-threaded, before the loop and before any thread exists.
 */
int rh_mounter_fork(struct rh_mounter **ret_mounter, struct rh_err *err);
/*
 * Does this kernel lack detached mounts (before 5.12)? Then containers need their slot bound in,
 * and no ids are mapped: a job must run with its runner's own (slot.h).
 */
bool rh_mounter_uses_slots(const struct rh_mounter *mounter);
/* What runs as PROGRAM --mount-zygote PID if the first zygote dies. @program is borrowed. */
void rh_mounter_set_program(struct rh_mounter *mounter, const char *program);
/* @log is borrowed. Context: loop thread, like all below. */
int rh_mounter_start(struct rh_mounter *mounter, uv_loop_t *loop, struct rh_log *log);
/*
 * Ends the helpers. What is still unanswered is called back with -ECANCELED before @cb (may be
 * NULL). Without rh_mounter_start() @cb is called at once. May be called twice.
 */
void rh_mounter_close(struct rh_mounter *mounter, void (*cb)(void *arg), void *arg);

/*
 * Requests are answered in order; each has a deadline of its own (30 s; of a sweep: since it last
 * got on). Arguments are copied, callbacks are always asynchronous and get a result and an err.
 * Return: 0; -EINVAL, -ENAMETOOLONG; -ENOBUFS: too many wait; -ENOMEM; -ECANCELED: closing.
 */
int rh_mounter_attach(struct rh_mounter *mounter, const struct rh_mount_attach *attach,
	rh_mount_done_fn cb, void *arg);
/* Moves the workspace to the trash, removes files of the id range from _temp, drops the marker. */
int rh_mounter_release(struct rh_mounter *mounter, const struct rh_mount_release *release,
	rh_mount_done_fn cb, void *arg);
/*
 * Once its Worker is gone: uncovers _temp and swaps it for a fresh one, whatever was done to it, if
 * a job had it; moves _actions away, which the next Worker would have to delete. Does nothing while
 * a Worker of that runner lives, unless it has not come to its _temp yet: @cb, which may be NULL,
 * gets -EAGAIN then.
 */
int rh_mounter_retire(struct rh_mounter *mounter, const struct rh_mount_retire *retire,
	rh_mount_done_fn cb, void *arg);
/* Deletes <work>/_runnerhub/trash/… in the background; @cb may be NULL. */
int rh_mounter_sweep(struct rh_mounter *mounter, const char *work, rh_mount_swept_fn cb, void *arg);
/*
 * No more sweeps, since the broker stops: one that is under way ends where it is, and those that
 * wait are not begun; all are called back with -ECANCELED. What is left is swept after the next
 * start. Containers' directories are still removed.
 */
void rh_mounter_end_sweeps(struct rh_mounter *mounter);
/* Makes a container's own directory, <parent>/<name>, and socket/ in it, both mode 0700; where
 * slots are used its slot, too. */
int rh_mounter_make_dir(struct rh_mounter *mounter, const char *parent, const char *name,
	rh_mount_done_fn cb, void *arg);
/* Deletes <parent>/<name> whole, in the background; @cb may be NULL. */
int rh_mounter_remove_tree(struct rh_mounter *mounter, const char *parent, const char *name,
	rh_mount_swept_fn cb, void *arg);
