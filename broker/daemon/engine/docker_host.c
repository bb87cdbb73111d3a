/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the engine's own process may do.
 */

#include "broker/daemon/engine/docker_host.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "runnerhub/cleanup.h"
#include "runnerhub/fd.h"

uint64_t rh_docker_parse_nofile(const char *limits)
{
	/* "Max open files            1024                 524288               files" */
	static const char name[] = "Max open files";
	const char *line = strstr(limits, name);
	char *end = NULL;

	if (!line)
		return UINT64_MAX;
	line += strlen(name);
	(void)strtoull(line, &end, 10); /* the soft limit, or "unlimited" */
	if (end == line)
		return UINT64_MAX;
	line = end;

	unsigned long long hard = strtoull(line, &end, 10);

	return end == line || hard == 0 ? UINT64_MAX : hard;
}

uint64_t rh_docker_nofile_max(const char *socket)
{
	_cleanup_(rh_closep) int fd = rh_unix_connect(socket, SOCK_STREAM | SOCK_NONBLOCK);
	struct ucred cred = {0};
	socklen_t size = sizeof(cred);
	char path[64], limits[4096];

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0 || cred.pid <= 0)
		return UINT64_MAX;
	(void)snprintf(path, sizeof(path), "/proc/%d/limits", (int)cred.pid);
	if (rh_read_file_at(AT_FDCWD, path, limits, sizeof(limits)) < 0)
		return UINT64_MAX;
	return rh_docker_parse_nofile(limits);
}
