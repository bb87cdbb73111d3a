/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/job/usage.c: what is counted, and what is not.
 */

#include "broker/daemon/job/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rh-test.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"
#include "runnerhub/fd.h"

static char dir[] = "/tmp/rh-usage-XXXXXX";

static void make(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void clean(void)
{
	rh_test_remove_tree(dir);
}

static struct rh_usage_count counting(void)
{
	return (struct rh_usage_count){.deadline_ms = rh_now_ms() + 30000};
}

static const char *at(const char *name)
{
	static char path[4][128];
	static int n;

	n = (n + 1) % 4;
	(void)snprintf(path[n], sizeof(path[n]), "%s/%s", dir, name);
	return path[n];
}

static void write_file(const char *name, size_t size)
{
	static char data[1 << 20];
	_cleanup_(rh_closep) int fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	memset(data, 'x', sizeof(data));
	ck_assert_int_eq(rh_write_all(fd, data, size), 0);
	ck_assert_int_eq(fsync(fd), 0);
}

START_TEST(a_tree_is_counted_without_what_links_name)
{
	struct rh_usage_count count = counting();

	ck_assert_int_eq(mkdir(at("deep"), 0755), 0);
	write_file("one", 1 << 20);
	write_file("deep/two", 1 << 19);
	ck_assert_int_eq(link(at("one"), at("deep/again")), 0);
	ck_assert_int_eq(symlink("/usr", at("out")), 0);
	ck_assert_int_eq(symlink("..", at("deep/up")), 0);
	rh_usage_walk(dir, &count);
	ck_assert_uint_eq(count.files, 6);
	ck_assert_uint_ge(count.bytes, 3 << 19);
	ck_assert_uint_lt(count.bytes, (3 << 19) + 65536);
	ck_assert(!count.cut && !count.too_deep);
}
END_TEST

START_TEST(a_walk_that_is_cut_says_so)
{
	struct rh_usage_count count = counting();
	atomic_bool stop = true;

	write_file("one", 1 << 20);
	write_file("two", 1 << 20);
	count.deadline_ms = rh_now_ms() - 1;
	rh_usage_walk(dir, &count);
	ck_assert_uint_eq(count.files, 0);
	ck_assert(count.cut);
	count = counting();
	count.stop = &stop;
	rh_usage_walk(dir, &count);
	ck_assert(count.cut);
	/* More than there may be is enough to know. */
	count = counting();
	count.files_max = 1;
	rh_usage_walk(dir, &count);
	ck_assert_uint_eq(count.files, 2);
	ck_assert(!count.cut);
	count = counting();
	rh_usage_walk("/no/such/place", &count);
	ck_assert_uint_eq(count.files, 0);
	ck_assert(!count.cut);
	/* Without a descriptor nothing is seen, which is not the same as that there is nothing. */
	rh_usage_failed(&count, EMFILE);
	ck_assert(count.failed && !count.cut);
}
END_TEST

/* So many directories in each other, made from within, with a file in the last one. */
static void make_deep(const char *name, int depth)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(rh_closep) int file = -1;

	for (int i = 0; i < depth; i++) {
		int next = -1;

		(void)mkdirat(fd, i == 0 ? name : "d", 0755);
		next = openat(fd, i == 0 ? name : "d", O_PATH | O_DIRECTORY | O_CLOEXEC);
		ck_assert_int_ge(next, 0);
		rh_close(fd);
		fd = next;
	}
	file = openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_eq(posix_fallocate(file, 0, 1 << 20), 0);
	rh_close(fd);
}

START_TEST(whatever_lies_deep_is_counted)
{
	struct rh_usage_count count = counting();

	make_deep("a", 70);
	make_deep("b", 1000);
	rh_usage_walk(dir, &count);
	ck_assert_uint_eq(count.files, 70 + 1000 + 2);
	ck_assert_uint_ge(count.bytes, 2 << 20);
	ck_assert(!count.cut && !count.too_deep);
}
END_TEST

START_TEST(deep_trees_have_a_bound)
{
	struct rh_usage_count count = counting();
	char path[PATH_MAX];
	size_t n = (size_t)snprintf(path, sizeof(path), "%s", dir);

	for (int i = 0; i < RH_USAGE_DEPTH - 1; i++) {
		n += (size_t)snprintf(path + n, sizeof(path) - n, "/d");
		ck_assert_int_eq(mkdir(path, 0755), 0);
	}
	for (int i = 0; i < RH_USAGE_LATER; i++) {
		(void)snprintf(path + n, sizeof(path) - n, "/%d", i);
		ck_assert_int_eq(mkdir(path, 0755), 0);
	}
	rh_usage_walk(dir, &count);
	ck_assert_uint_eq(count.files, RH_USAGE_DEPTH - 1 + RH_USAGE_LATER);
	ck_assert(!count.too_deep);
	(void)snprintf(path + n, sizeof(path) - n, "/more");
	ck_assert_int_eq(mkdir(path, 0755), 0);
	count = counting();
	rh_usage_walk(dir, &count);
	ck_assert(count.too_deep);
}
END_TEST

START_TEST(the_writable_layer_is_found)
{
	const char text[] = "1 2 0:5 / /proc rw - proc proc rw\n"
			    "36 25 0:40 / / rw,relatime - overlay overlay rw,lowerdir=/a:/b,"
			    "upperdir=/layers/x/diff,workdir=/layers/x/work\n"
			    "9 9 0:9 / /tools rw - overlay overlay rw,upperdir=/other,workdir=/w\n";
	char path[64];

	ck_assert(rh_usage_upper_of(text, path, sizeof(path)));
	ck_assert_str_eq(path, "/layers/x/diff");
	ck_assert(!rh_usage_upper_of(text, path, 8));
	ck_assert(!rh_usage_upper_of("1 2 8:1 / / rw - ext4 /dev/vda rw\n"
				     "9 9 0:9 / /t rw - overlay o rw,upperdir=/other\n",
		path, sizeof(path)));
	ck_assert(!rh_usage_upper_of("", path, sizeof(path)));
}
END_TEST

START_TEST(a_process_is_looked_at)
{
	struct rh_usage_target target = {
		.init = getpid(), .worker = getpid(), .measure = true, .budget_ms = 30000};
	struct rh_usage usage;

	target.paths[1] = strdup(dir);
	write_file("one", 1 << 20);
	rh_usage_take(&target, &usage);
	ck_assert_uint_gt(usage.output_bytes, 0);
	ck_assert_uint_gt(usage.fs_bytes, 0);
	ck_assert_uint_eq(usage.suspect, 0);
	ck_assert(usage.measured);
	ck_assert_uint_ge(usage.disk_bytes, 1 << 20);
	/* This path is the container's own directory. */
	ck_assert_uint_ge(usage.tools_bytes, 1 << 20);
	ck_assert_uint_le(usage.tools_bytes, usage.disk_bytes);
	/* Without time there is no measurement. */
	target.budget_ms = 0;
	target.only = true;
	rh_usage_take(&target, &usage);
	ck_assert(!usage.measured);
	ck_assert(usage.cut);
	ck_assert_uint_eq(usage.fs_bytes, 0);
	target.only = false;
	/* Who is gone has nothing. */
	target.init = target.worker = 0x3fffffff;
	rh_usage_take(&target, &usage);
	ck_assert(!usage.measured);
	ck_assert_uint_eq(usage.output_bytes, 0);
	rh_usage_target_deinit(&target);
}
END_TEST

/* What a job's root can do to its agent: it waits in vfork(2) for a child that is stopped. */
static pid_t start_stuck(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (vfork() == 0) {
			(void)raise(SIGSTOP);
			_exit(7);
		}
		_exit(0);
	}
	return pid;
}

START_TEST(who_keeps_the_agent_waiting_is_killed)
{
	struct rh_usage_target target = {.init = start_stuck(), .worker = getpid()};
	struct rh_usage usage = {0};
	int status = -1;

	ck_assert_int_ge(target.init, 0);
	for (int i = 0; i < 2000 && usage.suspect == 0; i++) {
		(void)usleep(5000);
		rh_usage_take(&target, &usage);
	}
	ck_assert_int_gt(usage.suspect, 0);
	ck_assert(!usage.killed);
	target.suspect = usage.suspect;
	rh_usage_take(&target, &usage);
	ck_assert(usage.killed);
	ck_assert_int_eq(waitpid(target.init, &status, 0), target.init);
	ck_assert_int_eq(status, 0);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *usage = tcase_create("usage");
	const TTest *const all[] = {a_tree_is_counted_without_what_links_name,
		a_walk_that_is_cut_says_so, whatever_lies_deep_is_counted, deep_trees_have_a_bound,
		the_writable_layer_is_found, a_process_is_looked_at};

	tcase_add_checked_fixture(usage, make, clean);
	tcase_set_timeout(usage, 60);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tcase_add_test(usage, all[i]);
	if (!RH_TEST_UNDER_TSAN)
		tcase_add_test(usage, who_keeps_the_agent_waiting_is_killed);
	suite_add_tcase(suite, usage);
}

RH_TEST_MAIN("usage", tests);
