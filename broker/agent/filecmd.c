/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The runner's file commands.
 *
 * The directory that holds _runner_file_commands is a mount point, which the step cannot move; from
 * there on everything is opened by descriptor, without following links, since a step may have put
 * something else in each place.
 */

#include "broker/agent/filecmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runnerhub/block.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"
#include "runnerhub/weaken.h"

static const char directory[] = "/_runner_file_commands/";

static const char *const names[RH_FILECMD_MAX] = {
	"GITHUB_ENV",
	"GITHUB_PATH",
	"GITHUB_OUTPUT",
	"GITHUB_STATE",
	"GITHUB_STEP_SUMMARY",
	"GITHUB_ARTIFACTS",
	"GITHUB_ARTIFACTS_LIST",
};

/* Where "/_runner_file_commands/NAME" begins in @path, or NULL. */
static const char *find_tail(const char *path)
{
	const char *name = strrchr(path, '/');
	const size_t size = strlen(directory);

	if (path[0] != '/' || !name || (size_t)(name + 1 - path) <= size)
		return NULL;
	name++;
	if (memcmp(name - size, directory, size) != 0 || *name == '\0' || strcmp(name, ".") == 0 ||
		strcmp(name, "..") == 0)
		return NULL;
	return name - size;
}

int rh_filecmds_init(struct rh_filecmds *files, char *const *envp)
{
	*files = (struct rh_filecmds){0};
	for (size_t i = 0; i < RH_FILECMD_MAX; i++) {
		const char *path = rh_env_get(envp, names[i]);

		if (!path || !find_tail(path))
			continue;
		files->paths[i] = strdup(path);
		if (!files->paths[i]) {
			rh_filecmds_deinit(files);
			return rh_origin(-ENOMEM);
		}
	}
	return 0;
}

void rh_filecmds_deinit(struct rh_filecmds *files)
{
	for (size_t i = 0; i < RH_FILECMD_MAX; i++)
		free(files->paths[i]);
	*files = (struct rh_filecmds){0};
}

/* Return: a descriptor of the path's directory; -1 if there is none or a link in its place. */
static int open_directory(const char *path, const char *tail)
{
	const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	_cleanup_(rh_freep) char *parent = strndup(path, (size_t)(tail - path));
	_cleanup_(rh_closep) int parent_fd = parent ? open(parent, flags) : -1;

	return parent_fd < 0 ? -1 : openat(parent_fd, "_runner_file_commands", flags);
}

static void sweep_one(int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISREG(st.st_mode))
		return;
	/* A directory that is not empty stays: the Worker takes it for no file at all. */
	(void)unlinkat(dir_fd, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
}

void rh_filecmds_sweep(const struct rh_filecmds *files)
{
	_cleanup_(rh_closep) int dir_fd = -1;
	const char *opened = NULL;
	size_t opened_size = 0;

	if (rh_weakened("filecmd-sweep"))
		return;

	for (size_t i = 0; i < RH_FILECMD_MAX; i++) {
		const char *path = files->paths[i];
		const char *tail = path ? find_tail(path) : NULL;

		if (!tail)
			continue;

		size_t parent_size = (size_t)(tail - path);

		/* In practice all of them share one directory. */
		if (!opened || opened_size != parent_size ||
			memcmp(opened, path, parent_size) != 0) {
			rh_close(dir_fd);
			dir_fd = open_directory(path, tail);
			opened = path;
			opened_size = parent_size;
		}
		if (dir_fd >= 0)
			sweep_one(dir_fd, tail + strlen(directory));
	}
}
