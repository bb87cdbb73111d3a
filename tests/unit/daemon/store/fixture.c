/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A store to test.
 */

#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rh-test.h"
#include "runnerhub/clock.h"

uv_loop_t loop;
struct rh_log *store_log;
struct rh_store *store;
struct rh_store_open *opened;
char store_dir[64];
char store_path[128];

void make_dir(void)
{
	(void)snprintf(store_dir, sizeof(store_dir), "/tmp/rh-store-%d", (int)getpid());
	(void)snprintf(store_path, sizeof(store_path), "%s/store.db", store_dir);
	ck_assert_int_eq(mkdir(store_dir, 0700), 0);
	ck_assert_int_eq(uv_loop_init(&loop), 0);

	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	store_log = rh_log_new(fd, RH_LOG_DEBUG, RH_LOG_TEXT);
	ck_assert_ptr_nonnull(store_log);
	(void)close(fd);
}

void remove_dir(void)
{
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	rh_log_free(store_log);
	rh_test_remove_tree(store_dir);
}

void make_store(void)
{
	make_dir();
	open_store();
}

void remove_store(void)
{
	if (store)
		close_store();
	remove_dir();
}

void open_store(void)
{
	struct rh_err err = {0};
	int r = rh_store_start(&loop, store_path, store_log, &store, &opened, &err);

	ck_assert_msg(r == 0, "%s", err.text);
}

static void on_closed(void *arg)
{
	*(int *)arg = 1;
}

void close_store(void)
{
	int closed = 0;

	rh_store_close(store, on_closed, &closed);
	rh_store_close(store, on_closed, &closed); /* may be repeated */
	run_until(&closed);
	rh_store_open_free(opened);
	store = NULL;
	opened = NULL;
}

static void on_timer(uv_timer_t *timer)
{
	ck_abort_msg("nothing happened for 10 s");
}

void run_until(const int *flag)
{
	uv_timer_t timer;

	ck_assert_int_eq(uv_timer_init(&loop, &timer), 0);
	ck_assert_int_eq(uv_timer_start(&timer, on_timer, 10000, 0), 0);
	while (!*flag)
		(void)uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	while (uv_is_active((uv_handle_t *)&timer) || uv_run(&loop, UV_RUN_NOWAIT))
		if (store)
			break;
	(void)uv_run(&loop, UV_RUN_NOWAIT);
}

bool wait_until_condemned(void)
{
	char mark[160];

	(void)snprintf(mark, sizeof(mark), "%s.condemned", store_path);
	for (int i = 0; i < 500; i++) {
		if (access(mark, F_OK) == 0)
			return true;
		(void)usleep(10000);
	}
	return false;
}

void on_done(void *arg, int r)
{
	struct answer *answer = arg;

	answer->n++;
	answer->r = r;
}

void on_query(void *arg, int r, struct json_object *data)
{
	struct answer *answer = arg;

	answer->n++;
	answer->r = r;
	answer->data = json_object_get(data);
}

static int wait_for(struct answer *answer, int r)
{
	ck_assert_int_eq(answer->n, 0); /* never before the call returns */
	if (r < 0)
		return r;
	run_until(&answer->n);
	ck_assert_int_eq(answer->n, 1);
	return answer->r;
}

int put_job(const struct rh_store_job *job)
{
	struct answer answer = {0};

	return wait_for(&answer, rh_store_put_job(store, job, on_done, &answer));
}

int put_step(const struct rh_store_step *step)
{
	struct answer answer = {0};

	return wait_for(&answer, rh_store_put_step(store, step, on_done, &answer));
}

int put_container(const struct rh_store_container *container)
{
	struct answer answer = {0};

	return wait_for(&answer, rh_store_put_container(store, container, on_done, &answer));
}

struct json_object *query(const char *name, const char *args, int *ret_r)
{
	struct answer answer = {0};
	struct json_object *parsed = args ? json_tokener_parse(args) : NULL;
	int r = wait_for(&answer, rh_store_query(store, name, parsed, on_query, &answer));

	(void)json_object_put(parsed);
	if (ret_r)
		*ret_r = r;
	else
		ck_assert_int_eq(r, 0);
	ck_assert_int_eq(r == 0, answer.data != NULL);
	return answer.data;
}

int64_t number_of(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	ck_assert_msg(json_object_object_get_ex(object, key, &value), "%s", key);
	ck_assert_int_eq(json_object_get_type(value), json_type_int);
	return json_object_get_int64(value);
}

const char *text_of(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	ck_assert_msg(json_object_object_get_ex(object, key, &value), "%s", key);
	ck_assert_int_eq(json_object_get_type(value), json_type_string);
	return json_object_get_string(value);
}

struct rh_id id_of(unsigned n)
{
	struct rh_id id = {{0xab, 0xcd}};

	for (int i = 0; i < 4; i++)
		id.bytes[15 - i] = (uint8_t)(n >> (8 * i));
	return id;
}

static int on_row(void *arg, int n, char **values, char **names)
{
	*(int64_t *)arg = values[0] ? strtoll(values[0], NULL, 10) : -1;
	return 0;
}

int64_t sql_number(const char *sql)
{
	sqlite3 *db = NULL;
	int64_t number = INT64_MIN;

	ck_assert_int_eq(sqlite3_open(store_path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, sql, on_row, &number, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
	return number;
}

void sql_exec(const char *sql)
{
	sqlite3 *db = NULL;

	ck_assert_int_eq(sqlite3_open(store_path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}
