/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/job/usage_held.c: deleted files are found wherever they are held, and the engine's
 * own files in a container. The control group is a directory with a list of one process: this one.
 */

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/daemon/job/usage.h"
#include "rh-test.h"
#include "runnerhub/cleanup.h"
#include "runnerhub/clock.h"
#include "runnerhub/fd.h"

#define MIB ((size_t)1024 * 1024)

static char dir[] = "/var/tmp/rh-held-XXXXXX"; /* not in memory */
static struct rh_cgroups cgroups;

static void make(void)
{
	char path[64];
	FILE *procs = NULL;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	cgroups = (struct rh_cgroups){.version = 2};
	(void)snprintf(cgroups.paths[RH_CONTROLLER_PIDS], sizeof(cgroups.paths[0]), "%s", dir);
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	procs = fopen(path, "we");
	ck_assert_ptr_nonnull(procs);
	(void)fprintf(procs, "%d\n", (int)getpid());
	ck_assert_int_eq(fclose(procs), 0);
}

static void clean(void)
{
	rh_test_remove_tree(dir);
}

static struct rh_usage_count count_held(void)
{
	struct rh_usage_count count = {.deadline_ms = rh_now_ms() + 30000};

	rh_usage_count_held(&cgroups, &count);
	ck_assert(!count.cut);
	return count;
}

/* A file that is deleted, of this size. */
static int open_deleted(off_t size)
{
	char path[64];
	int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert(size == 0 || posix_fallocate(fd, 0, size) == 0);
	ck_assert_int_eq(unlink(path), 0);
	return fd;
}

START_TEST(a_descriptor_holds_a_file)
{
	struct rh_usage_count before = count_held();
	int fd = open_deleted(MIB);
	int again = dup(fd);
	struct rh_usage_count after = count_held();

	ck_assert_uint_eq(after.files, before.files + 1);
	ck_assert_uint_ge(after.bytes, before.bytes + MIB);
	ck_assert_uint_lt(after.bytes, before.bytes + 2 * MIB);
	rh_close(fd);
	rh_close(again);
	after = count_held();
	ck_assert_uint_eq(after.files, before.files);
}
END_TEST

START_TEST(as_many_as_there_are)
{
	const struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
	struct rh_usage_count before = count_held();
	struct rh_usage_count after = {0};

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int i = 0; i < 3000; i++)
		(void)open_deleted(4096); /* closed with the process */
	after = count_held();
	ck_assert_uint_eq(after.files, before.files + 3000);
	ck_assert_uint_ge(after.bytes, before.bytes + UINT64_C(3000) * 4096);
	/* Not without time, nor beyond what is enough to know. */
	after = (struct rh_usage_count){.deadline_ms = rh_now_ms() - 1};
	rh_usage_count_held(&cgroups, &after);
	ck_assert(after.cut);
	after = (struct rh_usage_count){.deadline_ms = rh_now_ms() + 30000, .files_max = 100};
	rh_usage_count_held(&cgroups, &after);
	ck_assert_uint_eq(after.files, 101);
}
END_TEST

START_TEST(a_mapping_holds_a_file)
{
	struct rh_usage_count before = count_held();
	struct rh_usage_count after = {0};
	int fd = open_deleted(MIB);
	void *map = mmap(NULL, MIB, PROT_READ, MAP_SHARED, fd, 0);

	ck_assert_ptr_ne(map, MAP_FAILED);
	rh_close(fd);
	after = count_held();
	ck_assert_uint_eq(after.files, before.files + 1);
	ck_assert_uint_ge(after.bytes, before.bytes + MIB);
	ck_assert_int_eq(munmap(map, MIB), 0);
}
END_TEST

static sem_t opened, looked;

static void *hold_alone(void *arg)
{
	int fd = -1;

	(void)arg;
	ck_assert_int_eq(unshare(CLONE_FILES), 0);
	fd = open_deleted(MIB);
	ck_assert_int_eq(sem_post(&opened), 0);
	ck_assert_int_eq(sem_wait(&looked), 0);
	rh_close(fd);
	return NULL;
}

START_TEST(a_thread_holds_a_file_by_itself)
{
	struct rh_usage_count before = count_held();
	struct rh_usage_count after = {0};
	pthread_t thread;

	ck_assert_int_eq(sem_init(&opened, 0, 0), 0);
	ck_assert_int_eq(sem_init(&looked, 0, 0), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, hold_alone, NULL), 0);
	ck_assert_int_eq(sem_wait(&opened), 0);
	after = count_held();
	ck_assert_uint_eq(after.files, before.files + 1);
	ck_assert_uint_ge(after.bytes, before.bytes + MIB);
	ck_assert_int_eq(sem_post(&looked), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

START_TEST(what_is_in_memory_is_no_disk)
{
	struct rh_usage_count before = count_held();
	struct rh_usage_count after = {0};
	int fd = memfd_create("memory", MFD_CLOEXEC);

	ck_assert_int_eq(posix_fallocate(fd, 0, MIB), 0);
	after = count_held();
	ck_assert_uint_eq(after.files, before.files);
	rh_close(fd);
}
END_TEST

START_TEST(the_files_of_the_engine_are_found)
{
	const char text[] =
		"36 25 0:40 / / rw,relatime - overlay overlay rw,upperdir=/u,workdir=/w\n"
		"40 36 8:1 /docker/containers/c/resolv.conf /etc/resolv.conf rw - ext4 /dev/a rw\n"
		"41 36 8:1 /docker/containers/c/hostname /e\\040tc/a\\134b rw - ext4 /dev/a rw\n"
		"42 36 8:1 /srv/demo /work/hosts rw - ext4 /dev/a rw\n"
		"43 36 8:1 /containers/c/hosts /etc/hosts rw - ext4 /dev/a rw";
	char path[64];
	const char *at = rh_usage_engine_file(text, path, sizeof(path));

	ck_assert_ptr_nonnull(at);
	ck_assert_str_eq(path, "/etc/resolv.conf");
	at = rh_usage_engine_file(at, path, sizeof(path));
	ck_assert_ptr_nonnull(at);
	ck_assert_str_eq(path, "/e tc/a\\b");
	at = rh_usage_engine_file(at, path, 5);
	ck_assert_ptr_nonnull(at);
	ck_assert_str_eq(path, "");
	ck_assert_ptr_null(rh_usage_engine_file(at, path, sizeof(path)));
	ck_assert_ptr_null(rh_usage_engine_file("", path, sizeof(path)));
	ck_assert_ptr_null(rh_usage_engine_file("1 2\n\n3", path, sizeof(path)));
}
END_TEST

static void tests(Suite *suite)
{
	TCase *held = tcase_create("held");
	const TTest *const all[] = {a_descriptor_holds_a_file, as_many_as_there_are,
		a_mapping_holds_a_file, a_thread_holds_a_file_by_itself,
		what_is_in_memory_is_no_disk, the_files_of_the_engine_are_found};

	tcase_add_checked_fixture(held, make, clean);
	tcase_set_timeout(held, 60);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tcase_add_test(held, all[i]);
	suite_add_tcase(suite, held);
}

RH_TEST_MAIN("usage_held", tests);
