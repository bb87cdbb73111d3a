/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Archives of hostile actions: what tar may do while it unpacks them, and what is left afterwards.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rh-test.h"
#include "untar.h"

/* dir/out (foreign) and dir/in (unpacked), the working directory. */
static char dir[64];

static void put(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	(void)close(fd);
}

static void set_up(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/rh-untar.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(mkdir("out", 0755) | mkdir("in", 0755) | mkdir("in/sub", 0755), 0);
	put("out/secret", 0644);
	ck_assert_int_eq(chdir("in"), 0);
	put("file", 0644);
}

static void tear_down(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	/* NOLINTNEXTLINE(cert-env33-c): a fixture's own directory */
	ck_assert_int_eq(system(command), 0);
}

static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* Makes a link in the unpacked tree, cleans, tells whether it is still there. */
static bool stays(const char *target, const char *path)
{
	ck_assert_int_eq(symlink(target, path), 0);
	ck_assert_int_eq(rh_untar_clean("."), 0);
	return is_there(path);
}

START_TEST(links_that_leave_are_removed)
{
	char absolute[128];

	(void)snprintf(absolute, sizeof(absolute), "%s/in/file", dir);
	ck_assert(!stays("../out/secret", "a"));
	ck_assert(!stays("/etc/passwd", "b"));
	ck_assert(!stays("../../../../../../etc/passwd", "sub/c"));
	ck_assert(!stays("/proc/self/root/etc/passwd", "d"));
	ck_assert(!stays(absolute, "e"));
	ck_assert(!stays("../in/file", "f"));
	/* By way of another link, in either order of being found. */
	ck_assert_int_eq(symlink("..", "sub/up"), 0);
	ck_assert(!stays("sub/up/../out/secret", "g"));
	ck_assert(!stays("h", "h"));
	/* A copier that follows these never ends. */
	ck_assert(!stays(".", "i"));
	ck_assert(!stays("..", "sub/j"));
	ck_assert(is_there("../out/secret"));
}
END_TEST

START_TEST(links_within_stay)
{
	ck_assert(stays("file", "a"));
	ck_assert(stays("../file", "sub/b"));
	ck_assert(stays("sub", "c"));
	ck_assert(stays("nothing", "d"));
	ck_assert(stays("sub/../sub/../file", "e"));
}
END_TEST

START_TEST(special_files_are_removed)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)close(fd);
	ck_assert_int_eq(mkfifo("sub/fifo", 0644), 0);
	ck_assert_int_eq(rh_untar_clean("."), 0);
	ck_assert(!is_there("socket"));
	ck_assert(!is_there("sub/fifo"));
	ck_assert(is_there("file"));
}
END_TEST

START_TEST(names_of_foreign_files_are_removed)
{
	ck_assert_int_eq(link("../out/secret", "a"), 0);
	ck_assert_int_eq(link("../out/secret", "sub/b"), 0);
	ck_assert_int_eq(link("file", "sub/c"), 0);
	ck_assert_int_eq(rh_untar_clean("."), 0);
	ck_assert(!is_there("a"));
	ck_assert(!is_there("sub/b"));
	ck_assert(is_there("file"));
	ck_assert(is_there("sub/c"));
	ck_assert(is_there("../out/secret"));
}
END_TEST

START_TEST(modes_are_made_harmless)
{
	struct stat st;

	put("setuid", 06755);
	ck_assert_int_eq(chmod("sub", 01555), 0);
	ck_assert_int_eq(rh_untar_clean("."), 0);
	ck_assert_int_eq(stat("setuid", &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0755);
	ck_assert_int_eq(stat("sub", &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0755);
}
END_TEST

START_TEST(very_deep_trees_are_refused)
{
	for (int i = 0; i < 300; i++)
		ck_assert_int_eq(mkdir("d", 0755) | chdir("d"), 0);
	ck_assert_int_eq(chdir(dir) | chdir("in"), 0);
	ck_assert_int_eq(rh_untar_clean("."), -ELOOP);
}
END_TEST

/* Runs @fn confined to the working directory; its errno, or 0. */
static int confined(int (*fn)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(rh_untar_confine("../out/secret") < 0 ? 255 : fn() < 0 ? errno : 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) != 255);
	return WEXITSTATUS(status);
}

static int write_here(void)
{
	return open("new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
}

static int write_beside(void)
{
	return open("../out/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
}

static int overwrite_archive(void)
{
	return open("../out/secret", O_WRONLY | O_TRUNC | O_CLOEXEC);
}

static int read_archive(void)
{
	return open("../out/secret", O_RDONLY | O_CLOEXEC);
}

static int read_other(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int link_other(void)
{
	return link("../out/secret", "stolen");
}

static int make_device(void)
{
	return mknod("null", S_IFCHR | 0666, 0);
}

/* This kernel has Landlock; where one has not, only tar's own guard is left. */
START_TEST(tar_can_write_here_alone)
{
	ck_assert_int_eq(confined(write_here), 0);
	ck_assert_int_eq(confined(read_archive), 0);
	ck_assert_int_eq(confined(write_beside), EACCES);
	ck_assert_int_eq(confined(overwrite_archive), EACCES);
	ck_assert_int_eq(confined(read_other), EACCES);
	ck_assert_int_ne(confined(link_other), 0);
	ck_assert_int_eq(confined(make_device), EACCES);
	ck_assert(!is_there("../out/new"));
	ck_assert(!is_there("stolen"));
}
END_TEST

static void tests(Suite *suite)
{
	TCase *untar = tcase_create("untar");

	tcase_add_checked_fixture(untar, set_up, tear_down);
	tcase_add_test(untar, links_that_leave_are_removed);
	tcase_add_test(untar, links_within_stay);
	tcase_add_test(untar, special_files_are_removed);
	tcase_add_test(untar, names_of_foreign_files_are_removed);
	tcase_add_test(untar, modes_are_made_harmless);
	tcase_add_test(untar, very_deep_trees_are_refused);
	tcase_add_test(untar, tar_can_write_here_alone);
	suite_add_tcase(suite, untar);
}

RH_TEST_MAIN("hook/untar", tests);
