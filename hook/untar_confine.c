/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The box that tar runs in.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runnerhub/err.h"
#include "runnerhub/fd.h"
#include "untar.h"

/* Later than some headers that this is built with; numbers are the kernel's. */
#define FS_REFER     (UINT64_C(1) << 13)
#define FS_TRUNCATE  (UINT64_C(1) << 14)
#define FS_IOCTL_DEV (UINT64_C(1) << 15)
#define NET_ALL      UINT64_C(3)

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RUN  (READ | LANDLOCK_ACCESS_FS_EXECUTE)

/* FIFOs are made, so that tar goes on, and removed later; devices are not. */
#define UNPACK                                                                          \
	(READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |         \
		LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |          \
		LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |            \
		LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | FS_REFER | \
		FS_TRUNCATE)

struct ruleset_attr {
	uint64_t fs;
	uint64_t net; /* from the fourth version on */
};

static uint64_t known_rights(long version)
{
	uint64_t rights = (UINT64_C(1) << 13) - 1;

	rights |= version >= 2 ? FS_REFER : 0;
	rights |= version >= 3 ? FS_TRUNCATE : 0;
	return rights | (version >= 5 ? FS_IOCTL_DEV : 0);
}

/* A place that is missing needs no rule. */
static int allow(int ruleset, const char *path, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = rights,
		.parent_fd = open(path, O_PATH | O_CLOEXEC),
	};

	if (rule.parent_fd < 0)
		return errno == ENOENT ? 0 : rh_origin(-errno);

	long r = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	int error = errno;

	rh_close(rule.parent_fd);
	return r < 0 ? rh_origin(-error) : 0;
}

int rh_untar_confine(const char *archive)
{
	static const char *const programs[] = {"/bin", "/lib", "/lib32", "/lib64", "/usr"};
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	uint64_t known = known_rights(version);
	struct ruleset_attr attr = {.fs = known, .net = NET_ALL};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return rh_origin(-errno);
	if (version < 1) /* not built in, or not enabled */
		return 0;

	_cleanup_(rh_closep) int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr,
		version >= 4 ? sizeof(attr) : sizeof(attr.fs), 0);
	int r = ruleset < 0 ? -errno : allow(ruleset, ".", UNPACK & known);

	if (r == 0)
		r = allow(ruleset, archive, LANDLOCK_ACCESS_FS_READ_FILE);
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]) && r == 0; i++)
		r = allow(ruleset, programs[i], RUN);
	if (r == 0)
		r = allow(ruleset, "/etc/ld.so.cache", LANDLOCK_ACCESS_FS_READ_FILE);
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = -errno;
	return r < 0 ? rh_origin(r) : 0;
}
