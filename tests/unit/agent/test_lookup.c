/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/agent/lookup.c
 */

#include "broker/agent/lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rh-test.h"

static char dir[] = "/tmp/rh-lookup-XXXXXX";
static char first[64], second[64], both[160], found[PATH_MAX], expected[PATH_MAX];

static void make_file(const char *parent, const char *name, mode_t mode)
{
	char path[128];
	int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/%s", parent, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
}

static void make_tree(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(first, sizeof(first), "%s/first", dir);
	(void)snprintf(second, sizeof(second), "%s/second", dir);
	(void)snprintf(both, sizeof(both), "%s:%s", first, second);
	ck_assert_int_eq(mkdir(first, 0755), 0);
	ck_assert_int_eq(mkdir(second, 0755), 0);
	make_file(first, "plain", 0644);
	make_file(first, "shadow", 0644);
	make_file(second, "shadow", 0755);
	make_file(second, "tool", 0755);
	ck_assert_int_eq(chdir(dir), 0);
}

static void remove_tree(void)
{
	rh_test_remove_tree(dir);
}

static int find(const char *path, const char *step_path, const char *image_path)
{
	struct rh_lookup lookup = {.path = path, .step_path = step_path, .image_path = image_path};

	memset(found, 0, sizeof(found));
	return rh_lookup_program(&lookup, found);
}

static const char *in(const char *parent, const char *name)
{
	(void)snprintf(expected, sizeof(expected), "%s/%s", parent, name);
	return expected;
}

START_TEST(a_path_that_exists_is_taken)
{
	ck_assert_int_eq(find(in(first, "plain"), second, second), 0);
	ck_assert_str_eq(found, in(first, "plain"));
	ck_assert_int_eq(find("first/plain", second, second), 0);
	ck_assert_str_eq(found, "first/plain");
}
END_TEST

START_TEST(an_absent_one_is_searched_by_its_base_name)
{
	ck_assert_int_eq(find("/no/such/place/tool", both, "/none"), 0);
	ck_assert_str_eq(found, in(second, "tool"));
	ck_assert_int_eq(find("/no/such/place/tool", "/none", second), 0);
	ck_assert_str_eq(found, in(second, "tool"));
	ck_assert_int_eq(find("tool", both, "/none"), 0);
	ck_assert_str_eq(found, in(second, "tool"));
	ck_assert_int_eq(find("/no/such/place/other", both, second), -ENOENT);
	ck_assert_int_eq(find("", both, second), -ENOENT);
	ck_assert_int_eq(find("/no/such/place/", both, second), -ENOENT);
	/* A relative path says where. */
	ck_assert_int_eq(find("./tool", both, second), 0);
	ck_assert_str_eq(found, "./tool");
}
END_TEST

START_TEST(what_may_not_be_executed_is_passed_over)
{
	ck_assert_int_eq(find("shadow", both, "/none"), 0);
	ck_assert_str_eq(found, in(second, "shadow"));
	ck_assert_int_eq(find("plain", both, "/none"), -EACCES);
	ck_assert_str_eq(found, in(first, "plain"));
	/* A directory is no program. */
	ck_assert_int_eq(find("first", dir, "/none"), -ENOENT);
}
END_TEST

/* A tool in the runner's /root, say, when the step is a plain user. */
START_TEST(one_out_of_reach_is_searched_by_its_base_name)
{
	ck_assert_int_eq(chmod(dir, 0711), 0);
	ck_assert_int_eq(chmod(first, 0700), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	else
		ck_assert_int_eq(chmod(first, 0600), 0);
	ck_assert_int_eq(find(in(first, "tool"), second, "/none"), 0);
	ck_assert_str_eq(found, in(second, "tool"));
	/* Nowhere else: executing it will say what is wrong. */
	ck_assert_int_eq(find(in(first, "only"), second, "/none"), 0);
	ck_assert_str_eq(found, in(first, "only"));
	ck_assert_int_eq(seteuid(getuid()), 0);
	ck_assert_int_eq(chmod(first, 0700), 0);
}
END_TEST

START_TEST(an_empty_element_is_the_directory_itself)
{
	ck_assert_int_eq(chdir(second), 0);
	ck_assert_int_eq(find("tool", ":/none", "/none"), 0);
	ck_assert_str_eq(found, "tool");
}
END_TEST

START_TEST(endless_names_are_refused)
{
	static char path[2 * PATH_MAX];

	memset(path, 'a', sizeof(path) - 1);
	ck_assert_int_eq(find(path, both, both), -ENOENT);
	path[1] = '/'; /* relative: taken as it is, if it fits */
	ck_assert_int_eq(find(path, both, both), -ENAMETOOLONG);
}
END_TEST

START_TEST(node_for_musl_images)
{
	static const char *const others[] = {
		"/r/externals/node/bin/node",
		"/r/externals/node20_alpine/bin/node",
		"/r/externals/node20/bin/npm",
		"/r/other/node20/bin/node",
		"/r/externals/nodex20/bin/node",
		"node20/bin/node",
		"/bin/node",
		"",
	};

	ck_assert_int_eq(rh_lookup_alpine_node("/r/externals/node20/bin/node", found), 0);
	ck_assert_str_eq(found, "/r/externals/node20_alpine/bin/node");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ck_assert_int_eq(rh_lookup_alpine_node(others[i], found), -ENOENT);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *files = tcase_create("files");

	tcase_add_checked_fixture(files, make_tree, remove_tree);
	tcase_add_test(files, a_path_that_exists_is_taken);
	tcase_add_test(files, an_absent_one_is_searched_by_its_base_name);
	tcase_add_test(files, what_may_not_be_executed_is_passed_over);
	tcase_add_test(files, one_out_of_reach_is_searched_by_its_base_name);
	tcase_add_test(files, an_empty_element_is_the_directory_itself);
	tcase_add_test(files, endless_names_are_refused);
	suite_add_tcase(suite, files);
	RH_ADD_TESTS(suite, "names", node_for_musl_images);
}

RH_TEST_MAIN("lookup", tests);
