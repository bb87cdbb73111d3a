/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Directories of containers that nobody knows any more: left by a broker that died at a bad moment.
 */

#include <stdlib.h>
#include <string.h>

#include "broker/daemon/container/container_private.h"

struct sweep {
	uv_fs_t req;
	struct rh_containers *all;
};

static void on_swept(void *arg, int r, uint64_t bytes, uint64_t n_files)
{
	/* What could not be deleted is found again at the next start. */
}

static void on_scanned(uv_fs_t *req)
{
	struct sweep *sweep = rh_list_entry(req, struct sweep, req);
	struct rh_containers *all = sweep->all;
	uv_dirent_t entry = {0};

	while (!all->closing && uv_fs_scandir_next(req, &entry) == 0) {
		struct rh_id instance = {0};

		if (rh_id_parse(entry.name, &instance) < 0 || rh_containers_find(all, entry.name))
			continue;
		rh_log_info(all->log, "left-over directory deleted", RH_STR("name", entry.name));
		(void)rh_mounter_remove_tree(
			all->options.mounter, all->parent_dir, entry.name, on_swept, NULL);
	}
	uv_fs_req_cleanup(req);
	free(sweep);
	all->n_handles--;
	rh_containers_check_closed(all);
	rh_containers_unref(all);
}

void rh_containers_sweep_dirs(struct rh_containers *all)
{
	struct sweep *sweep = calloc(1, sizeof(*sweep));

	if (!sweep)
		return;
	sweep->all = all;
	all->n_refs++;
	all->n_handles++;
	if (uv_fs_scandir(all->options.loop, &sweep->req, all->parent_dir, 0, on_scanned) < 0) {
		all->n_refs--;
		all->n_handles--;
		free(sweep);
	}
}
