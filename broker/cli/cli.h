/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command line `runnerhub`: what its commands share.
 *
 * Data goes to stdout, everything else to stderr. A command is one row of the table in main.c and
 * one function in a cmd_ file; it gets its own arguments and returns an exit status.
 */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "runnerhub/cleanup.h"
#include "runnerhub/err.h"

enum {
	RH_EXIT_OK = 0,
	RH_EXIT_FAILURE = 1,
	RH_EXIT_USAGE = 2,
	RH_EXIT_NO_BROKER = 69, /* EX_UNAVAILABLE, sysexits.h */
	RH_EXIT_NO_PERMISSION = 77,
	RH_EXIT_CONFIG = 78,
};

RH_DEFINE_CLEANUP(struct json_object *, json_object_put);

struct rh_cli {
	const char *socket;
	bool json; /* print what the broker said, as it is */
	bool colour; /* stdout is a terminal that takes it */
	int columns; /* of that terminal; 0: it is none, nothing is cut */
	int connection;
	int timeout_ms; /* of an answer; 0: the usual 10 s */
	struct rh_err *said; /* what would go to stderr goes here; NULL: to stderr */
};

/* -- client.c -- */

/**
 * rh_cli_request() - ask the broker
 * @args:     consumed; NULL for none
 * @ret_data: the caller's; may be NULL inside if the answer has none
 *
 * Says on stderr what went wrong. Return: RH_EXIT_….
 */
int rh_cli_request(struct rh_cli *cli, const char *op, struct json_object *args,
	struct json_object **ret_data);
/* Gives the connection up; the next request makes a new one. */
void rh_cli_hang_up(struct rh_cli *cli);
/* The next line of a subscription. Return: RH_EXIT_…. */
int rh_cli_next(struct rh_cli *cli, struct json_object **ret_line);

#define RH_JOB_ID_SIZE 33

/* The id of the job, among the newest thousand, whose id begins with @word. Return: RH_EXIT_…. */
int rh_cli_find_job(struct rh_cli *cli, const char *word, char ret_id[RH_JOB_ID_SIZE]);

/* -- json.c: reading answers; a missing or odd member reads as "", 0, false, or NULL -- */
const char *rh_json_text(struct json_object *object, const char *key);
int64_t rh_json_number(struct json_object *object, const char *key);
bool rh_json_bool(struct json_object *object, const char *key);
struct json_object *rh_json_member(struct json_object *object, const char *key);
/* Of an array; 0 of anything else. */
size_t rh_json_length(struct json_object *array);
void rh_cli_print_json(struct json_object *data);
/* On one line. */
void rh_cli_print_json_line(struct json_object *data);

/* -- out.c -- */

enum rh_colour { RH_PLAIN, RH_BOLD, RH_DIM, RH_GREEN, RH_YELLOW, RH_RED };

const char *rh_colour(const struct rh_cli *cli, enum rh_colour colour);
/* Prints text with control characters shown as '?', padded to @width columns (0: as it is). */
void rh_print_text(const char *text, int width);
/* The same in lines of at most @width columns, those after the first indented; no line break last.
 */
void rh_print_wrapped(const char *text, int indent, int width);
/* The first digits of an id, enough to name it. */
const char *rh_short_id(const char *id, char buf[13]);
/* "3.2 ms", "4 s", "2 min 5 s", "3 h 10 min", "2 d 4 h". */
const char *rh_duration(int64_t us, char *buf, size_t size);
/* "512 KiB", "1.5 GiB". */
const char *rh_bytes(int64_t bytes, char *buf, size_t size);
/* "14:05:09" today, "2026-11-24 14:05" otherwise; "-" for 0. */
const char *rh_time(int64_t wall_ms, char *buf, size_t size);

/* "2026-11-24 14:05:09.123". */
const char *rh_time_exact(int64_t wall_ms, char *buf, size_t size);

/* -- table.c -- */

#define RH_TABLE_COLUMNS_MAX 12

struct rh_column {
	const char *title;
	int most; /* columns; what is longer is cut; 0: as wide as it is */
	bool optional; /* left out if nothing stands in it */
};

struct rh_cell {
	char *text;
	enum rh_colour colour;
};

struct rh_table {
	const struct rh_column *columns;
	size_t n_columns; /* up to RH_TABLE_COLUMNS_MAX */
	struct rh_cell *cells; /* row after row, the titles first */
	size_t n_cells;
	size_t n_room;
	bool failed; /* out of memory */
};

int rh_text_columns(const char *text);
/* @columns is borrowed. */
void rh_table_init(struct rh_table *table, const struct rh_column *columns, size_t n_columns);
void rh_table_deinit(struct rh_table *table);
/* The next cell. Copies @text. */
void rh_table_add(struct rh_table *table, enum rh_colour colour, const char *text);
/* On a terminal the last column ends at its edge. Return: RH_EXIT_…. */
int rh_table_print(const struct rh_cli *cli, const struct rh_table *table);
/**
 * rh_cli_list() - ask the broker for an array and print it, a row each
 * @args:    consumed
 * @add_row: adds a cell for each column
 *
 * Return: RH_EXIT_….
 */
int rh_cli_list(struct rh_cli *cli, const char *op, struct json_object *args,
	const struct rh_column *columns, size_t n_columns,
	void (*add_row)(struct rh_table *table, struct json_object *row));

/* -- options.c -- */

#define RH_WORDS_MAX 64

struct rh_words {
	const char *words[RH_WORDS_MAX];
	size_t n;
};

struct rh_option {
	const char *name; /* without its dashes */
	const char *help;
	const char *value; /* name of its value, or NULL: a switch */
	const char **ret_text;
	struct rh_words *ret_words; /* may be repeated */
	bool *ret_switch;
};
/**
 * rh_parse_options() - a command's own options, and the global ones behind it
 * @positional: up to @n_positional words are written, the rest is a usage error
 *
 * Return: -1 to go on, or an exit status (0 after --help).
 */
int rh_parse_options(struct rh_cli *cli, int argc, char **argv, const struct rh_option *options,
	const char **positional, int n_positional);
/* A decimal number in [min, max]. Return: false after saying what is wrong. */
bool rh_parse_number(
	const char *name, const char *text, int64_t min, int64_t max, int64_t *ret_number);

/* -- commands -- */
int rh_cmd_status(struct rh_cli *cli, int argc, char **argv);
/* Prints what was in force for a job; its whole id. Return: exit status. */
int rh_show_isolation(struct rh_cli *cli, const char *id);
int rh_cmd_jobs(struct rh_cli *cli, int argc, char **argv);
int rh_cmd_containers(struct rh_cli *cli, int argc, char **argv);
int rh_cmd_pools(struct rh_cli *cli, int argc, char **argv);
int rh_cmd_events(struct rh_cli *cli, int argc, char **argv);
int rh_cmd_drain(struct rh_cli *cli, int argc, char **argv);
int rh_cmd_doctor(struct rh_cli *cli, int argc, char **argv);
int rh_cmd_toolcache(struct rh_cli *cli, int argc, char **argv);
int rh_cmd_reload(struct rh_cli *cli, int argc, char **argv);
