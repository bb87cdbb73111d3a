/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Does a process run the Runner.Worker of a runner?
 */

#include "broker/daemon/ipc/worker.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runnerhub/weaken.h"

/* <root>/bin/Runner.Worker or <root>/bin.<version>/Runner.Worker */
static bool has_its_path(const char *root, const char *exe)
{
	size_t n_root = strlen(root);

	if (strncmp(exe, root, n_root) != 0 || strncmp(exe + n_root, "/bin", 4) != 0)
		return false;

	const char *slash = strchr(exe + n_root + 1, '/');

	return slash && strcmp(slash, "/Runner.Worker") == 0;
}

/* Device and inode never change, so what is known of them will do. */
static int look_at(const char *path, struct statx *ret_stx)
{
	return statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, ret_stx);
}

bool rh_worker_is_of(const char *root, pid_t pid, const char *exe)
{
	struct statx run, there;
	char link[64];

	if (!has_its_path(root, exe))
		return false;
	if (rh_weakened("worker-file"))
		return true;
	(void)snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	return look_at(link, &run) == 0 && look_at(exe, &there) == 0 &&
		run.stx_dev_major == there.stx_dev_major &&
		run.stx_dev_minor == there.stx_dev_minor && run.stx_ino == there.stx_ino;
}
