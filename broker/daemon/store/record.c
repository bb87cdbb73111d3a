/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Records copied, bound, read back and shown.
 */

#include "broker/daemon/store/record.h"

#include "runnerhub/err.h"
#include "runnerhub/utf8.h"

struct value {
	int64_t number;
	const char *data; /* text or blob; NULL: a number, or nothing */
	size_t size;
};

/* One allocation: the values, then the bytes of texts and ids. */
struct rh_row {
	const struct rh_table *table;
	size_t size;
	struct value values[];
};

static const void *field(const struct rh_column *column, const void *record)
{
	return (const void *)((uintptr_t)record + column->offset);
}

static void *mutable_field(const struct rh_column *column, void *record)
{
	return (void *)((uintptr_t)record + column->offset);
}

static int64_t clamp(uint64_t number)
{
	return number > INT64_MAX ? INT64_MAX : (int64_t)number;
}

static int64_t number_of(const struct rh_column *column, const void *record)
{
	const void *p = field(column, record);

	switch (column->kind) {
	case RH_COLUMN_INT64:
		return *(const int64_t *)p;
	case RH_COLUMN_UINT64:
		return clamp(*(const uint64_t *)p);
	case RH_COLUMN_INT32:
		return *(const int32_t *)p;
	case RH_COLUMN_UINT32:
		return *(const uint32_t *)p;
	case RH_COLUMN_BOOL:
		return *(const bool *)p;
	default:
		return 0;
	}
}

static const char *text_of(const struct rh_column *column, const void *record)
{
	const char *text = NULL;

	if (column->kind == RH_COLUMN_NAME)
		return column->names[*(const unsigned *)field(column, record)];
	text = *(const char *const *)field(column, record);
	return text ? text : "";
}

static bool is_text(const struct rh_column *column)
{
	return column->kind == RH_COLUMN_TEXT || column->kind == RH_COLUMN_LONG ||
		column->kind == RH_COLUMN_NAME;
}

static size_t size_max(const struct rh_column *column)
{
	return column->kind == RH_COLUMN_LONG ? RH_STORE_LONG_MAX : RH_STORE_TEXT_MAX;
}

/* Copies at most @max bytes of valid UTF-8; bytes that are none become a ?. */
static size_t copy_text(char *to, const char *text, size_t max)
{
	size_t left = strnlen(text, max + 4);
	size_t n = 0;

	while (left > 0) {
		size_t k = rh_utf8_sequence((const unsigned char *)text, left);

		if (n + (k ? k : 1) > max)
			break;
		if (k)
			memcpy(to + n, text, k);
		else
			to[n] = '?';
		k = k ? k : 1;
		n += k;
		text += k;
		left -= k;
	}
	return n;
}

static size_t data_size(const struct rh_column *column, const void *record)
{
	if (column->kind == RH_COLUMN_ID)
		return sizeof(struct rh_id);
	if (is_text(column))
		return strnlen(text_of(column, record), size_max(column));
	return 0;
}

struct rh_row *rh_row_new(const struct rh_table *table, const void *record)
{
	size_t size = sizeof(struct rh_row) + table->n * sizeof(struct value);
	size_t n_data = 0;

	for (size_t i = 0; i < table->n; i++)
		n_data += data_size(&table->columns[i], record);

	struct rh_row *row = malloc(size + n_data);
	char *data = NULL;

	if (!row)
		return NULL;
	data = (char *)row + size;
	row->table = table;
	row->size = size + n_data;
	for (size_t i = 0; i < table->n; i++) {
		const struct rh_column *column = &table->columns[i];
		struct value *value = &row->values[i];

		*value = (struct value){.number = number_of(column, record)};
		if (column->kind == RH_COLUMN_ID) {
			if (rh_id_is_null(field(column, record)))
				continue;
			value->size = sizeof(struct rh_id);
			memcpy(data, field(column, record), value->size);
		} else if (is_text(column)) {
			value->size = copy_text(data, text_of(column, record), size_max(column));
		} else {
			continue;
		}
		value->data = data;
		data += value->size;
	}
	return row;
}

void rh_row_free(struct rh_row *row)
{
	free(row);
}

size_t rh_row_size(const struct rh_row *row)
{
	return row->size;
}

const struct rh_table *rh_row_table(const struct rh_row *row)
{
	return row->table;
}

int rh_row_bind(const struct rh_row *row, struct rh_stmt *stmt)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < row->table->n; i++) {
		const struct value *value = &row->values[i];
		int at = (int)i + 1;

		if (row->table->columns[i].kind == RH_COLUMN_ID)
			r = value->data ? rh_stmt_bind_blob(stmt, at, value->data, value->size)
					: rh_stmt_bind_null(stmt, at);
		else if (value->data)
			r = rh_stmt_bind_text(stmt, at, value->data, value->size);
		else
			r = rh_stmt_bind_number(stmt, at, value->number);
	}
	return rh_trace(r);
}

int rh_name_find(const char *const *names, const char *name)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

static int read_column(const struct rh_column *column, struct rh_stmt *stmt, int at, void *record)
{
	void *p = mutable_field(column, record);
	int64_t number = rh_stmt_number(stmt, at);
	size_t size = 0;
	const void *blob = NULL;
	char *copy = NULL;
	int index = 0;

	switch (column->kind) {
	case RH_COLUMN_ID:
		blob = rh_stmt_blob(stmt, at, &size);
		if (size == sizeof(struct rh_id))
			memcpy(p, blob, size);
		break;
	case RH_COLUMN_TEXT:
	case RH_COLUMN_LONG:
		copy = strdup(rh_stmt_text(stmt, at));
		if (!copy)
			return rh_origin(-ENOMEM);
		*(const char **)p = copy;
		break;
	case RH_COLUMN_NAME:
		index = rh_name_find(column->names, rh_stmt_text(stmt, at));
		*(unsigned *)p = index < 0 ? 0 : (unsigned)index;
		break;
	case RH_COLUMN_INT64:
	case RH_COLUMN_UINT64:
		*(int64_t *)p = number;
		break;
	case RH_COLUMN_INT32:
	case RH_COLUMN_UINT32:
		*(int32_t *)p = (int32_t)number;
		break;
	case RH_COLUMN_BOOL:
		*(bool *)p = number != 0;
		break;
	}
	return 0;
}

int rh_record_read(const struct rh_table *table, struct rh_stmt *stmt, void *record)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < table->n; i++)
		r = read_column(&table->columns[i], stmt, (int)i, record);
	return rh_trace(r);
}

void rh_record_deinit(const struct rh_table *table, void *record)
{
	for (size_t i = 0; i < table->n; i++)
		if (table->columns[i].kind == RH_COLUMN_TEXT ||
			table->columns[i].kind == RH_COLUMN_LONG)
			free(*(char **)mutable_field(&table->columns[i], record));
}
