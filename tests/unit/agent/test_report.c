/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/agent/report.c
 */

#include "broker/agent/report.h"

#include "rh-test.h"

static struct rh_reports reports;

static void push(uint64_t first, uint64_t last)
{
	for (uint64_t step = first; step <= last; step++) {
		struct rh_wire_step_report report = {.step = step};

		rh_reports_push(&reports, &report);
	}
}

static void ack(uint64_t step)
{
	struct rh_wire_step_ref ref = {.step = step};

	rh_reports_ack(&reports, &ref);
}

static uint64_t send_next(void)
{
	const struct rh_wire_step_report *report = rh_reports_next(&reports);

	if (!report)
		return 0;
	rh_reports_sent(&reports);
	return report->step;
}

START_TEST(kept_until_acknowledged_and_sent_again)
{
	push(1, 3);
	ck_assert_uint_eq(send_next(), 1);
	ck_assert_uint_eq(send_next(), 2);
	ack(1);
	ck_assert_uint_eq(send_next(), 3);
	ck_assert_uint_eq(send_next(), 0);
	rh_reports_rewind(&reports);
	ck_assert_uint_eq(send_next(), 2);
	ack(3); /* before it was sent again */
	ck_assert_uint_eq(send_next(), 0);
	ack(2);
	ack(2);
	ck_assert_uint_eq(reports.n, 0);
	ck_assert_uint_eq(reports.n_sent, 0);
}
END_TEST

START_TEST(oldest_goes_first_when_full)
{
	push(1, RH_REPORTS_MAX);
	ck_assert_uint_eq(send_next(), 1);
	push(RH_REPORTS_MAX + 1, RH_REPORTS_MAX + 2);
	ck_assert_uint_eq(reports.n, RH_REPORTS_MAX);
	for (uint64_t step = 3; step <= RH_REPORTS_MAX + 2; step++)
		ck_assert_uint_eq(send_next(), step);
	ck_assert_uint_eq(send_next(), 0);
}
END_TEST

START_TEST(another_job_acknowledges_nothing)
{
	struct rh_wire_step_ref ref = {.job.bytes[0] = 1, .step = 1};

	push(1, 1);
	rh_reports_ack(&reports, &ref);
	ck_assert_uint_eq(reports.n, 1);
}
END_TEST

static void tests(Suite *suite)
{
	RH_ADD_TESTS(suite, "reports", kept_until_acknowledged_and_sent_again,
		oldest_goes_first_when_full, another_job_acknowledges_nothing);
}

RH_TEST_MAIN("report", tests);
