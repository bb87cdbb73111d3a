/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/agent/filecmd.c
 */

#include "broker/agent/filecmd.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rh-test.h"

#define PARENT "_runner_file_commands"

static char dir[] = "/tmp/rh-filecmd-XXXXXX";
static int dir_fd = -1;
static char entries[6][160];
static char *envp[7];
static struct rh_filecmds files;

/* Five variables name five entries below _temp/_runner_file_commands. */
static void make_tree(void)
{
	static const char *const names[] = {"GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT",
		"GITHUB_STATE", "GITHUB_STEP_SUMMARY"};

	ck_assert_ptr_nonnull(mkdtemp(dir));
	dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(mkdirat(dir_fd, "_temp", 0755), 0);
	ck_assert_int_eq(mkdirat(dir_fd, "_temp/" PARENT, 0755), 0);
	ck_assert_int_eq(mkdirat(dir_fd, "elsewhere", 0755), 0);
	for (int i = 0; i < 5; i++) {
		(void)snprintf(entries[i], sizeof(entries[i]), "%s=%s/_temp/" PARENT "/f%d",
			names[i], dir, i);
		envp[i] = entries[i];
	}
	ck_assert_int_eq(rh_filecmds_init(&files, envp), 0);
}

static void remove_tree(void)
{
	rh_filecmds_deinit(&files);
	(void)close(dir_fd);
	rh_test_remove_tree(dir);
}

static void make_file(const char *name)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	(void)close(fd);
}

static bool exists(const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

START_TEST(only_regular_files_stay)
{
	make_file("canary");
	make_file("_temp/" PARENT "/f0");
	ck_assert_int_eq(mkfifoat(dir_fd, "_temp/" PARENT "/f1", 0644), 0);
	ck_assert_int_eq(symlinkat("../../canary", dir_fd, "_temp/" PARENT "/f2"), 0);
	ck_assert_int_eq(mkdirat(dir_fd, "_temp/" PARENT "/f3", 0755), 0);
	ck_assert_int_eq(mkfifoat(dir_fd, "_temp/" PARENT "/other", 0644), 0);
	rh_filecmds_sweep(&files);
	ck_assert(exists("_temp/" PARENT "/f0"));
	ck_assert(!exists("_temp/" PARENT "/f1"));
	ck_assert(!exists("_temp/" PARENT "/f2"));
	ck_assert(!exists("_temp/" PARENT "/f3"));
	ck_assert(exists("_temp/" PARENT "/other"));
	ck_assert(exists("canary"));
}
END_TEST

START_TEST(a_link_for_the_directory_is_not_followed)
{
	ck_assert_int_eq(unlinkat(dir_fd, "_temp/" PARENT, AT_REMOVEDIR), 0);
	ck_assert_int_eq(symlinkat("../elsewhere", dir_fd, "_temp/" PARENT), 0);
	ck_assert_int_eq(mkfifoat(dir_fd, "elsewhere/f0", 0644), 0);
	rh_filecmds_sweep(&files);
	ck_assert(exists("elsewhere/f0"));
}
END_TEST

START_TEST(a_link_for_temp_is_not_followed)
{
	ck_assert_int_eq(renameat(dir_fd, "_temp", dir_fd, "moved"), 0);
	ck_assert_int_eq(symlinkat("moved", dir_fd, "_temp"), 0);
	ck_assert_int_eq(mkfifoat(dir_fd, "moved/" PARENT "/f0", 0644), 0);
	rh_filecmds_sweep(&files);
	ck_assert(exists("moved/" PARENT "/f0"));
}
END_TEST

START_TEST(other_paths_are_none_of_ours)
{
	static char *odd[] = {
		"GITHUB_ENV=/tmp/file",
		"GITHUB_PATH=" PARENT "/relative",
		"GITHUB_OUTPUT=/tmp/" PARENT "/..",
		"GITHUB_STATE=/tmp/" PARENT "/",
		"GITHUB_STEP_SUMMARY=/" PARENT "x/file",
		NULL,
	};
	struct rh_filecmds none;

	ck_assert_int_eq(rh_filecmds_init(&none, odd), 0);
	for (int i = 0; i < RH_FILECMD_MAX; i++)
		ck_assert_ptr_null(none.paths[i]);
	rh_filecmds_sweep(&none);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *trees = tcase_create("trees");

	tcase_add_checked_fixture(trees, make_tree, remove_tree);
	tcase_add_test(trees, only_regular_files_stay);
	tcase_add_test(trees, a_link_for_the_directory_is_not_followed);
	tcase_add_test(trees, a_link_for_temp_is_not_followed);
	tcase_add_test(trees, other_paths_are_none_of_ours);
	suite_add_tcase(suite, trees);
}

RH_TEST_MAIN("filecmd", tests);
