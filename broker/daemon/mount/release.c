/* SPDX-License-Identifier: Apache-2.0 */

/*
 * After a job: release, when it has ended, and retire, when its Worker is gone.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/mount/attach.h"
#include "broker/daemon/mount/kernel.h"
#include "broker/daemon/mount/plan.h"
#include "broker/daemon/mount/temp.h"
#include "broker/daemon/mount/tree.h"
#include "broker/daemon/mount/workspace.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/weaken.h"

#define ACTIONS "_actions"

/* A view on _temp is the Worker's still; what lies below it is swapped when that is gone. */
static int clear_temp_after(
	const struct rh_ledger *ledger, uint32_t id_map_base, struct rh_err *err)
{
	_cleanup_(rh_closep) int fd = rh_sys_openat2(ledger->work_fd, "_temp",
		O_PATH | O_DIRECTORY | O_NOFOLLOW, RH_BENEATH | RESOLVE_NO_XDEV);
	int r = fd;

	if (fd == -ENOENT || fd == -EXDEV)
		return 0;
	if (fd >= 0)
		r = rh_temp_clear_range(ledger, fd, id_map_base);
	if (r < 0)
		return rh_err_set(err, r, "cannot clear files of other ids from %.300s/_temp: %s",
			ledger->work, strerror(-r));
	return 0;
}

int rh_release_run(const struct rh_mount_release *release, struct rh_mount_result *ret_result,
	struct rh_err *err)
{
	struct rh_ledger ledger = RH_LEDGER_INIT;
	int r = rh_plan_check_repo(release->repo, err);

	if (r == 0)
		r = rh_ledger_open(
			release->work, release->runner_uid, release->runner_gid, &ledger, err);
	if (r < 0)
		return rh_trace(r);
	r = rh_workspace_release(
		&ledger, release->repo, release->scrub_workspace, release->keep, err);
	if (r == 0)
		r = clear_temp_after(&ledger, release->id_map_base, err);
	rh_ledger_close(&ledger);
	if (r == 0)
		*ret_result = (struct rh_mount_result){0};
	return rh_trace(r);
}

/* Is there @name in the work directory, whatever it is? */
static bool has(const char *work, const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	int n = snprintf(path, sizeof(path), "%s/%s", work, name);

	return n > 0 && (size_t)n < sizeof(path) && lstat(path, &st) == 0;
}

/*
 * The Worker deletes _actions itself before it fetches the next job's, but fails at names that are
 * no UTF-8 or too long, and that job with it, before its hook. Here they are moved away whole. A
 * mount of the host's in its place stays.
 */
static int clear_actions(const struct rh_ledger *ledger, struct rh_err *err)
{
	int r = 0;

	if (rh_weakened("actions-moved"))
		return 0;
	r = rh_ledger_trash(ledger, ledger->work_fd, ACTIONS);
	if (r == -EPERM && rh_tree_unlock(ledger->work_fd, ACTIONS) == 0)
		r = rh_ledger_trash(ledger, ledger->work_fd, ACTIONS);
	if (r == 0 || r == -ENOENT || r == -EBUSY || r == -EXDEV)
		return 0;
	return rh_err_set(
		err, r, "cannot move %.300s/" ACTIONS " away: %s", ledger->work, strerror(-r));
}

int rh_retire_run(const struct rh_attach_tools *tools, const struct rh_mount_retire *retire,
	struct rh_err *err)
{
	struct rh_ledger ledger = RH_LEDGER_INIT;
	int r = 0;

	if (rh_view_in_use(retire->root, retire->work))
		return rh_err_set(err, -EAGAIN, "a Worker of %.300s lives", retire->root);
	r = rh_view_drop(tools->views, tools->home, retire->work);
	if (r < 0)
		return rh_err_set(
			err, r, "cannot uncover %.300s/_temp: %s", retire->work, strerror(-r));
	if (!has(retire->work, RH_LEDGER_DIR "/" RH_WORKSPACE_TEMP_MARKER) &&
		!has(retire->work, ACTIONS))
		return 0;
	r = rh_ledger_open(retire->work, retire->runner_uid, retire->runner_gid, &ledger, err);
	if (r < 0)
		return rh_trace(r);
	r = rh_workspace_retire_temp(&ledger, err);
	if (r == 0)
		r = clear_actions(&ledger, err);
	rh_ledger_close(&ledger);
	return rh_trace(r);
}
