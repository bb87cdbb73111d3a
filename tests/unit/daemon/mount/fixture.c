/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A mounter on a loop, with real helpers.
 */

#include "fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rh-test.h"
#include "runnerhub/fd.h"

uv_loop_t fix_loop;
struct rh_log *fix_log;
struct rh_mounter *fix_mounter;
bool fix_closed;

void fix_on_done(void *arg, int r, const struct rh_mount_result *result, const struct rh_err *err)
{
	struct answer *answer = arg;

	answer->n++;
	answer->r = r;
	answer->result = *result;
	answer->err = *err;
}

void fix_on_swept(void *arg, int r, uint64_t bytes, uint64_t n_files)
{
	struct answer *answer = arg;

	answer->n++;
	answer->r = r;
	answer->bytes = bytes;
	answer->n_files = n_files;
}

void fix_on_closed(void *arg)
{
	fix_closed = true;
}

void fix_setup(void)
{
	struct rh_err err;

	fake_setup();
	ck_assert_int_eq(uv_loop_init(&fix_loop), 0);
	fix_log = rh_log_new(STDERR_FILENO, RH_LOG_ERROR, RH_LOG_TEXT);
	ck_assert_ptr_nonnull(fix_log);
	ck_assert_int_eq(rh_mounter_fork(&fix_mounter, &err), 0);
	ck_assert_int_eq(rh_mounter_start(fix_mounter, &fix_loop, fix_log), 0);
}

void fix_teardown(void)
{
	pid_t zygote = fix_mounter->zygote.pid;

	rh_mounter_close(fix_mounter, fix_on_closed, NULL);
	rh_mounter_close(fix_mounter, NULL, NULL);
	ck_assert_int_eq(uv_run(&fix_loop, UV_RUN_DEFAULT), 0);
	ck_assert(fix_closed);
	ck_assert_int_eq(uv_loop_close(&fix_loop), 0);
	if (zygote > 0)
		ck_assert_int_eq(kill(zygote, 0), -1); /* reaped */
	rh_log_free(fix_log);
	fake_teardown();
}

void fix_run_until(const struct answer *answer, int n)
{
	while (answer->n < n)
		ck_assert(uv_run(&fix_loop, UV_RUN_ONCE) != 0 || answer->n >= n);
}

/* The helper of this name, a child of the zygote. */
pid_t fix_helper(const char *name)
{
	char path[64];
	char text[256] = "";
	char comm[32] = "";

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
		(int)fix_mounter->zygote.pid, (int)fix_mounter->zygote.pid);
	/* The zygote may not have got around to it. */
	for (int i = 0; i < 2000; i++) {
		ck_assert_int_ge(rh_read_file_at(AT_FDCWD, path, text, sizeof(text)), 0);
		for (char *p = text; *p;) {
			pid_t pid = (pid_t)strtol(p, &p, 10);

			p += strspn(p, " ");
			(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
			if (rh_read_file_at(AT_FDCWD, path, comm, sizeof(comm)) > 0 &&
				strncmp(comm, name, strlen(name)) == 0)
				return pid;
		}
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
			(int)fix_mounter->zygote.pid, (int)fix_mounter->zygote.pid);
		(void)usleep(1000);
	}
	ck_abort_msg("no helper %s", name);
	return -1;
}

/* A helper that was killed is seen until it is reaped. */
void fix_wait_replaced(const char *name, pid_t old)
{
	for (int i = 0; i < 5000 && fix_helper(name) == old; i++)
		(void)usleep(1000);
	ck_assert_int_ne(fix_helper(name), old);
}

void fix_make_dir(struct answer *answer, const char *name)
{
	ck_assert_int_eq(
		rh_mounter_make_dir(fix_mounter, fake_state, name, fix_on_done, answer), 0);
}
