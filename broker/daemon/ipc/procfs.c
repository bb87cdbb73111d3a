/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the broker asks /proc about a process.
 */

#include "broker/daemon/ipc/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runnerhub/clock.h"
#include "runnerhub/err.h"
#include "runnerhub/fd.h"

int rh_proc_parse_stat(const char *text, struct rh_proc_stat *ret_stat)
{
	/* "pid (name) S ppid …": the name may hold blanks and parentheses, the last one ends it. */
	const char *at = strrchr(text, ')');
	struct rh_proc_stat stat = {0};

	if (!at || at[1] != ' ' || at[2] == '\0' || at[3] != ' ')
		return rh_origin(-EPROTO);
	stat.state = at[2];
	at += 4;
	for (int field = 4; field <= 22; field++) {
		char *end = NULL;

		errno = 0;
		if (field == 4)
			stat.ppid = (pid_t)strtol(at, &end, 10);
		else if (field == 22)
			stat.start_ticks = strtoull(at, &end, 10);
		else
			(void)strtoll(at, &end, 10);
		if (end == at || (*end != ' ' && *end != '\n'))
			return rh_origin(-EPROTO);
		if (field == 22 && errno != 0)
			return rh_origin(-EPROTO);
		at = end + 1;
		if (*end == '\n' && field < 22)
			return rh_origin(-EPROTO);
	}
	*ret_stat = stat;
	return 0;
}

static int read_proc(pid_t pid, const char *name, char *buf, size_t size)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);

	ssize_t n = rh_read_file_at(AT_FDCWD, path, buf, size);

	if (n == -ENOENT)
		return rh_origin(-ESRCH);
	return n < 0 ? rh_trace((int)n) : 0;
}

int rh_proc_stat(pid_t pid, struct rh_proc_stat *ret_stat)
{
	char text[1024];
	int r = read_proc(pid, "stat", text, sizeof(text));

	return r < 0 ? rh_trace(r) : rh_proc_parse_stat(text, ret_stat);
}

int rh_proc_uid(pid_t pid, uid_t *ret_uid)
{
	char text[8192];
	int r = read_proc(pid, "status", text, sizeof(text));

	if (r < 0)
		return rh_trace(r);

	/* "Uid:" and the real, effective, saved and file system uid, with tabs between. */
	const char *line = strstr(text, "\nUid:");
	const char *at = line ? strpbrk(line + 5, "0123456789") : NULL;
	char *end = NULL;

	if (!at)
		return rh_origin(-EPROTO);
	(void)strtoul(at, &end, 10);

	const char *second = end;
	unsigned long effective = strtoul(second, &end, 10);

	if (end == second || effective > UINT32_MAX)
		return rh_origin(-EPROTO);
	*ret_uid = (uid_t)effective;
	return 0;
}

int rh_proc_exe(pid_t pid, char *buf, size_t size)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);

	ssize_t n = readlink(path, buf, size);

	if (n < 0)
		return rh_origin(errno == ENOENT ? -ESRCH : -errno);
	if ((size_t)n >= size)
		return rh_origin(-ENAMETOOLONG);
	buf[n] = '\0';
	return 0;
}

int64_t rh_proc_age_ms(uint64_t start_ticks)
{
	int64_t since_boot_ms = (int64_t)(start_ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK));

	return rh_clock_us(CLOCK_BOOTTIME) / 1000 - since_boot_ms;
}

int64_t rh_proc_start_wall_ms(uint64_t start_ticks)
{
	return rh_wall_ms() - rh_proc_age_ms(start_ticks);
}

int rh_pidfd_open(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? rh_origin(-errno) : fd;
}

int rh_pidfd_ended(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, 0) > 0;
}
