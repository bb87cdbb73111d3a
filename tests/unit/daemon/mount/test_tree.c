/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/mount/tree.h and sweep.h: hostile trees.
 */

#include "broker/daemon/mount/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/mount/kernel.h"
#include "broker/daemon/mount/sweep.h"
#include "fake.h"
#include "rh-test.h"

static int dir_fd = -1;
static struct rh_tree_count count;

static void setup(void)
{
	fake_setup();
	dir_fd = open(fake_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir_fd, 0);
	ck_assert_int_eq(mkdirat(dir_fd, "tree", 0755), 0);
}

static void teardown(void)
{
	(void)close(dir_fd);
	fake_teardown();
}

static const char *in_tree(const char *path)
{
	static char text[4][600];
	static unsigned i;
	char *to = text[i++ % 4];

	(void)snprintf(to, sizeof(text[0]), "%s/tree/%s", fake_dir, path);
	return to;
}

static bool is_gone(void)
{
	return faccessat(dir_fd, "tree", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

START_TEST(links_are_deleted_and_not_followed)
{
	ck_assert_int_eq(mkdir(in_tree("d"), 0), 0);
	ck_assert_int_eq(symlink(fake_state, in_tree("d/to-dir")), 0);
	ck_assert_int_eq(symlink("..", in_tree("d/up")), 0);
	ck_assert_int_eq(symlink("/etc/passwd", in_tree("to-file")), 0);
	ck_assert_int_eq(mkfifo(in_tree("fifo"), 0600), 0);
	ck_assert_int_eq(rh_tree_delete(dir_fd, "tree", &count), 0);
	ck_assert(is_gone());
	ck_assert_uint_eq(count.n_files, 4);
	ck_assert_int_eq(access("/etc/passwd", F_OK), 0);
	ck_assert_int_eq(access(fake_state, F_OK), 0);
	/* It is not there, or not a directory: fine. */
	ck_assert_int_eq(rh_tree_delete(dir_fd, "tree", &count), 0);
	ck_assert_int_eq(symlinkat(fake_state, dir_fd, "tree"), 0);
	ck_assert_int_eq(rh_tree_delete(dir_fd, "tree", &count), 0);
	ck_assert(is_gone());
	ck_assert_int_eq(access(fake_state, F_OK), 0);
}
END_TEST

START_TEST(depth_needs_no_descriptors)
{
	enum { LEVELS = 1000 };
	const struct rlimit few = {64, 64};
	int fd = openat(dir_fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < LEVELS; i++) {
		ck_assert_int_eq(mkdirat(fd, "a directory with a longer name", 0700), 0);
		if (i % 250 == 0)
			ck_assert_int_eq(symlinkat("x", fd, "link"), 0);

		int next = openat(
			fd, "a directory with a longer name", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		ck_assert_int_ge(next, 0);
		(void)close(fd);
		fd = next;
	}
	(void)close(fd);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(rh_tree_delete(dir_fd, "tree", &count), 0);
	ck_assert(is_gone());
	ck_assert_uint_eq(count.n_files, LEVELS / 250);
}
END_TEST

START_TEST(many_files_go)
{
	char name[64];

	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "file-%d", i);
		if (i % 10 == 0)
			ck_assert_int_eq(mkdir(in_tree(name), 0755), 0);
		else
			ck_assert_int_eq(fake_write(in_tree(name)), 0);
	}
	ck_assert_int_eq(rh_tree_delete(dir_fd, "tree", &count), 0);
	ck_assert(is_gone());
	ck_assert_uint_eq(count.n_files, 900);
	ck_assert_uint_eq(count.bytes, UINT64_C(900) * 4096);
}
END_TEST

START_TEST(hard_links_are_counted_with_the_last_one)
{
	ck_assert_int_eq(fake_write(in_tree("a")), 0);
	ck_assert_int_eq(link(in_tree("a"), in_tree("b")), 0);
	ck_assert_int_eq(link(in_tree("a"), in_tree("../outside")), 0);
	ck_assert_int_eq(rh_tree_delete(dir_fd, "tree", &count), 0);
	ck_assert_uint_eq(count.bytes, 0);
	ck_assert_uint_eq(count.n_files, 2);
	ck_assert_int_eq(rh_tree_delete(dir_fd, "outside", &count), 0);
	ck_assert_uint_eq(count.bytes, 4096);
}
END_TEST

static void add_flags(const char *path, int more)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int flags = 0;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ioctl(fd, FS_IOC_GETFLAGS, &flags), 0);
	flags |= more;
	ck_assert_int_eq(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
	(void)close(fd);
}

START_TEST(immutable_things_go_too)
{
	ck_assert_int_eq(mkdir(in_tree("d"), 0755), 0);
	ck_assert_int_eq(mkdir(in_tree("d/e"), 0755), 0);
	ck_assert_int_eq(fake_write(in_tree("d/e/f")), 0);
	ck_assert_int_eq(fake_write(in_tree("log")), 0);
	add_flags(in_tree("d/e/f"), FS_IMMUTABLE_FL);
	add_flags(in_tree("d/e"), FS_IMMUTABLE_FL);
	add_flags(in_tree("d"), FS_APPEND_FL);
	add_flags(in_tree("log"), FS_APPEND_FL);
	add_flags(in_tree(""), FS_IMMUTABLE_FL);
	ck_assert_int_eq(rh_tree_delete(dir_fd, "tree", &count), 0);
	ck_assert(is_gone());
}
END_TEST

START_TEST(mounts_are_not_entered)
{
	ck_assert_int_eq(mkdir(in_tree("m"), 0755), 0);
	ck_assert_int_eq(fake_write(in_tree("gone")), 0);
	ck_assert_int_eq(fake_write(in_work("precious")), 0);
	/* The same file system, so st_dev says nothing. */
	ck_assert_int_eq(mount(fake_work, in_tree("m"), "none", MS_BIND, NULL), 0);
	ck_assert_int_eq(rh_tree_delete(dir_fd, "tree", &count), -EXDEV);
	ck_assert_int_eq(access(in_work("precious"), F_OK), 0);
	ck_assert_int_eq(access(in_tree("gone"), F_OK), -1);
	ck_assert_int_eq(umount2(in_tree("m"), MNT_DETACH), 0);
	ck_assert_int_eq(rh_tree_delete(dir_fd, "tree", &count), 0);
	ck_assert(is_gone());
}
END_TEST

static int stop(void *arg, const struct rh_tree_count *so_far)
{
	return -ETIMEDOUT;
}

START_TEST(work_can_be_stopped_and_gone_on_with)
{
	char name[64];

	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "file-%d", i);
		ck_assert_int_eq(fake_write(in_tree(name)), 0);
	}
	count.on_progress = stop;
	ck_assert_int_eq(rh_tree_delete(dir_fd, "tree", &count), -ETIMEDOUT);
	ck_assert_uint_gt(count.n_files, 0);
	ck_assert_uint_lt(count.n_files, 1000);
	count.on_progress = NULL;
	ck_assert_int_eq(rh_tree_delete(dir_fd, "tree", &count), 0);
	ck_assert(is_gone());
	ck_assert_uint_eq(count.n_files, 1000);
}
END_TEST

START_TEST(a_containers_directory_is_made_and_removed)
{
	char parent[300];
	struct stat st;

	(void)snprintf(parent, sizeof(parent), "%s/containers", fake_dir);
	ck_assert_int_eq(rh_sweep_make(parent, "abc", false), 0);
	ck_assert_int_eq(rh_sweep_make(parent, "abc", false), -EEXIST);
	ck_assert_int_eq(rh_sweep_make(parent, "../abc", false), -EINVAL);
	ck_assert_int_eq(stat(in_tree("../containers/abc/socket"), &st), 0);
	ck_assert_int_eq(stat(in_tree("../containers/abc"), &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(stat(in_tree("../containers/abc/overlay-spare/work"), &st), 0);
	ck_assert_int_eq(rh_sweep_remove(parent, "..", &count), -EINVAL);
	ck_assert_int_eq(rh_sweep_remove(parent, "abc", &count), 0);
	ck_assert_int_eq(rh_sweep_remove(parent, "abc", &count), 0);
	ck_assert_int_eq(rh_sweep_remove("/nowhere/at/all", "abc", &count), 0);
	ck_assert_int_eq(rmdir(parent), 0);
}
END_TEST

START_TEST(only_roots_trash_is_swept)
{
	ck_assert_int_eq(rh_sweep_trash(fake_work, &count), 0); /* none yet */
	ck_assert_int_eq(mkdir(in_work("_runnerhub"), 0700), 0);
	ck_assert_int_eq(rh_sweep_trash(fake_work, &count), 0);
	ck_assert_int_eq(mkdir(in_work("_runnerhub/trash"), 0700), 0);
	ck_assert_int_eq(fake_write(in_work("_runnerhub/trash/a")), 0);
	ck_assert_int_eq(chown(in_work("_runnerhub"), FAKE_RUNNER_UID, FAKE_RUNNER_GID), 0);
	ck_assert_int_eq(rh_sweep_trash(fake_work, &count), -EPERM);
	ck_assert_int_eq(chown(in_work("_runnerhub"), 0, 0), 0);
	ck_assert_int_eq(rh_sweep_trash(fake_work, &count), 0);
	ck_assert_int_eq(rmdir(in_work("_runnerhub/trash")), 0);
	ck_assert_int_eq(symlink(fake_state, in_work("_runnerhub/trash")), 0);
	ck_assert_int_eq(rh_sweep_trash(fake_work, &count), -ENOTDIR);
	ck_assert_int_eq(access(fake_state, F_OK), 0);
	ck_assert_int_eq(rh_sweep_trash("/nowhere/at/all", &count), 0);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *trees = tcase_create("trees");

	tcase_add_checked_fixture(trees, setup, teardown);
	tcase_set_timeout(trees, 60);
	tcase_add_test(trees, links_are_deleted_and_not_followed);
	tcase_add_test(trees, depth_needs_no_descriptors);
	tcase_add_test(trees, many_files_go);
	tcase_add_test(trees, hard_links_are_counted_with_the_last_one);
	tcase_add_test(trees, immutable_things_go_too);
	tcase_add_test(trees, mounts_are_not_entered);
	tcase_add_test(trees, work_can_be_stopped_and_gone_on_with);
	tcase_add_test(trees, a_containers_directory_is_made_and_removed);
	tcase_add_test(trees, only_roots_trash_is_swept);
	suite_add_tcase(suite, trees);
}

RH_TEST_MAIN("mount-tree", tests);
