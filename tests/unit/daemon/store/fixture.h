/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A store on a loop in a directory of its own; calls that wait for their answer.
 */

#include <check.h>
#include <sqlite3.h>
#include <uv.h>

#include "broker/daemon/store/store.h"

extern uv_loop_t loop;
extern struct rh_log *store_log;
extern struct rh_store *store;
extern struct rh_store_open *opened;
extern char store_dir[64];
extern char store_path[128];

/* Checked fixtures: directory and loop; the same with a store that is open. */
void make_dir(void);
void remove_dir(void);
void make_store(void);
void remove_store(void);

/* Opens the store, expecting success; closes it. */
void open_store(void);
void close_store(void);
/* Runs the loop until *@flag is not 0, at most some seconds. */
void run_until(const int *flag);

/* Whether the file is marked to be set aside at the next start; waits for it a while. */
bool wait_until_condemned(void);

/* An answer that is waited for. */
struct answer {
	int n;
	int r;
	struct json_object *data;
};
void on_done(void *arg, int r);
void on_query(void *arg, int r, struct json_object *data);
int put_job(const struct rh_store_job *job);
int put_step(const struct rh_store_step *step);
int put_container(const struct rh_store_container *container);
/* The result, to be put; NULL with *ret_r. @args is JSON text. */
struct json_object *query(const char *name, const char *args, int *ret_r);
int64_t number_of(struct json_object *object, const char *key);
const char *text_of(struct json_object *object, const char *key);

/* An id whose last bytes are @n. */
struct rh_id id_of(unsigned n);
/* The number that a connection of ours reads from the file. */
int64_t sql_number(const char *sql);
void sql_exec(const char *sql);
