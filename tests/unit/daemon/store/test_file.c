/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The store's file: modes, damage, versions, places where none can be.
 */

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "broker/daemon/store/open.h"
#include "broker/daemon/store/schema.h"
#include "fixture.h"
#include "rh-test.h"
#include "test_store.h"

static void overwrite(off_t at, size_t n)
{
	static char junk[65536];
	int fd = open(store_path, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	memset(junk, 0x5a, sizeof(junk));
	ck_assert_int_eq(pwrite(fd, junk, n, at), (ssize_t)n);
	(void)close(fd);
}

static int count_set_aside(void)
{
	DIR *entries = opendir(store_dir);
	int n = 0;

	for (struct dirent *entry; (entry = readdir(entries));)
		n += strncmp(entry->d_name, "store.db.damaged-", 17) == 0;
	(void)closedir(entries);
	return n;
}

static void fill(void)
{
	open_store();
	for (unsigned i = 0; i < 500; i++)
		ck_assert_int_eq(
			rh_store_put_job(store,
				&(struct rh_store_job){.id = id_of(i), .repository = "owner/name"},
				NULL, NULL),
			0);
	close_store();
}

static void expect_new_file(void)
{
	struct rh_store_health health = {0};

	open_store();
	rh_store_health(store, &health);
	if (!health.damaged_set_aside) {
		/* On a slow machine it is found in the background. */
		ck_assert(wait_until_condemned());
		close_store();
		open_store();
		rh_store_health(store, &health);
	}
	ck_assert(health.damaged_set_aside);
	ck_assert_uint_eq(opened->n_jobs, 0);
	ck_assert_int_ge(count_set_aside(), 1);
	/* And it works. */
	ck_assert_int_eq(put_job(&(struct rh_store_job){.id = id_of(1)}), 0);
	close_store();
	open_store();
	rh_store_health(store, &health);
	ck_assert(!health.damaged_set_aside);
	ck_assert_uint_eq(opened->n_jobs, 1);
	close_store();
}

START_TEST(the_file_is_private)
{
	struct stat st;
	char wal[160];

	(void)umask(0);
	open_store();
	ck_assert_int_eq(stat(store_path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	(void)snprintf(wal, sizeof(wal), "%s-wal", store_path);
	ck_assert_int_eq(stat(wal, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	close_store();
}
END_TEST

START_TEST(a_whole_file_stays)
{
	struct rh_store_health health = {0};

	fill();
	open_store();
	rh_store_health(store, &health);
	ck_assert(!health.damaged_set_aside);
	ck_assert_uint_eq(opened->n_jobs, 500);
	close_store();
}
END_TEST

START_TEST(no_database_at_all_is_set_aside)
{
	fill();
	overwrite(0, 4096);
	expect_new_file();
}
END_TEST

START_TEST(a_damaged_page_is_set_aside)
{
	fill();
	overwrite((off_t)(3 + 8 * _i) * 4096, 4096);
	expect_new_file();
}
END_TEST

START_TEST(a_short_file_is_set_aside)
{
	struct stat st;

	fill();
	ck_assert_int_eq(stat(store_path, &st), 0);
	ck_assert_int_eq(truncate(store_path, st.st_size / 2 / 4096 * 4096), 0);
	expect_new_file();
}
END_TEST

START_TEST(a_condemned_file_is_set_aside)
{
	fill();
	ck_assert_int_eq(rh_store_file_condemn(store_path), 0);
	expect_new_file();
}
END_TEST

START_TEST(an_empty_file_is_a_new_store)
{
	int fd = open(store_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	open_store();
	ck_assert_int_eq(put_job(&(struct rh_store_job){.id = id_of(1)}), 0);
	ck_assert_int_eq(count_set_aside(), 0);
	close_store();
}
END_TEST

static int start_fails(struct rh_err *err)
{
	return rh_store_start(&loop, store_path, store_log, &store, &opened, err);
}

START_TEST(a_newer_version_is_refused)
{
	struct rh_err err = {0};

	fill();
	sql_exec("PRAGMA user_version=1000");
	ck_assert_int_eq(start_fails(&err), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "store.db: made by a newer version"));
	ck_assert_int_eq(count_set_aside(), 0);
}
END_TEST

START_TEST(places_that_are_none_are_errors)
{
	struct rh_err err = {0};

	(void)snprintf(store_path, sizeof(store_path), "%s/nowhere/store.db", store_dir);
	ck_assert_int_eq(start_fails(&err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "nowhere/store.db: No such file or directory"));
	(void)snprintf(store_path, sizeof(store_path), "%s", store_dir);
	ck_assert_int_eq(start_fails(&err), -EISDIR);
}
END_TEST

/* The tables as each released version made them, with a row in each. */
#define VERSION_1                                                                                 \
	"CREATE TABLE jobs(id BLOB NOT NULL UNIQUE CHECK(length(id)=16), state TEXT NOT NULL, "   \
	"result TEXT NOT NULL, runner TEXT NOT NULL, profile TEXT NOT NULL, repository TEXT NOT " \
	"NULL, workflow TEXT NOT NULL, job_key TEXT NOT NULL, run_id TEXT NOT NULL, run_attempt " \
	"TEXT NOT NULL, ref TEXT NOT NULL, sha TEXT NOT NULL, actor TEXT NOT NULL, event_name "   \
	"TEXT "                                                                                   \
	"NOT NULL, container TEXT NOT NULL, workspace TEXT NOT NULL, reason TEXT NOT NULL, "      \
	"worker_pid INTEGER NOT NULL, worker_start INTEGER NOT NULL, created_ms INTEGER NOT "     \
	"NULL, "                                                                                  \
	"leased_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL, start_us INTEGER NOT NULL, cold " \
	"INTEGER NOT NULL) STRICT;"                                                               \
	"CREATE INDEX jobs_state ON jobs(state,result);"                                          \
	"CREATE INDEX jobs_created ON jobs(created_ms);"                                          \
	"CREATE INDEX jobs_ended ON jobs(ended_ms) WHERE state='ended';"                          \
	"CREATE TABLE steps(job BLOB NOT NULL CHECK(length(job)=16), step INTEGER NOT NULL, "     \
	"program TEXT NOT NULL, label TEXT NOT NULL, started_ms INTEGER NOT NULL, ended_ms "      \
	"INTEGER "                                                                                \
	"NOT NULL, exit_code INTEGER NOT NULL, signal INTEGER NOT NULL, flags INTEGER NOT NULL, " \
	"wall_us INTEGER NOT NULL, user_us INTEGER NOT NULL, sys_us INTEGER NOT NULL, "           \
	"peak_rss_kib "                                                                           \
	"INTEGER NOT NULL, PRIMARY KEY(job,step)) STRICT, WITHOUT ROWID;"                         \
	"CREATE TABLE containers(instance BLOB NOT NULL UNIQUE CHECK(length(instance)=16), "      \
	"engine_id TEXT NOT NULL, profile TEXT NOT NULL, image TEXT NOT NULL, state TEXT NOT "    \
	"NULL, "                                                                                  \
	"reason TEXT NOT NULL, job BLOB, created_ms INTEGER NOT NULL, changed_ms INTEGER NOT "    \
	"NULL) "                                                                                  \
	"STRICT;"                                                                                 \
	"CREATE INDEX containers_state ON containers(state,changed_ms);"                          \
	"CREATE INDEX containers_job ON containers(job) WHERE job IS NOT NULL;"                   \
	"CREATE TABLE events(id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, kind TEXT NOT "    \
	"NULL, "                                                                                  \
	"job BLOB, container BLOB, message TEXT NOT NULL) STRICT;"                                \
	"CREATE INDEX events_job ON events(job) WHERE job IS NOT NULL;"                           \
	"CREATE INDEX events_loose ON events(id) WHERE job IS NULL;"                              \
	"INSERT INTO jobs VALUES(x'abcd0000000000000000000000000001','running','','r','p','o/r'," \
	"'w','k','1','1','ref','sha','a','push','c','ws','',1,2,3,4,0,5,1);"                      \
	"INSERT INTO steps "                                                                      \
	"VALUES(x'abcd0000000000000000000000000001',1,'bash','',1,2,3,0,0,4,5,6,"                 \
	"7);"                                                                                     \
	"INSERT INTO containers "                                                                 \
	"VALUES(x'abcd0000000000000000000000000002','e','p','i','leased','',"                     \
	"x'abcd0000000000000000000000000001',1,2);"                                               \
	"INSERT INTO events VALUES(1,2,'k',x'abcd0000000000000000000000000001',NULL,'m');"

static const char *const versions[] = {
	VERSION_1 "PRAGMA user_version=1;",
	VERSION_1 "CREATE TABLE isolation(job BLOB NOT NULL UNIQUE CHECK(length(job)=16), "
		  "taken_ms INTEGER NOT NULL, verdict TEXT NOT NULL, data TEXT NOT NULL) STRICT;"
		  "INSERT INTO isolation VALUES(x'abcd0000000000000000000000000001',1,'','{}');"
		  "PRAGMA user_version=2;",
};

START_TEST(every_version_is_brought_up)
{
	struct json_object *job = NULL;

	sql_exec(versions[_i]);
	open_store();
	ck_assert_uint_eq(opened->n_jobs, 1);
	ck_assert_str_eq(opened->jobs[0].repository, "o/r");
	ck_assert_uint_eq(opened->n_containers, 1);
	job = query("job", "{\"id\": \"abcd\"}", NULL);
	ck_assert_int_eq(
		number_of(json_object_array_get_idx(json_object_object_get(job, "steps"), 0),
			"exitCode"),
		3);
	(void)json_object_put(job);
	ck_assert_int_eq(sql_number("PRAGMA user_version"), rh_schema_version());
	close_store();
}
END_TEST

START_TEST(there_is_a_sample_of_every_version)
{
	ck_assert_int_eq((int)(sizeof(versions) / sizeof(versions[0])), rh_schema_version());
}
END_TEST

static void tests_of_file(Suite *suite)
{
	TCase *tcase = tcase_create("file");

	tcase_add_checked_fixture(tcase, make_dir, remove_dir);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, the_file_is_private);
	tcase_add_test(tcase, a_whole_file_stays);
	tcase_add_test(tcase, no_database_at_all_is_set_aside);
	tcase_add_loop_test(tcase, a_damaged_page_is_set_aside, 0, 3);
	tcase_add_test(tcase, a_short_file_is_set_aside);
	tcase_add_test(tcase, a_condemned_file_is_set_aside);
	tcase_add_test(tcase, an_empty_file_is_a_new_store);
	tcase_add_test(tcase, a_newer_version_is_refused);
	tcase_add_test(tcase, places_that_are_none_are_errors);
	tcase_add_loop_test(tcase, every_version_is_brought_up, 0,
		(int)(sizeof(versions) / sizeof(versions[0])));
	tcase_add_test(tcase, there_is_a_sample_of_every_version);
	suite_add_tcase(suite, tcase);
}

RH_TEST_MAIN("store-file", tests_of_file, tests_of_record);
