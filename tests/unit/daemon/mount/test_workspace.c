/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/mount/workspace.h, ledger.h and temp.h: what is on the host between jobs.
 */

#include "broker/daemon/mount/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/mount/attach.h"
#include "broker/daemon/mount/sweep.h"
#include "broker/daemon/mount/temp.h"
#include "broker/daemon/mount/tree.h"
#include "fake.h"
#include "rh-test.h"
#include "runnerhub/clock.h"

static struct rh_ledger ledger = RH_LEDGER_INIT;
static struct rh_err err;
static bool swapped;

static int open_ledger(void)
{
	err.text[0] = '\0';
	return rh_ledger_open(fake_work, FAKE_RUNNER_UID, FAKE_RUNNER_GID, &ledger, &err);
}

static void setup(void)
{
	fake_setup();
	ck_assert_int_eq(open_ledger(), 0);
}

static void teardown(void)
{
	rh_ledger_close(&ledger);
	fake_teardown();
}

static int prepare(void)
{
	return rh_workspace_prepare(&ledger, "demo", "demo", &swapped, &err);
}

static uint64_t n_in_trash(void)
{
	struct rh_tree_count count = {0};

	ck_assert_int_eq(rh_tree_empty(ledger.trash_fd, &count), 0);
	return count.n_files;
}

START_TEST(an_unmarked_workspace_is_kept)
{
	ck_assert_int_eq(fake_write(in_work("demo/demo/mine")), 0);
	ck_assert_int_eq(prepare(), 0);
	ck_assert(!swapped);
	ck_assert_int_eq(fake_read(in_work("demo/demo/mine")), 't');
	ck_assert_int_eq(fake_exists(in_work("_runnerhub/leased-demo")), 1);
	/* A job that never ran leaves it unmarked. */
	rh_workspace_unmark(&ledger, "demo");
	ck_assert_int_eq(prepare(), 0);
	ck_assert(!swapped);
	ck_assert_int_eq(fake_read(in_work("demo/demo/mine")), 't');
}
END_TEST

START_TEST(a_marked_one_is_swapped)
{
	ck_assert_int_eq(prepare(), 0);
	ck_assert_int_eq(fake_write(in_work("demo/demo/secret")), 0);
	ck_assert_int_eq(prepare(), 0);
	ck_assert(swapped);
	ck_assert_int_eq(fake_exists(in_work("demo/demo/secret")), -ENOENT);
	ck_assert_int_eq(fake_uid_of(in_work("demo")), 47);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo")), 47);
	ck_assert_int_eq(fake_exists(in_work("_runnerhub/new")), -ENOENT);
	ck_assert_uint_eq(n_in_trash(), 1);
}
END_TEST

START_TEST(a_missing_one_is_made_whole)
{
	ck_assert_int_eq(rmdir(in_work("demo/demo")), 0);
	ck_assert_int_eq(rmdir(in_work("demo")), 0);
	ck_assert_int_eq(rh_workspace_prepare(&ledger, "demo", "a/b c/d", &swapped, &err), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo")), 47);
	ck_assert_int_eq(fake_uid_of(in_work("demo/a/b c/d")), 47);
	/* Marked and missing, as after somebody's rm -rf. */
	ck_assert_int_eq(rh_tree_delete(ledger.work_fd, "demo", &(struct rh_tree_count){0}), 0);
	ck_assert_int_eq(prepare(), 0);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo")), 47);
}
END_TEST

START_TEST(release_scrubs_once)
{
	ck_assert_int_eq(prepare(), 0);
	ck_assert_int_eq(fake_write(in_work("demo/demo/secret")), 0);
	ck_assert_int_eq(rh_workspace_release(&ledger, "demo", true, NULL, &err), 0);
	ck_assert_int_eq(fake_exists(in_work("demo/demo/secret")), -ENOENT);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo")), 47);
	ck_assert_int_eq(fake_exists(in_work("_runnerhub/leased-demo")), -ENOENT);
	/* What comes later is not ours. */
	ck_assert_int_eq(fake_write(in_work("demo/demo/mine")), 0);
	ck_assert_int_eq(rh_workspace_release(&ledger, "demo", true, NULL, &err), 0);
	ck_assert_int_eq(fake_read(in_work("demo/demo/mine")), 't');
}
END_TEST

START_TEST(release_may_keep_the_workspace)
{
	ck_assert_int_eq(prepare(), 0);
	ck_assert_int_eq(fake_write(in_work("demo/demo/cache")), 0);
	ck_assert_int_eq(rh_workspace_release(&ledger, "demo", false, NULL, &err), 0);
	ck_assert_int_eq(prepare(), 0);
	ck_assert(!swapped);
	ck_assert_int_eq(fake_read(in_work("demo/demo/cache")), 't');
}
END_TEST

START_TEST(what_cannot_be_kept_is_swapped)
{
	/* A job may put a link or a file in place of its workspace: the next one is not to suffer.
	 */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(prepare(), 0);
		ck_assert_int_eq(rmdir(in_work("demo/demo")), 0);
		if (i == 0)
			ck_assert_int_eq(symlink(fake_state, in_work("demo/demo")), 0);
		else
			ck_assert_int_eq(fake_write(in_work("demo/demo")), 0);
		ck_assert_int_eq(rh_workspace_release(&ledger, "demo", false, NULL, &err), 0);
		ck_assert_int_eq(prepare(), 0);
		ck_assert_int_eq(fake_uid_of(in_work("demo/demo")), 47);
		ck_assert_int_eq(rh_workspace_release(&ledger, "demo", false, NULL, &err), 0);
	}
	ck_assert_int_eq(access(fake_state, F_OK), 0);
}
END_TEST

START_TEST(release_may_keep_parts_of_the_workspace)
{
	ck_assert_int_eq(rh_workspace_prepare(&ledger, "demo", "demo", &swapped, &err), 0);
	ck_assert_int_eq(fake_mkdir(in_work("demo/demo/.git")), 0);
	ck_assert_int_eq(fake_write(in_work("demo/demo/.git/config")), 0);
	ck_assert_int_eq(fake_mkdir(in_work("demo/demo/a")), 0);
	ck_assert_int_eq(fake_mkdir(in_work("demo/demo/a/b")), 0);
	ck_assert_int_eq(fake_write(in_work("demo/demo/a/b/kept")), 0);
	ck_assert_int_eq(fake_write(in_work("demo/demo/a/b/other")), 0);
	ck_assert_int_eq(symlink(fake_state, in_work("demo/demo/link")), 0);
	ck_assert_int_eq(symlink("a", in_work("demo/demo/folder")), 0);
	ck_assert_int_eq(mkfifo(in_work("demo/demo/fifo"), 0644), 0);
	ck_assert_int_eq(rh_workspace_release(&ledger, "demo", true,
				 ".git\na/b/kept\nlink\nfifo\nfolder/b/other\nnone\n"
				 "../../../secret\n",
				 &err),
		0);
	ck_assert_int_eq(fake_exists(in_work("demo/demo/.git/config")), 1);
	ck_assert_int_eq(fake_exists(in_work("demo/demo/a/b/kept")), 1);
	ck_assert_int_eq(fake_exists(in_work("demo/demo/a/b/other")), -ENOENT);
	ck_assert_int_eq(fake_exists(in_work("demo/demo/link")), -ENOENT);
	ck_assert_int_eq(fake_exists(in_work("demo/demo/fifo")), -ENOENT);
	ck_assert_int_eq(fake_exists(in_work("demo/demo/folder")), -ENOENT);
	/* A job that left no workspace keeps nothing. */
	ck_assert_int_eq(rh_workspace_prepare(&ledger, "demo", "demo", &swapped, &err), 0);
	ck_assert_int_eq(fake_rename_dir(in_work("demo/demo")), 0);
	ck_assert_int_eq(rh_workspace_release(&ledger, "demo", true, ".git\n", &err), 0);
	ck_assert_int_eq(fake_exists(in_work("demo/demo/.git")), -ENOENT);
	ck_assert_int_eq(fake_exists(in_work("demo/demo")), 1);
}
END_TEST

START_TEST(planted_links_are_refused)
{
	ck_assert_int_eq(rmdir(in_work("demo/demo")), 0);
	ck_assert_int_eq(symlink(fake_state, in_work("demo/demo")), 0);
	ck_assert_int_lt(prepare(), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "remove it"));
	ck_assert_int_eq(unlink(in_work("demo/demo")), 0);
	ck_assert_int_eq(rmdir(in_work("demo")), 0);
	ck_assert_int_eq(symlink(fake_state, in_work("demo")), 0);
	ck_assert_int_lt(prepare(), 0);
	ck_assert_int_eq(fake_exists(in_work("_runnerhub/leased-demo")), -ENOENT);
	/* In place of a workspace in use: moved away, never followed. */
	ck_assert_int_eq(fake_write(in_work("_runnerhub/leased-demo")), 0);
	ck_assert_int_eq(prepare(), 0);
	ck_assert(swapped);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo")), 47);
	ck_assert_int_eq(access(fake_state, F_OK), 0);
}
END_TEST

START_TEST(a_workspace_that_is_a_mount_is_emptied)
{
	ck_assert_int_eq(mount("tmpfs", in_work("demo"), "tmpfs", 0, NULL), 0);
	ck_assert_int_eq(prepare(), 0);
	ck_assert_int_eq(fake_write(in_work("demo/demo/secret")), 0);
	ck_assert_int_eq(prepare(), 0);
	ck_assert(swapped);
	ck_assert_int_eq(fake_exists(in_work("demo/demo/secret")), -ENOENT);
	ck_assert_int_eq(fake_uid_of(in_work("demo/demo")), 47);
	ck_assert_int_eq(umount2(in_work("demo"), MNT_DETACH), 0);
}
END_TEST

START_TEST(an_interrupted_swap_is_cleaned_up)
{
	/* Killed after the exchange: the old workspace is called "new". */
	ck_assert_int_eq(prepare(), 0);
	ck_assert_int_eq(fake_mkdir(in_work("_runnerhub/new")), 0);
	ck_assert_int_eq(fake_write(in_work("_runnerhub/new/secret")), 0);
	ck_assert_int_eq(prepare(), 0);
	ck_assert_int_eq(fake_exists(in_work("demo/demo/secret")), -ENOENT);
	ck_assert_int_eq(fake_exists(in_work("_runnerhub/new")), -ENOENT);
	ck_assert_uint_eq(n_in_trash(), 1);
}
END_TEST

START_TEST(a_planted_ledger_is_refused)
{
	struct stat st;

	rh_ledger_close(&ledger);
	ck_assert_int_eq(rh_sweep_remove(fake_work, "_runnerhub", &(struct rh_tree_count){0}), 0);
	ck_assert_int_eq(symlink(fake_state, in_work("_runnerhub")), 0);
	ck_assert_int_lt(open_ledger(), 0);
	ck_assert_int_eq(unlink(in_work("_runnerhub")), 0);
	ck_assert_int_eq(fake_mkdir(in_work("_runnerhub")), 0);
	/* A chown -R of the runner's directory: taken back. Another owner: planted. */
	ck_assert_int_eq(chown(in_work("_runnerhub"), FAKE_RUNNER_UID, FAKE_RUNNER_GID), 0);
	ck_assert_int_eq(open_ledger(), 0);
	ck_assert_int_eq(stat(in_work("_runnerhub"), &st), 0);
	ck_assert_uint_eq(st.st_uid, 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	rh_ledger_close(&ledger);
	ck_assert_int_eq(chown(in_work("_runnerhub"), FAKE_RUNNER_UID + 1, FAKE_RUNNER_GID), 0);
	ck_assert_int_eq(open_ledger(), -EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, "remove it"));
	ck_assert_int_eq(chown(in_work("_runnerhub"), 0, 0), 0);
	ck_assert_int_eq(chmod(in_work("_runnerhub"), 0777), 0);
	ck_assert_int_eq(open_ledger(), -EPERM);
	ck_assert_int_eq(chmod(in_work("_runnerhub"), 0700), 0);
	ck_assert_int_eq(open_ledger(), 0);
}
END_TEST

static uint32_t clear_old(int64_t before_ms)
{
	_cleanup_(rh_closep) int fd = rh_ledger_ensure(&ledger, "_temp");
	uint32_t n = 99;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(rh_temp_clear_old(&ledger, fd, before_ms, FAKE_BASE, &n), 0);
	return n;
}

START_TEST(leftovers_in_temp_go)
{
	ck_assert_int_eq(fake_mkdir(in_work("_temp/d")), 0);
	ck_assert_int_eq(fake_write(in_work("_temp/d/f")), 0);
	ck_assert_int_eq(fake_write(in_work("_temp/f")), 0);
	ck_assert_int_eq(fake_write(in_work("_temp/foreign")), 0);
	ck_assert_int_eq(symlink(fake_state, in_work("_temp/link")), 0);
	ck_assert_int_eq(lchown(in_work("_temp/foreign"), 0, FAKE_BASE + 65535), 0);
	/* All younger than that: the foreign one alone. */
	ck_assert_uint_eq(clear_old(rh_wall_ms() - 3600000), 1);
	ck_assert_int_eq(fake_exists(in_work("_temp/foreign")), -ENOENT);
	ck_assert_int_eq(fake_exists(in_work("_temp/d/f")), 1);
	ck_assert_uint_eq(clear_old(rh_wall_ms() + 3600000), 3);
	ck_assert_int_eq(rmdir(in_work("_temp")), 0);
	ck_assert_uint_eq(n_in_trash(), 4);
	ck_assert_int_eq(access(fake_state, F_OK), 0);
}
END_TEST

static int release_temp(void)
{
	const struct rh_mount_release release = {
		.work = fake_work,
		.repo = "demo",
		.runner_uid = FAKE_RUNNER_UID,
		.runner_gid = FAKE_RUNNER_GID,
		.id_map_base = FAKE_BASE,
	};
	struct rh_mount_result result;

	return rh_release_run(&release, &result, &err);
}

START_TEST(foreign_owners_in_temp_go_at_any_depth)
{
	char path[PATH_MAX] = "_temp";

	for (int i = 0; i < 60; i++) {
		ck_assert_int_eq(fake_mkdir(in_work(path)), i == 0 ? -EEXIST : 0);
		(void)snprintf(path + strlen(path), sizeof(path) - strlen(path), "/d");
	}
	ck_assert_int_eq(fake_mkdir(in_work("_temp/own")), 0);
	ck_assert_int_eq(fake_write(in_work("_temp/own/f")), 0);
	ck_assert_int_eq(fake_mkdir(in_work("_temp/own/foreign")), 0);
	ck_assert_int_eq(fake_write(in_work("_temp/own/foreign/f")), 0);
	ck_assert_int_eq(lchown(in_work("_temp/own/foreign"), FAKE_BASE + 5, 0), 0);
	ck_assert_int_eq(symlink(fake_state, in_work("_temp/own/link")), 0);
	ck_assert_int_eq(release_temp(), 0);
	ck_assert_int_eq(fake_exists(in_work("_temp/own/f")), 1);
	ck_assert_int_eq(fake_exists(in_work("_temp/own/link")), 1);
	ck_assert_int_eq(fake_exists(in_work("_temp/own/foreign")), -ENOENT);
	/* What is too deep to be looked at does not stay either. */
	ck_assert_int_eq(fake_exists(in_work("_temp/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d")), 1);
	ck_assert_int_eq(fake_exists(in_work(path)), -ENOENT);
}
END_TEST

START_TEST(temp_may_be_missing_or_a_file_system)
{
	ck_assert_int_eq(rmdir(in_work("_temp")), 0);
	ck_assert_int_eq(release_temp(), 0);
	ck_assert_uint_eq(clear_old(0), 0);
	ck_assert_int_eq(fake_uid_of(in_work("_temp")), 47);
	ck_assert_int_eq(mount("tmpfs", in_work("_temp"), "tmpfs", 0, NULL), 0);
	ck_assert_int_eq(fake_mkdir(in_work("_temp/d")), 0);
	ck_assert_int_eq(fake_write(in_work("_temp/d/f")), 0);
	ck_assert_uint_eq(clear_old(rh_wall_ms() + 3600000), 1);
	ck_assert_int_eq(fake_exists(in_work("_temp/d")), -ENOENT);
	ck_assert_int_eq(umount2(in_work("_temp"), MNT_DETACH), 0);
	ck_assert_int_eq(rmdir(in_work("_temp")), 0);
	ck_assert_int_eq(symlink(fake_state, in_work("_temp")), 0);
	ck_assert_int_lt(release_temp(), 0);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *host = tcase_create("host");

	tcase_add_checked_fixture(host, setup, teardown);
	tcase_add_test(host, an_unmarked_workspace_is_kept);
	tcase_add_test(host, a_marked_one_is_swapped);
	tcase_add_test(host, a_missing_one_is_made_whole);
	tcase_add_test(host, release_scrubs_once);
	tcase_add_test(host, release_may_keep_the_workspace);
	tcase_add_test(host, what_cannot_be_kept_is_swapped);
	tcase_add_test(host, release_may_keep_parts_of_the_workspace);
	tcase_add_test(host, planted_links_are_refused);
	tcase_add_test(host, a_workspace_that_is_a_mount_is_emptied);
	tcase_add_test(host, an_interrupted_swap_is_cleaned_up);
	tcase_add_test(host, a_planted_ledger_is_refused);
	tcase_add_test(host, leftovers_in_temp_go);
	tcase_add_test(host, foreign_owners_in_temp_go_at_any_depth);
	tcase_add_test(host, temp_may_be_missing_or_a_file_system);
	suite_add_tcase(suite, host);
}

RH_TEST_MAIN("mount-workspace", tests);
