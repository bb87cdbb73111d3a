/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Tables whose columns are as wide as what stands in them. They are kept until they are whole.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/cli.h"

#define LAST_MIN 16 /* columns that a table's last cell has at least */

int rh_text_columns(const char *text)
{
	int columns = 0;

	for (; *text; text++)
		columns += ((unsigned char)*text & 0xc0) != 0x80;
	return columns;
}

void rh_table_init(struct rh_table *table, const struct rh_column *columns, size_t n_columns)
{
	*table = (struct rh_table){.columns = columns, .n_columns = n_columns};
	for (size_t i = 0; i < n_columns; i++)
		rh_table_add(table, RH_DIM, columns[i].title);
}

void rh_table_deinit(struct rh_table *table)
{
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i].text);
	free(table->cells);
	*table = (struct rh_table){0};
}

void rh_table_add(struct rh_table *table, enum rh_colour colour, const char *text)
{
	if (table->n_cells == table->n_room) {
		size_t n_room = table->n_room ? table->n_room * 2 : 64;
		void *cells = realloc(table->cells, n_room * sizeof(*table->cells));

		table->failed |= !cells;
		if (table->failed)
			return;
		table->cells = cells;
		table->n_room = n_room;
	}

	char *copy = strdup(text);

	table->failed |= !copy;
	if (table->failed) {
		free(copy);
		return;
	}
	table->cells[table->n_cells++] = (struct rh_cell){.text = copy, .colour = colour};
}

static int width_of(const struct rh_table *table, size_t column)
{
	int most = table->columns[column].most, width = 0;

	for (size_t i = column; i < table->n_cells; i += table->n_columns) {
		int n = rh_text_columns(table->cells[i].text);

		width = n > width ? n : width;
	}
	return most > 0 && width > most ? most : width;
}

/* An empty column is left out: nobody misses it. */
static bool is_empty(const struct rh_table *table, size_t column)
{
	for (size_t i = column + table->n_columns; i < table->n_cells; i += table->n_columns) {
		if (*table->cells[i].text && strcmp(table->cells[i].text, "-") != 0)
			return false;
	}
	return table->columns[column].optional;
}

static void print_cell(const struct rh_cli *cli, const struct rh_cell *cell, int width, bool pad)
{
	int n = rh_text_columns(cell->text);

	if (cell->colour != RH_PLAIN)
		(void)fputs(rh_colour(cli, cell->colour), stdout);
	rh_print_text(cell->text, pad || n > width ? width : 0);
	if (cell->colour != RH_PLAIN)
		(void)fputs(rh_colour(cli, RH_PLAIN), stdout);
}

int rh_table_print(const struct rh_cli *cli, const struct rh_table *table)
{
	int widths[RH_TABLE_COLUMNS_MAX], left = cli->columns;
	size_t shown[RH_TABLE_COLUMNS_MAX], n = 0;

	if (table->failed) {
		(void)fprintf(stderr, "runnerhub: out of memory\n");
		return RH_EXIT_FAILURE;
	}
	for (size_t i = 0; i < table->n_columns && n < RH_TABLE_COLUMNS_MAX; i++) {
		if (is_empty(table, i))
			continue;
		widths[n] = width_of(table, i);
		shown[n++] = i;
	}
	for (size_t k = 0; k + 1 < n; k++)
		left -= widths[k] + 2;
	if (n > 0 && cli->columns > 0 && widths[n - 1] > left)
		widths[n - 1] = left > LAST_MIN ? left : LAST_MIN;
	for (size_t row = 0; row + table->n_columns <= table->n_cells; row += table->n_columns) {
		for (size_t k = 0; k < n; k++) {
			print_cell(cli, &table->cells[row + shown[k]], widths[k], k + 1 < n);
			(void)fputs(k + 1 < n ? "  " : "\n", stdout);
		}
	}
	return RH_EXIT_OK;
}

int rh_cli_list(struct rh_cli *cli, const char *op, struct json_object *args,
	const struct rh_column *columns, size_t n_columns,
	void (*add_row)(struct rh_table *table, struct json_object *row))
{
	_cleanup_(json_object_putp) struct json_object *data = NULL;
	int status = rh_cli_request(cli, op, args, &data);

	if (status != RH_EXIT_OK)
		return status;
	if (cli->json) {
		rh_cli_print_json(data);
		return RH_EXIT_OK;
	}

	_cleanup_(rh_table_deinit) struct rh_table table;

	rh_table_init(&table, columns, n_columns);
	for (size_t i = 0; i < rh_json_length(data); i++)
		add_row(&table, json_object_array_get_idx(data, i));
	return rh_table_print(cli, &table);
}
