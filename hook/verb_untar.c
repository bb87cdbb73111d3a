/* SPDX-License-Identifier: Apache-2.0 */

/*
 * untar: runs in place of the tar with which the Worker unpacks an action's archive into its
 * staging folder. Happens on the host, before there is a container, so tar is the system's own and
 * is given nothing but the archive: a job's TAR_OPTIONS or PATH do not reach it.
 */

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hook.h"
#include "say.h"

#define STAGING "_staging"

/* Whether @archive lies in the folder that holds the working directory, whose name is _staging. */
static bool belongs_here(const char *archive)
{
	char cwd[PATH_MAX];
	char dir[PATH_MAX];
	struct stat dir_st;
	struct stat up_st;
	const char *file = strrchr(archive, '/');

	if (!file || file == archive || (size_t)(file - archive) >= sizeof(dir))
		return false;
	memcpy(dir, archive, (size_t)(file - archive));
	dir[file - archive] = '\0';
	if (!getcwd(cwd, sizeof(cwd)) || stat(dir, &dir_st) < 0 || stat("..", &up_st) < 0)
		return false;

	const char *base = strrchr(cwd, '/');

	return base && strcmp(base + 1, STAGING) == 0 && dir_st.st_dev == up_st.st_dev &&
		dir_st.st_ino == up_st.st_ino;
}

int rh_verb_untar(const struct rh_hook *hook)
{
	static const char *const programs[] = {"/usr/bin/tar", "/bin/tar"};
	char *const *argv = hook->argv;

	if (!argv[0] || !argv[1] || !argv[2] || argv[3] || strcmp(argv[1], "-xzf") != 0 ||
		!belongs_here(argv[2])) {
		rh_say("only an action's archive beside its own _staging folder is unpacked here");
		return RH_EXIT_FAILURE;
	}

	char path[] = "PATH=/usr/bin:/bin";
	char *envp[] = {path, NULL};
	char name[] = "tar";
	char options[] = "-xzf";
	char *words[] = {name, options, argv[2], NULL};

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		(void)execve(programs[i], words, envp);
	rh_say("tar cannot be run on the host: %s", strerror(errno));
	return RH_EXIT_FAILURE;
}
