/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Files that make root act: read only if nobody else could have written them.
 */

#include <fcntl.h>
#include <sys/stat.h>

#include "broker/daemon/config/load.h"
#include "broker/daemon/config/yaml.h"
#include "runnerhub/fd.h"

int rh_config_check_owner(const struct stat *st, const char *path, struct rh_err *err)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return rh_err_set(err, -EPERM, "%s: belongs to uid %u; it must be root's", path,
			(unsigned)st->st_uid);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return rh_err_set(
			err, -EPERM, "%s: group or others may write to it; chmod go-w it", path);
	return 0;
}

int rh_config_read_file(int dir_fd, const char *name, const char *path, char **ret_data,
	size_t *ret_size, struct rh_err *err)
{
	/* Non-blocking: a FIFO of this name must not stop us before it is refused. */
	_cleanup_(rh_closep) int fd =
		openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_(rh_freep) char *data = malloc(RH_YAML_SIZE_MAX + 1);
	char self[64];
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return rh_err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return rh_err_set(err, -EINVAL, "%s: not a regular file", path);
	r = rh_config_check_owner(&st, path, err);
	if (r < 0)
		return rh_trace(r);
	if (!data)
		return rh_err_set(err, -ENOMEM, "%s: out of memory", path);
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	ssize_t n = rh_read_file_at(AT_FDCWD, self, data, RH_YAML_SIZE_MAX + 1);

	if (n == -EFBIG)
		return rh_err_set(err, -EFBIG, "%s: larger than %zu bytes", path, RH_YAML_SIZE_MAX);
	if (n < 0)
		return rh_err_set(err, (int)n, "%s: %s", path, strerror((int)-n));
	*ret_data = rh_steal(&data);
	*ret_size = (size_t)n;
	return 0;
}
