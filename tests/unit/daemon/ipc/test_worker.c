/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/ipc/worker.h, with real processes: this program, copied to where a Worker is.
 */

#include "broker/daemon/ipc/worker.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/daemon/ipc/procfs.h"
#include "rh-test-self.h"

static char root[64], bin[128], worker[160];
static pid_t child;

static void set_up(void)
{
	(void)snprintf(root, sizeof(root), "/tmp/rh-worker-%d", (int)getpid());
	(void)snprintf(bin, sizeof(bin), "%s/bin.2.3", root);
	(void)snprintf(worker, sizeof(worker), "%s/Runner.Worker", bin);
	ck_assert_int_eq(mkdir(root, 0755), 0);
	ck_assert_int_eq(mkdir(bin, 0755), 0);
	ck_assert_int_eq(rh_test_copy_self(worker), 0);
	child = 0;
}

static void tear_down(void)
{
	if (child > 0) {
		(void)kill(child, SIGKILL);
		(void)waitpid(child, NULL, 0);
	}
	rh_test_remove_tree(root);
}

/* A mount namespace in which another file has the Worker's path. */
static int make_own_bin(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("tmpfs", bin, "tmpfs", 0, NULL) < 0)
		return -1;
	return rh_test_copy_self(worker);
}

static void start(const char *program, bool own_namespace)
{
	child = rh_test_start_self(program, own_namespace ? make_own_bin : NULL);
}

static bool is_of(const char *of)
{
	char exe[PATH_MAX];

	ck_assert_int_eq(rh_proc_exe(child, exe, sizeof(exe)), 0);
	return rh_worker_is_of(of, child, exe);
}

START_TEST(the_file_itself_is)
{
	char other[80];

	start(worker, false);
	ck_assert(is_of(root));
	(void)snprintf(other, sizeof(other), "%s/bin", root);
	ck_assert(!is_of(other));
	ck_assert(!is_of("/tmp"));
	ck_assert(!is_of("/tmp/rh-worker-"));
}
END_TEST

START_TEST(a_copy_elsewhere_is_not)
{
	char copy[160];

	(void)snprintf(copy, sizeof(copy), "%s/Runner.Worker", root);
	ck_assert_int_eq(rh_test_copy_self(copy), 0);
	start(copy, false);
	ck_assert(!is_of(root));
}
END_TEST

/* What a job can do in its container: the kernel's word for it is the Worker's own path. */
START_TEST(a_copy_of_that_path_in_another_namespace_is_not)
{
	char exe[PATH_MAX];

	start(worker, true);
	ck_assert_int_eq(rh_proc_exe(child, exe, sizeof(exe)), 0);
	ck_assert_str_eq(exe, worker);
	ck_assert(!is_of(root));
}
END_TEST

START_TEST(one_that_was_removed_is_not)
{
	start(worker, false);
	ck_assert_int_eq(unlink(worker), 0);
	ck_assert(!is_of(root));
	ck_assert_int_eq(rh_test_copy_self(worker), 0);
	ck_assert(!is_of(root));
}
END_TEST

static void tests(Suite *suite)
{
	TCase *tcase = tcase_create("worker");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, the_file_itself_is);
	tcase_add_test(tcase, a_copy_elsewhere_is_not);
	if (!RH_TEST_UNDER_TSAN)
		tcase_add_test(tcase, a_copy_of_that_path_in_another_namespace_is_not);
	tcase_add_test(tcase, one_that_was_removed_is_not);
	suite_add_tcase(suite, tcase);
}

int main(int argc, char **argv)
{
	return rh_test_is_self(argc, argv) ? rh_test_self_main() : RH_TEST_RUN("worker", tests);
}
