/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Attach: first everything on the host (ledger, workspace, leftovers, detached mounts), then one
 * visit to the container in which they are moved into their places, parents first. The last act
 * there is to detach the agent's socket: from then on only the host reaches the agent.
 */

#include "broker/daemon/mount/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/mount/kernel.h"
#include "broker/daemon/mount/overlay.h"
#include "broker/daemon/mount/plan.h"
#include "broker/daemon/mount/source.h"
#include "broker/daemon/mount/temp.h"
#include "broker/daemon/mount/workspace.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/weaken.h"

struct job {
	const struct rh_mount_attach *attach;
	const struct rh_attach_tools *tools;
	struct rh_ledger ledger;
	struct rh_source_set set;
	struct rh_plan plan;
	int mount_fds[RH_PLAN_MAX]; /* -1: left out */
	int tools_fd;
	int ns_fd;
	struct rh_slot slot; /* of a container on an old kernel */
	bool marked;
	struct stat agent_dir;
	struct rh_mount_result result;
};

static void close_job(struct job *job)
{
	for (size_t i = 0; i < RH_PLAN_MAX; i++)
		rh_close(job->mount_fds[i]);
	rh_close(job->tools_fd);
	rh_close(job->ns_fd);
	rh_close(job->set.root_fd);
	rh_slot_deinit(&job->slot);
	rh_ledger_close(&job->ledger);
}

static int check_agent_dir(int agent_fd, const struct job *job, struct rh_err *err)
{
	if (agent_fd >= 0)
		return 0;
	return rh_err_set(err, agent_fd,
		"process %d is not the container that was meant, or it was leased before",
		(int)job->attach->container_pid);
}

/* The container: its namespace, and the proof that it is the one that is meant. */
static int find_container(struct job *job, struct rh_err *err)
{
	_cleanup_(rh_closep) int root_fd = -1;
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/socket", job->attach->state_dir);

	job->ns_fd = rh_inside_open(job->tools->home, job->attach->container_pid, &root_fd);
	if (job->ns_fd == -ESRCH)
		return rh_err_set(err, -ESRCH, "the container is gone");
	if (job->ns_fd == -EXDEV)
		return rh_err_set(err, -EXDEV, "process %d is on the host, not in a container",
			(int)job->attach->container_pid);
	if (job->ns_fd < 0)
		return rh_err_set(err, job->ns_fd, "the container's mount namespace: %s",
			strerror(-job->ns_fd));
	if (n < 0 || (size_t)n >= sizeof(path))
		return rh_err_set(err, -ENAMETOOLONG, "the state directory's path is too long");
	if (lstat(path, &job->agent_dir) < 0)
		return rh_err_set(err, -errno, "%.300s: %s", path, strerror(errno));

	/* Before anything is done for it; in its namespace it is looked at once more. */
	const struct rh_inside outside = {.root_fd = root_fd};
	_cleanup_(rh_closep) int agent_fd = rh_inside_agent_dir(&outside, &job->agent_dir);

	return rh_trace(check_agent_dir(agent_fd, job, err));
}

static int make_plan(struct job *job, struct rh_err *err)
{
	const struct rh_mount_attach *attach = job->attach;
	struct rh_plan_names names = {0};
	char bin[NAME_MAX + 1];
	char externals[NAME_MAX + 1];

	job->set.root_fd = rh_sys_openat2(AT_FDCWD, attach->root, O_PATH | O_DIRECTORY,
		RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (job->set.root_fd < 0)
		return rh_err_set(err, job->set.root_fd, "runner directory %.300s: %s",
			attach->root, strerror(-job->set.root_fd));

	int r = rh_source_real_name(job->set.root_fd, "bin", bin);

	if (r == 0)
		names.bin = bin;
	if (r == 0 || r == -ENOENT)
		r = rh_source_real_name(job->set.root_fd, "externals", externals);
	if (r == 0)
		names.externals = externals;
	if (r < 0 && r != -ENOENT)
		return rh_err_set(err, r,
			"bin or externals in %.300s is a link that leads elsewhere than to a "
			"version "
			"beside it",
			attach->root);
	return rh_trace(rh_plan_make(attach, &names, &job->plan, err));
}

static int find_slot(struct job *job, struct rh_err *err)
{
	int r = rh_slot_open(job->attach->state_dir, &job->slot);

	if (r < 0)
		return rh_err_set(
			err, r, "the slot in %.300s: %s", job->attach->state_dir, strerror(-r));
	if (job->slot.host_fd >= 0)
		job->set.slot = &job->slot;
	return 0;
}

static int get_id_map(struct job *job, struct rh_err *err)
{
	const struct rh_idmap_key key = {
		.runner_uid = job->attach->runner_uid,
		.runner_gid = job->attach->runner_gid,
		.step_uid = job->attach->step_uid,
		.step_gid = job->attach->step_gid,
		.base = job->attach->id_map_base,
	};

	job->result.id_mapped = !job->set.slot && rh_idmap_is_needed(&key);
	if (job->set.slot && (key.step_uid != key.runner_uid || key.step_gid != key.runner_gid))
		return rh_err_set(err, -EOPNOTSUPP,
			"this kernel maps no ids, so a job must have its runner's own; set "
			"'user: runner' in the profile");
	if (!job->result.id_mapped)
		return 0;
	return rh_trace(rh_idmaps_get(job->tools->maps, &key, &job->set.userns_fd, err));
}

static int clear_temp(struct job *job, struct rh_err *err)
{
	const struct rh_mount_attach *attach = job->attach;
	_cleanup_(rh_closep) int fd = rh_ledger_ensure(&job->ledger, "_temp");
	int r = fd;

	if (fd >= 0)
		r = rh_temp_clear_old(&job->ledger, fd,
			attach->worker_started_ms - RH_TEMP_SLACK_MS, attach->id_map_base,
			&job->result.n_temp_leftovers);
	if (r == -ELOOP || r == -ENOTDIR)
		return rh_err_set(
			err, r, "%.300s/_temp is a link or no directory; remove it", attach->work);
	if (r < 0)
		return rh_err_set(err, r, "cannot clear leftovers from %.300s/_temp: %s",
			attach->work, strerror(-r));
	return 0;
}

static int clone_sources(struct job *job, struct rh_err *err)
{
	for (size_t i = 0; i < job->plan.n_entries; i++) {
		int fd = rh_source_open(&job->set, &job->plan.entries[i], err);

		if (fd < 0 && (fd != -ENOENT || job->plan.entries[i].create))
			return rh_trace(fd);
		job->mount_fds[i] = fd < 0 ? -1 : fd;
	}
	if (job->plan.tools_kind == RH_PLAN_TOOLS_NONE)
		return 0;
	job->tools_fd = rh_overlay_tools(&job->set, job->attach, &job->plan, job->tools->home, err);
	return job->tools_fd < 0 ? rh_trace(job->tools_fd) : 0;
}

static int cover_temp(struct job *job, struct rh_err *err)
{
	const struct rh_mount_attach *attach = job->attach;
	_cleanup_(rh_closep) int fd = rh_ledger_ensure(&job->ledger, "_temp");
	int r = fd < 0 ? fd
		       : rh_view_put(job->tools->views, job->tools->home, attach->work, fd,
				 attach->worker_pid, attach->worker_start);

	if (r < 0)
		return rh_err_set(err, r, "cannot cover %.300s/_temp where the runner sees it: %s",
			attach->work, strerror(-r));
	job->result.no_follow = r > 0;
	return 0;
}

static int prepare(struct job *job, struct rh_err *err)
{
	const struct rh_mount_attach *attach = job->attach;
	int r = make_plan(job, err);

	if (r == 0)
		r = find_container(job, err);
	if (r == 0)
		r = find_slot(job, err);
	if (r == 0)
		r = get_id_map(job, err);
	if (r == 0)
		r = rh_ledger_open(
			attach->work, attach->runner_uid, attach->runner_gid, &job->ledger, err);
	if (r < 0)
		return rh_trace(r);
	job->set.ledger = &job->ledger;
	job->set.root = attach->root;
	r = rh_view_drop(job->tools->views, job->tools->home, attach->work);
	if (r == 0)
		r = rh_workspace_close(&job->ledger);
	if (r < 0)
		return rh_err_set(err, r, "work directory %.300s: %s", attach->work, strerror(-r));
	r = rh_workspace_prepare(&job->ledger, attach->repo,
		job->plan.workspace + strlen(attach->repo) + 1, &job->result.swapped_workspace,
		err);
	if (r < 0)
		return rh_trace(r);
	job->marked = true;
	r = clear_temp(job, err);
	if (r == 0)
		r = clone_sources(job, err);
	return r < 0 ? rh_trace(r) : rh_trace(cover_temp(job, err));
}

/* From where on directories on the way to a mount point belong to the step. */
static size_t owned_from(const struct rh_mount_attach *attach, const char *target)
{
	if (rh_plan_below(attach->root, target))
		return strlen(attach->root);
	if (rh_plan_below(attach->work, target))
		return strlen(attach->work);
	return strlen(target);
}

static int move(const struct job *job, int mount_fd, int target_fd)
{
	return rh_trace(job->set.slot ? rh_slot_move(job->set.slot, mount_fd, target_fd)
				      : rh_sys_move_mount(mount_fd, target_fd));
}

static int put(const struct job *job, const struct rh_inside *inside, int mount_fd,
	const char *target, struct rh_err *err)
{
	_cleanup_(rh_closep) int fd =
		rh_inside_make_dir(inside, target, owned_from(job->attach, target));
	int r = fd < 0 ? fd : move(job, mount_fd, fd);

	if (r < 0)
		return rh_err_set(
			err, r, "cannot attach %.300s in the container: %s", target, strerror(-r));
	return 0;
}

/* In another of our mounts: its own descriptor is the way, no path of the container's. */
static int put_below(
	const struct job *job, const struct rh_plan_entry *entry, int mount_fd, struct rh_err *err)
{
	const struct rh_plan_entry *parent = &job->plan.entries[entry->below];
	const char *name = rh_plan_below(parent->target, entry->target);
	_cleanup_(rh_closep) int fd = rh_sys_openat2(job->mount_fds[entry->below],
		name ? name : ".", O_PATH | O_DIRECTORY | O_NOFOLLOW, RH_BENEATH);
	int r = fd < 0 ? fd : move(job, mount_fd, fd);

	if (r < 0)
		return rh_err_set(err, r, "cannot attach %.300s in the container: %s",
			entry->target, strerror(-r));
	return 0;
}

static int put_all(const struct job *job, const struct rh_inside *inside, struct rh_err *err)
{
	int r = 0;

	for (size_t i = 0; i < job->plan.n_entries && r == 0; i++) {
		const struct rh_plan_entry *entry = &job->plan.entries[i];

		if (job->mount_fds[i] < 0)
			continue;
		r = entry->below >= 0 ? put_below(job, entry, job->mount_fds[i], err)
				      : put(job, inside, job->mount_fds[i], entry->target, err);
	}
	if (r == 0 && job->tools_fd >= 0)
		r = put(job, inside, job->tools_fd, job->plan.tools_target, err);
	return rh_trace(r);
}

static int add_skeletons(const struct job *job, struct rh_inside *inside, struct rh_err *err)
{
	const char *const paths[] = {job->attach->root, job->attach->work};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int r = 0;

		if (i == 0 || !rh_plan_below(paths[0], paths[i]))
			r = rh_inside_add_skeleton(inside, paths[i]);
		if (r < 0)
			return rh_err_set(err, r, "cannot attach %.300s in the container: %s",
				paths[i], strerror(-r));
	}
	return 0;
}

static int say_slot(struct rh_err *err, int r)
{
	if (r == -ENOLINK)
		return rh_err_set(err, r,
			"what is mounted on the host does not appear in the container; let the "
			"engine see the host's mounts (systemd: MountFlags=, PrivateMounts=)");
	return r < 0 ? rh_err_set(err, r, "the container's slot: %s", strerror(-r)) : 0;
}

static int visit(struct job *job, struct rh_inside *inside, struct rh_err *err)
{
	int r = rh_inside_enter(inside, job->ns_fd);

	if (r < 0)
		return rh_err_set(
			err, r, "cannot enter the container's mount namespace: %s", strerror(-r));

	_cleanup_(rh_closep) int agent_fd = rh_inside_agent_dir(inside, &job->agent_dir);

	r = check_agent_dir(agent_fd, job, err);
	if (r == 0 && job->set.slot)
		r = say_slot(err, rh_slot_arrive(job->set.slot, inside->root_fd));
	if (r == 0)
		r = add_skeletons(job, inside, err);
	if (r == 0)
		r = put_all(job, inside, err);
	if (r == 0 && job->set.slot)
		r = say_slot(err, rh_slot_leave(job->set.slot, inside->root_fd));
	if (r < 0)
		return rh_trace(r);
	if (rh_weakened("agent-socket"))
		return 0;
	r = rh_inside_detach(agent_fd);
	if (r == 0) {
		_cleanup_(rh_closep) int left = rh_inside_agent_dir(inside, &job->agent_dir);

		r = left >= 0 ? rh_origin(-EBUSY) : 0;
	}
	if (r < 0)
		return rh_err_set(err, r, "cannot detach the agent's socket: %s", strerror(-r));
	return 0;
}

int rh_attach_run(const struct rh_attach_tools *tools, const struct rh_mount_attach *attach,
	struct rh_mount_result *ret_result, struct rh_err *err)
{
	_cleanup_(close_job) struct job job = {
		.attach = attach,
		.tools = tools,
		.ledger = RH_LEDGER_INIT,
		.set = {.root_fd = -1, .userns_fd = -1},
		.mount_fds = {-1, -1, -1, -1, -1, -1, -1, -1},
		.tools_fd = -1,
		.ns_fd = -1,
		.slot = RH_SLOT_INIT,
	};
	struct rh_inside inside = {.root_fd = -1, .uid = attach->step_uid, .gid = attach->step_gid};
	int r = prepare(&job, err);

	if (r == 0) {
		r = visit(&job, &inside, err);
		rh_inside_deinit(&inside);
		if (rh_home_return(tools->home) < 0)
			_exit(1); /* in a strange namespace nothing else may be done */
	}
	if (job.set.slot) {
		int ended = rh_slot_end(job.set.slot, attach->state_dir);

		r = r < 0 ? r : say_slot(err, ended);
	}
	if (r < 0 && job.result.no_follow)
		(void)rh_view_drop(tools->views, tools->home, attach->work);
	if (r < 0 && job.marked)
		rh_workspace_unmark(&job.ledger, attach->repo);
	if (r == 0)
		*ret_result = job.result;
	return rh_trace(r);
}
