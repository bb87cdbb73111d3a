/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Archives that are too much: names that the Worker cannot delete, sizes without end, and that
 * nothing is left of what cannot be used.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hook.h"
#include "rh-test.h"
#include "untar.h"

#define NOBODY 65534

/* dir/_staging, the working directory, and dir/said, what went to stderr. */
static char dir[64];

static void set_up(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/rh-untar.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755) | chdir(dir) | mkdir("_staging", 0755), 0);

	int fd = open("said", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	ck_assert_int_eq(chdir("_staging"), 0);
}

static void sh(const char *command)
{
	/* NOLINTNEXTLINE(cert-env33-c): all words are the test's own */
	ck_assert_int_eq(system(command), 0);
}

static void tear_down(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "cd / && rm -rf %s", dir);
	sh(command);
}

/* How often @text was said. */
static int n_said(const char *text)
{
	char said[65536] = {0};
	int fd = open("../said", O_RDONLY | O_CLOEXEC);
	int n = 0;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(read(fd, said, sizeof(said) - 1), 0);
	(void)close(fd);
	for (const char *at = said; (at = strstr(at, text)); at++)
		n++;
	return n;
}

static bool is_empty(void)
{
	DIR *here = opendir(".");
	int n = 0;

	ck_assert_ptr_nonnull(here);
	while (readdir(here))
		n++;
	(void)closedir(here);
	return n == 2;
}

static void put(const char *path, off_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	(void)close(fd);
}

/* @n folders in each other, and the working directory back. */
static void nest(size_t n, size_t name_size)
{
	char name[256] = {0};
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	memset(name, 'n', name_size);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(mkdir(name, 0755) | chdir(name), 0);
	ck_assert_int_eq(fchdir(here), 0);
	(void)close(here);
}

START_TEST(names_that_are_no_text_are_refused)
{
	static const char *const names[] = {"\xff", "sub/a\xc3", "sub/\xed\xa0\x80", "\xc0\xaf"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ck_assert_int_eq(mkdir("sub", 0755), 0);
		put(names[i], 1);
		ck_assert_int_eq(rh_untar_clean("."), -ELOOP);
		ck_assert_int_eq(n_said("a name in this folder is not UTF-8"), (int)i + 1);
		ck_assert_int_eq(rh_untar_empty("."), 0);
		ck_assert(is_empty());
	}
	put("\xc3\xa4\xf0\x9f\x98\x80\n", 1);
	ck_assert_int_eq(rh_untar_clean("."), 0);
}
END_TEST

/* It can be made below the staging directory, where the path is short, but not be deleted whole. */
START_TEST(paths_that_are_too_long_are_refused)
{
	nest(14, 250);
	ck_assert_int_eq(rh_untar_clean("."), 0);
	ck_assert_int_eq(rh_untar_empty("."), 0);
	nest(16, 250);
	ck_assert_int_eq(rh_untar_clean("."), -ELOOP);
	ck_assert_int_eq(n_said("a path in this folder is too long"), 1);
	ck_assert_int_eq(rh_untar_empty("."), 0);
	ck_assert(is_empty());
}
END_TEST

START_TEST(everything_is_deleted)
{
	nest(600, 250);
	/* Names that deleting itself would use, of all kinds. */
	put("moved-0", 1);
	sh("mkdir -p moved-1 moved-2/moved-3/moved-4 sub/a/b sub/c/d && touch moved-2/x sub/a/b/x");
	sh("ln -s /etc link && ln -s nothing sub/c/d/link && mkfifo sub/fifo");
	put("sub/\xff\xfe", 1);
	ck_assert_int_eq(rh_untar_empty("."), 0);
	ck_assert(is_empty());
	ck_assert_int_eq(rh_untar_empty("."), 0);
}
END_TEST

/* As a user whom modes concern. Return: the first step that failed, or 0. */
static int closed_tree(void)
{
	if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0 || mkdir("a", 0755) < 0 ||
		mkdir("a/b", 0755) < 0 || mkdir("a/b/c", 0755) < 0)
		return 1;
	if (chmod("a/b/c", 0) < 0 || chmod("a/b", 0) < 0 || chmod("a", 0) < 0 || chmod(".", 0) < 0)
		return 2;
	if (rh_untar_measure(".", false) < 0 || mkdir("a/b/c/d", 0) < 0)
		return 3;
	if (chmod("a/b", 0) < 0 || chmod("a", 0400) < 0 || chmod(".", 0) < 0)
		return 4;
	if (rh_untar_empty(".") < 0)
		return 5;
	return is_empty() ? 0 : 6;
}

START_TEST(closed_folders_are_no_obstacle)
{
	int status = 0;

	ck_assert_int_eq(chown(".", NOBODY, NOBODY), 0);

	pid_t pid = fork();

	if (pid == 0)
		_exit(closed_tree());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(sizes_are_bounded)
{
	put("a", 3 * 1024LL * 1024 * 1024);
	ck_assert_int_eq(rh_untar_measure(".", false), 0);
	/* The Worker copies what the link names. */
	ck_assert_int_eq(symlink("a", "b"), 0);
	ck_assert_int_eq(rh_untar_measure(".", false), 0);
	ck_assert_int_eq(rh_untar_measure(".", true), -E2BIG);
	ck_assert_int_eq(unlink("b") | link("a", "b"), 0);
	ck_assert_int_eq(rh_untar_measure(".", false), -E2BIG);
}
END_TEST

START_TEST(copies_by_links_are_bounded)
{
	char name[32], to[32];

	ck_assert_int_eq(mkdir("real", 0755) | symlink("real", "other"), 0);
	ck_assert_int_eq(rh_untar_clean("."), 0);
	ck_assert_int_eq(rh_untar_measure(".", true), 0);
	/* Each folder leads to the next one by two links. */
	for (int i = 0; i <= 20; i++) {
		(void)snprintf(name, sizeof(name), "d%02d", i);
		ck_assert_int_eq(mkdir(name, 0755), 0);
		(void)snprintf(to, sizeof(to), "../d%02d", i + 1);
		(void)snprintf(name, sizeof(name), "d%02d/a", i);
		ck_assert(i == 20 || symlink(to, name) == 0);
		(void)snprintf(name, sizeof(name), "d%02d/b", i);
		ck_assert(i == 20 || symlink(to, name) == 0);
	}
	ck_assert_int_eq(rh_untar_clean("."), 0);
	ck_assert_int_eq(rh_untar_measure(".", false), 0);
	ck_assert_int_eq(rh_untar_measure(".", true), -E2BIG);
}
END_TEST

START_TEST(entries_are_bounded)
{
	char name[32];

	ck_assert_int_eq(mkdir("full", 0755), 0);
	for (int i = 0; i < 9900; i++) {
		(void)snprintf(name, sizeof(name), "full/%d", i);
		put(name, 0);
	}
	for (int i = 0; i < 49; i++) {
		(void)snprintf(name, sizeof(name), "link-%d", i);
		ck_assert_int_eq(symlink("full", name), 0);
	}
	ck_assert_int_eq(rh_untar_measure(".", true), 0);
	ck_assert_int_eq(symlink("full", "one-more"), 0);
	ck_assert_int_eq(rh_untar_measure(".", true), -E2BIG);
	ck_assert_int_eq(rh_untar_measure(".", false), 0);
}
END_TEST

/* Neither leads above itself, but each to the other. */
START_TEST(links_in_a_circle_end)
{
	ck_assert_int_eq(mkdir("a", 0755) | mkdir("b", 0755), 0);
	ck_assert_int_eq(symlink("../b", "a/x") | symlink("../a", "b/y"), 0);
	ck_assert_int_eq(rh_untar_clean("."), 0);
	ck_assert_int_eq(rh_untar_measure(".", true), -ELOOP);
}
END_TEST

START_TEST(few_lines_tell_of_many)
{
	char name[32];

	for (int i = 0; i < 50; i++) {
		(void)snprintf(name, sizeof(name), "link-%d\n%d", i, i);
		ck_assert_int_eq(symlink("/etc", name), 0);
	}
	ck_assert_int_eq(rh_untar_clean("."), 0);
	ck_assert(is_empty());
	ck_assert_int_eq(n_said("runnerhub: removed from the action: link-"), 20);
	ck_assert_int_eq(n_said("runnerhub: removed from the action: 30 more\n"), 1);
	ck_assert_int_eq(n_said("\n"), 21);
}
END_TEST

/* The verb in a process of its own, with the working directory and archive that it wants. */
static pid_t begin_verb(void)
{
	char archive[96];

	(void)snprintf(archive, sizeof(archive), "%s/1.tar.gz", dir);

	char *argv[] = {(char[]){"tar"}, (char[]){"-xzf"}, archive, NULL};
	char *envp[] = {NULL};
	struct rh_hook hook = {.libexec = "/nowhere", .argv = argv, .envp = envp};
	pid_t pid = fork();

	if (pid == 0)
		_exit(rh_verb_untar(&hook));
	ck_assert_int_gt(pid, 0);
	return pid;
}

static int end_of(pid_t pid)
{
	int status = 0;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Packs ../src with @options and unpacks it; the exit status. */
static int unpack(const char *options)
{
	char command[256];

	(void)snprintf(command, sizeof(command), "tar -C ../src %s -czf ../1.tar.gz .", options);
	sh(command);
	return end_of(begin_verb());
}

START_TEST(good_archives_are_unpacked)
{
	sh("mkdir -p ../src/top/lib && echo x >../src/top/lib/file && ln -s lib ../src/top/link");
	ck_assert_int_eq(unpack(""), 0);
	ck_assert_int_eq(access("top/link/file", R_OK), 0);
	ck_assert_int_eq(n_said("runnerhub"), 0);
}
END_TEST

START_TEST(nothing_is_left_of_a_bad_archive)
{
	sh("mkdir -p ../src/top && touch ../src/top/fine");
	sh("touch \"$(printf '../src/top/x\\377')\"");
	ck_assert_int_eq(unpack(""), 1);
	ck_assert_int_eq(n_said("is not UTF-8"), 1);
	ck_assert(is_empty());
	/* Cut short: tar fails, and had unpacked the name. */
	sh("head -c 200000 /dev/urandom >../src/top/zzz; tar -C ../src -czf - . | head -c 150000 "
	   ">../1.tar.gz");
	ck_assert_int_ne(end_of(begin_verb()), 0);
	ck_assert(is_empty());
}
END_TEST

START_TEST(archives_are_bounded_while_they_are_unpacked)
{
	sh("mkdir -p ../src/top && truncate -s 2G ../src/top/a ../src/top/b ../src/top/c");
	ck_assert_int_eq(unpack("-S"), 1);
	ck_assert_int_eq(n_said("more than 4096 MiB, 500000 files"), 1);
	ck_assert(is_empty());
	sh("rm ../src/top/*; truncate -s 5G ../src/top/a");
	ck_assert_int_ne(unpack("-S"), 0);
	ck_assert_int_eq(n_said("a file of it is larger than 4096 MiB"), 1);
	ck_assert(is_empty());
}
END_TEST

/* An unknown keyword before each file: tar has a line to say about every one. */
START_TEST(tar_may_not_say_without_end)
{
	struct stat st;

	sh("mkdir -p ../src/top && cd ../src/top && seq 1 400 | xargs touch");
	ck_assert_int_eq(unpack("--format=pax --pax-option=RUNNERHUB.unknown:=x"), 0);
	ck_assert_int_eq(stat("../said", &st), 0);
	ck_assert_int_gt(n_said("RUNNERHUB.unknown"), 10);
	ck_assert_int_lt(st.st_size, 20000);
	ck_assert_int_eq(n_said("bytes more, which are left out"), 1);
}
END_TEST

/* The archive comes through a FIFO that stays open, so tar does not end by itself. */
static pid_t begin_endless(void)
{
	/* tar reads whole blocks: what it is to unpack comes first. */
	sh("mkdir -p ../src/top/sub && touch ../src/top/sub/x && "
	   "head -c 300000 /dev/urandom >../src/rest && tar -C ../src -czf ../real top rest");
	ck_assert_int_eq(mkfifo("../1.tar.gz", 0644), 0);

	int fd = open("../1.tar.gz", O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);

	pid_t pid = begin_verb();

	sh("cat ../real >../1.tar.gz");
	for (int i = 0; i < 2000 && access("top/sub/x", F_OK) < 0; i++)
		(void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	ck_assert_int_eq(access("top/sub/x", F_OK), 0);
	return pid;
}

START_TEST(a_signal_leaves_nothing)
{
	pid_t pid = begin_endless();

	ck_assert_int_eq(kill(pid, SIGINT), 0);
	ck_assert_int_eq(end_of(pid), 128 + SIGINT);
	ck_assert(is_empty());
}
END_TEST

/* What the Worker does at last. Then the one that deletes ends a little later. */
START_TEST(even_a_kill_leaves_nothing)
{
	pid_t pid = begin_endless();

	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(end_of(pid), 128 + SIGKILL);
	for (int i = 0; i < 2000 && !is_empty(); i++)
		(void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	ck_assert(is_empty());
}
END_TEST

static void tests(Suite *suite)
{
	TCase *bounds = tcase_create("untar bounds");

	tcase_add_checked_fixture(bounds, set_up, tear_down);
	tcase_set_timeout(bounds, 60);
	tcase_add_test(bounds, names_that_are_no_text_are_refused);
	tcase_add_test(bounds, paths_that_are_too_long_are_refused);
	tcase_add_test(bounds, everything_is_deleted);
	tcase_add_test(bounds, closed_folders_are_no_obstacle);
	tcase_add_test(bounds, sizes_are_bounded);
	tcase_add_test(bounds, copies_by_links_are_bounded);
	tcase_add_test(bounds, entries_are_bounded);
	tcase_add_test(bounds, links_in_a_circle_end);
	tcase_add_test(bounds, few_lines_tell_of_many);
	tcase_add_test(bounds, good_archives_are_unpacked);
	tcase_add_test(bounds, nothing_is_left_of_a_bad_archive);
	tcase_add_test(bounds, archives_are_bounded_while_they_are_unpacked);
	tcase_add_test(bounds, tar_may_not_say_without_end);
	tcase_add_test(bounds, a_signal_leaves_nothing);
	tcase_add_test(bounds, even_a_kill_leaves_nothing);
	suite_add_tcase(suite, bounds);
}

RH_TEST_MAIN("hook/untar_bounds", tests);
