/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the broker asks /proc about a process. Source: proc(5). Context: any thread.
 */

#include <stdint.h>
#include <sys/types.h>

struct rh_proc_stat {
	pid_t ppid;
	uint64_t start_ticks; /* field 22: clock ticks after boot */
	char state; /* field 3: 'Z' is a zombie */
};

/* Parses the text of /proc/pid/stat; the name in it is the process's own choice. Return: 0;
 * -EPROTO. */
int rh_proc_parse_stat(const char *text, struct rh_proc_stat *ret_stat);
/* Return: 0; -ESRCH if there is no such process; negative errno. */
int rh_proc_stat(pid_t pid, struct rh_proc_stat *ret_stat);
/* Effective uid. Return: as above. */
int rh_proc_uid(pid_t pid, uid_t *ret_uid);
/* Path of the executable, NUL-terminated; " (deleted)" is left on. Return: 0; negative errno. */
int rh_proc_exe(pid_t pid, char *buf, size_t size);
/* How long ago a process with these start ticks began, whatever the wall clock did since. */
int64_t rh_proc_age_ms(uint64_t start_ticks);
/* When it began, wall clock. */
int64_t rh_proc_start_wall_ms(uint64_t start_ticks);

/* pidfd_open(2): close-on-exec. Return: descriptor; negative errno. */
int rh_pidfd_open(pid_t pid);
/* Whether the process behind a pidfd has ended. */
int rh_pidfd_ended(int pidfd);
