/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/agent/users.c
 */

#include "broker/agent/users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rh-test.h"
#include "runnerhub/fd.h"

static char dir[] = "/tmp/rh-users-XXXXXX";
static int root_fd = -1;

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "broken\n"
			     "too:few:1000:1000\n"
			     "word:x:many:1000::/word:/bin/sh\n"
			     "+nis::::::\n"
			     "u:x:1000:1000:a comment:/home/u:/bin/bash\n"
			     "again:x:1000:1000::/home/again:\n"
			     "relative:x:1001:1001::home:/bin/sh\n"
			     "last:x:1002:1002::/home/last:";

static const char group[] = "root:x:0:\n"
			    "adm:x:4:root,u\n"
			    "u:x:1000:\n"
			    "docker:x:999:someone,u,root\n"
			    "again:x:999:u\n"
			    "prefix:x:5:uu,xu,u2\n"
			    "bad:x:-1:u\n"
			    "huge:x:4294967295:u\n";

START_TEST(first_entry_of_a_uid_counts)
{
	char name[RH_USER_NAME_SIZE], home[RH_USER_HOME_SIZE];

	ck_assert_int_eq(rh_passwd_find(passwd, strlen(passwd), 1000, name, home), 0);
	ck_assert_str_eq(name, "u");
	ck_assert_str_eq(home, "/home/u");
	ck_assert_int_eq(rh_passwd_find(passwd, strlen(passwd), 1002, name, home), 0);
	ck_assert_str_eq(home, "/home/last");
	ck_assert_int_eq(rh_passwd_find(passwd, strlen(passwd), 7, name, home), -ENOENT);
	ck_assert_int_eq(rh_passwd_find("", 0, 0, name, home), -ENOENT);
}
END_TEST

START_TEST(relative_homes_are_none)
{
	char name[RH_USER_NAME_SIZE], home[RH_USER_HOME_SIZE];

	ck_assert_int_eq(rh_passwd_find(passwd, strlen(passwd), 1001, name, home), 0);
	ck_assert_str_eq(name, "relative");
	ck_assert_str_eq(home, "");
}
END_TEST

START_TEST(groups_that_list_the_name)
{
	struct rh_user user = {.gid = 1000, .name = "u", .n_groups = 1, .groups = {1000}};

	rh_group_collect(group, strlen(group), &user);
	ck_assert_uint_eq(user.n_groups, 3);
	ck_assert_uint_eq(user.groups[1], 4);
	ck_assert_uint_eq(user.groups[2], 999);
}
END_TEST

START_TEST(groups_are_bounded)
{
	static char many[64 * RH_USER_GROUPS_MAX];
	struct rh_user user = {.name = "u"};
	size_t n = 0;

	for (unsigned int i = 0; i < 2 * RH_USER_GROUPS_MAX; i++)
		n += (size_t)snprintf(many + n, sizeof(many) - n, "g%u:x:%u:u\n", i, i + 1);
	rh_group_collect(many, n, &user);
	ck_assert_uint_eq(user.n_groups, RH_USER_GROUPS_MAX);
}
END_TEST

static void write_file(const char *name, const char *text)
{
	int fd = openat(root_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(rh_write_all(fd, text, strlen(text)), 0);
	(void)close(fd);
}

static void make_root(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	root_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(root_fd, 0);
	ck_assert_int_eq(mkdirat(root_fd, "etc", 0755), 0);
}

static void remove_root(void)
{
	(void)unlinkat(root_fd, "etc/passwd", 0);
	(void)unlinkat(root_fd, "etc/passwd", AT_REMOVEDIR);
	(void)unlinkat(root_fd, "etc/group", 0);
	(void)unlinkat(root_fd, "etc", AT_REMOVEDIR);
	(void)close(root_fd);
	(void)rmdir(dir);
}

START_TEST(a_user_is_loaded)
{
	struct rh_user user;

	write_file("etc/passwd", passwd);
	write_file("etc/group", group);
	rh_user_load(root_fd, 1000, 1000, "/root", &user);
	ck_assert_str_eq(user.name, "u");
	ck_assert_str_eq(user.home, "/home/u");
	ck_assert_uint_eq(user.n_groups, 3);
	ck_assert_uint_eq(user.groups[0], 1000);
	ck_assert(!user.image_has_home); /* root's, which a runtime fills in */

	rh_user_load(root_fd, 1000, 1000, "/github/home", &user);
	ck_assert(user.image_has_home);
	rh_user_load(root_fd, 1000, 1000, NULL, &user);
	ck_assert(!user.image_has_home);
}
END_TEST

START_TEST(an_image_without_users_will_do)
{
	struct rh_user user;

	rh_user_load(root_fd, 1000, 1001, "/", &user);
	ck_assert_str_eq(user.name, "");
	ck_assert_str_eq(user.home, "/");
	ck_assert_uint_eq(user.n_groups, 1);
	ck_assert_uint_eq(user.groups[0], 1001);
	ck_assert(!user.image_has_home);
}
END_TEST

START_TEST(a_fifo_or_directory_does_not_hang)
{
	struct rh_user user;

	ck_assert_int_eq(mkdirat(root_fd, "etc/passwd", 0755), 0);
	ck_assert_int_eq(mkfifoat(root_fd, "etc/group", 0644), 0);
	rh_user_load(root_fd, 1000, 1000, NULL, &user);
	ck_assert_str_eq(user.home, "/");
}
END_TEST

static void tests(Suite *suite)
{
	TCase *files = tcase_create("files");

	RH_ADD_TESTS(suite, "parsers", first_entry_of_a_uid_counts, relative_homes_are_none,
		groups_that_list_the_name, groups_are_bounded);
	tcase_add_checked_fixture(files, make_root, remove_root);
	tcase_add_test(files, a_user_is_loaded);
	tcase_add_test(files, an_image_without_users_will_do);
	tcase_add_test(files, a_fifo_or_directory_does_not_hang);
	suite_add_tcase(suite, files);
}

RH_TEST_MAIN("users", tests);
