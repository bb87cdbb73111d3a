/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/daemon/store/record.h: text that is too long or no UTF-8, whatever it is.
 */

#include "broker/daemon/store/record.h"

#include "rh-test.h"
#include "runnerhub/wire.h"
#include "test_store.h"

/* What a job's reason becomes. */
static const char *stored(const char *text)
{
	static char copy[RH_STORE_TEXT_MAX + 1];
	struct rh_store_event event = {.kind = "k", .message = text};
	struct rh_db *db = NULL;
	struct rh_stmt *stmt = NULL;
	struct rh_row *row = rh_row_new(&rh_table_events, &event);

	ck_assert_int_eq(rh_db_open(":memory:", 0, false, &db), 0);
	ck_assert_int_eq(rh_db_prepare(db, "SELECT ?5,length(CAST(?5 AS BLOB))", &stmt), 0);
	ck_assert_int_eq(rh_row_bind(row, stmt), 0);
	ck_assert_int_eq(rh_stmt_step(stmt), RH_DB_ROW);
	ck_assert_int_le(rh_stmt_number(stmt, 1), RH_STORE_TEXT_MAX);
	(void)snprintf(copy, sizeof(copy), "%s", rh_stmt_text(stmt, 0));
	ck_assert(rh_wire_text_valid(copy, strlen(copy), true));
	rh_row_free(row);
	rh_stmt_free(stmt);
	rh_db_close(db);
	return copy;
}

START_TEST(text_is_cut_at_a_character)
{
	static char text[4000];

	ck_assert_str_eq(stored(NULL), "");
	ck_assert_str_eq(stored("a\xc3\xa4z"), "a\xc3\xa4z");
	ck_assert_str_eq(stored("a\xc3z\xff"), "a?z?");
	for (size_t lead = 0; lead < 4; lead++) {
		memset(text, 'x', lead);
		for (size_t i = lead; i + 4 < sizeof(text); i += 4)
			memcpy(text + i, "\xf0\x9f\x98\x80", 5);
		ck_assert_uint_eq(strlen(stored(text)), lead + (RH_STORE_TEXT_MAX - lead) / 4 * 4);
	}
	memset(text, '\xf0', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_uint_eq(strlen(stored(text)), RH_STORE_TEXT_MAX);
	memset(text, 'y', sizeof(text) - 1);
	ck_assert_uint_eq(strlen(stored(text)), RH_STORE_TEXT_MAX);
}
END_TEST

void tests_of_record(Suite *suite)
{
	RH_ADD_TESTS(suite, "record", text_is_cut_at_a_character);
}
