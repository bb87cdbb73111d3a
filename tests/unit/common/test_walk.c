/* SPDX-License-Identifier: Apache-2.0 */

/*
 * include/runnerhub/walk.h, compared with openat2(2) where this kernel has it.
 */

#include "runnerhub/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rh-test.h"

#define BENEATH (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
#define INSIDE  (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

static char top[64];
static int top_fd = -1;

static void setup(void)
{
	static const char *const links[][2] = {{"a/b", "to-b"}, {"/a/b", "absolute"},
		{"../../..", "a/up"}, {"nowhere", "dangling"}, {"loop", "loop"}, {"..", "a/b/back"},
		{"file", "to-file"}, {"/proc/self/root", "a/magic"}};

	(void)snprintf(top, sizeof(top), "/tmp/rh-walk-%d", (int)getpid());
	ck_assert_int_eq(mkdir(top, 0700), 0);
	top_fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(top_fd, 0);
	ck_assert_int_eq(mkdirat(top_fd, "a", 0700), 0);
	ck_assert_int_eq(mkdirat(top_fd, "a/b", 0700), 0);
	(void)close(openat(top_fd, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		ck_assert_int_eq(symlinkat(links[i][0], top_fd, links[i][1]), 0);
}

static void teardown(void)
{
	char command[128];

	(void)close(top_fd);
	(void)snprintf(command, sizeof(command), "rm -rf --one-file-system '%s'", top);
	ck_assert_int_eq(system(command), 0); /* NOLINT(cert-env33-c): a test's own directory */
}

static int by_kernel(const char *path, int flags, uint64_t resolve)
{
	const struct open_how how = {
		.flags = (uint64_t)(unsigned)flags | O_CLOEXEC, .resolve = resolve};
	int fd = (int)syscall(SYS_openat2, top_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

static void compare(const char *path, int flags, uint64_t resolve)
{
	int kernel = by_kernel(path, flags, resolve);
	int own = rh_walk_open(top_fd, path, flags, resolve);
	struct stat x, y;

	if (kernel == -ENOSYS)
		return;
	ck_assert_msg((kernel < 0) == (own < 0) && (kernel >= 0 || kernel == own),
		"%s (%x, %x): the kernel says %d, we say %d", path, flags, (unsigned)resolve,
		kernel, own);
	if (kernel < 0)
		return;
	ck_assert_int_eq(fstat(kernel, &x), 0);
	ck_assert_int_eq(fstat(own, &y), 0);
	ck_assert_msg(x.st_ino == y.st_ino && x.st_dev == y.st_dev, "%s: another file", path);
	ck_assert_int_eq(fcntl(own, F_GETFD), FD_CLOEXEC);
	(void)close(kernel);
	(void)close(own);
}

START_TEST(it_does_what_the_kernel_does)
{
	static const char *const paths[] = {".", "a", "a/b", "a//b/", "./a/./b", "file", "file/x",
		"missing", "missing/x", "a/missing", "to-b", "to-b/back", "absolute",
		"absolute/back", "a/up", "dangling", "loop", "to-file", "a/magic", "a/..",
		"a/../..", "..", "/", "/a", "/a/b", "/missing", "a/b/back/b", ""};
	static const int flags[] = {O_PATH | O_DIRECTORY, O_PATH | O_DIRECTORY | O_NOFOLLOW,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW, O_PATH, O_RDONLY};
	static const uint64_t resolves[] = {INSIDE, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		for (size_t j = 0; j < sizeof(flags) / sizeof(flags[0]); j++) {
			for (size_t k = 0; k < sizeof(resolves) / sizeof(resolves[0]); k++)
				compare(paths[i], flags[j], resolves[k]);
			/* Beneath without links ".." is refused, wherever it leads. */
			if (!strstr(paths[i], ".."))
				compare(paths[i], flags[j], BENEATH);
		}
	}
}
END_TEST

START_TEST(nothing_leads_out)
{
	char path[96];

	ck_assert_int_eq(rh_walk_open(top_fd, "a/..", O_PATH, BENEATH), -EXDEV);
	ck_assert_int_eq(rh_walk_open(top_fd, "..", O_PATH, BENEATH), -EXDEV);
	ck_assert_int_eq(rh_walk_open(top_fd, "/tmp", O_PATH, BENEATH), -EXDEV);
	ck_assert_int_eq(rh_walk_open(top_fd, "to-b", O_PATH, BENEATH), -ELOOP);
	/* Of a path from the root. */
	(void)snprintf(path, sizeof(path), "%s/to-b", top);
	ck_assert_int_eq(rh_walk_open(AT_FDCWD, path, O_PATH, RESOLVE_NO_SYMLINKS), -ELOOP);
	(void)snprintf(path, sizeof(path), "%s/a/magic", top);
	ck_assert_int_eq(rh_walk_open(AT_FDCWD, path, O_PATH, RESOLVE_NO_MAGICLINKS), -ELOOP);
	(void)snprintf(path, sizeof(path), "%s/a/b", top);

	int fd = rh_walk_open(AT_FDCWD, path, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);

	ck_assert_int_ge(fd, 0);
	(void)close(fd);
}
END_TEST

START_TEST(other_mounts_are_not_entered)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/a/b", top);
	ck_assert_msg(unshare(CLONE_NEWNS) == 0, "unshare: %s (tests of mounts need root)",
		strerror(errno));
	ck_assert_int_eq(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), 0);
	/* Of the same file system: the device does not tell. */
	ck_assert_int_eq(mount(top, path, NULL, MS_BIND, NULL), 0);
	(void)close(top_fd);
	top_fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	compare("a/b", O_PATH | O_DIRECTORY, BENEATH);
	compare("a/b", O_PATH | O_DIRECTORY, BENEATH | RESOLVE_NO_XDEV);
	ck_assert_int_eq(
		rh_walk_open(top_fd, "a/b", O_PATH | O_DIRECTORY, BENEATH | RESOLVE_NO_XDEV),
		-EXDEV);
	ck_assert_int_eq(umount2(path, MNT_DETACH), 0);
}
END_TEST

START_TEST(long_names_are_refused)
{
	char name[4200];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(rh_walk_open(top_fd, name, O_PATH, BENEATH), -ENAMETOOLONG);
	name[300] = '\0';
	ck_assert_int_eq(rh_walk_open(top_fd, name, O_PATH, BENEATH), -ENAMETOOLONG);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *walk = tcase_create("walk");

	tcase_add_checked_fixture(walk, setup, teardown);
	tcase_add_test(walk, it_does_what_the_kernel_does);
	tcase_add_test(walk, nothing_leads_out);
	tcase_add_test(walk, other_mounts_are_not_entered);
	tcase_add_test(walk, long_names_are_refused);
	suite_add_tcase(suite, walk);
}

RH_TEST_MAIN("walk", tests);
