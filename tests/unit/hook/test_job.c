/* SPDX-License-Identifier: Apache-2.0 */

/*
 * hook/job.h and host_hook.h through the real programs: both job hooks, with a broker that behaves
 * well or badly.
 */

#include "job.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rh-test.h"
#include "support/fixture.h"

static void hook_with(const char *name, const char *set, int signal)
{
	char path[400];

	(void)snprintf(path, sizeof(path), "%s/%s.sh", host.libexec, name);
	host_run(&host,
		&(struct run_spec){.options = WORDS("step", set),
			.argv = WORDS("/bin/bash", "-e", path),
			.signal = signal},
		&run);
}

static void started(void)
{
	hook_with("job-started", "set=GITHUB_REPOSITORY=octo/demo", 0);
}

static void expect_failure(const char *line)
{
	ck_assert_int_eq(run.status, 1);
	ck_assert_str_eq(run.out, "");
	ck_assert_msg(strstr(run.err, line) != NULL, "%s not in %s", line, run.err);
	ck_assert_int_eq(strncmp(run.err, "runnerhub: ", 11), 0);
	ck_assert_ptr_eq(strchr(run.err, '\n'), run.err + strlen(run.err) - 1);
}

START_TEST(text_and_status_come_back)
{
	fake_broker_start(&broker, &host, FAKE_SERVE);
	started();
	ck_assert_int_eq(run.status, 0);
	ck_assert_str_eq(run.out, "::group::RunnerHub: container ready in 3 ms\n::endgroup::\n");
	ck_assert_str_eq(run.err, "");
	ck_assert_int_eq(host_log_count(&host, "type job-started"), 1);
	ck_assert_int_eq(host_log_count(&host, "env GITHUB_REPOSITORY=octo/demo"), 1);
	ck_assert_int_eq(host_log_count(&host, "leaked=0"), 1);
	hook_with("job-completed", "set=A=1", 0);
	ck_assert_int_eq(run.status, 0);
	ck_assert_int_eq(host_log_count(&host, "type job-completed"), 1);
}
END_TEST

START_TEST(a_refusal_is_shown)
{
	fake_broker_start(&broker, &host, FAKE_REFUSE);
	started();
	expect_failure("runnerhub: another Worker of this runner has a job\n");
}
END_TEST

START_TEST(no_broker_is_one_line)
{
	host_set_waits(&host, 300, 60000);
	started();
	expect_failure("the job gets no container");
	ck_assert_int_ge(run.ms, 300);
	ck_assert_int_lt(run.ms, 3000);
	/* The shorter of the two deadlines counts. */
	host_set_waits(&host, 60000, 300);
	hook_with("job-completed", "set=A=1", 0);
	expect_failure("the end of the job was not reported");
	ck_assert_int_lt(run.ms, 3000);
}
END_TEST

START_TEST(a_silent_broker_has_a_deadline)
{
	host_set_waits(&host, 60000, 300);
	fake_broker_start(&broker, &host, FAKE_SILENT);
	started();
	expect_failure("has not answered within 300 ms");
	ck_assert_int_lt(run.ms, 3000);
}
END_TEST

START_TEST(a_lost_connection_is_made_again)
{
	fake_broker_start(&broker, &host, FAKE_DROP_FIRST);
	started();
	ck_assert_int_eq(run.status, 0);
	ck_assert_int_eq(host_log_count(&host, "type job-started"), 2);
}
END_TEST

START_TEST(the_hosts_own_hook_runs_once)
{
	enum fake_mode modes[] = {FAKE_HOST_HOOK, FAKE_HOST_HOOK_TWICE};

	fake_broker_start(&broker, &host, modes[_i]);
	started();
	ck_assert_int_eq(run.status, 5);
	ck_assert_str_eq(run.out,
		"host hook runs as itself\n"
		"::group::RunnerHub: container ready in 3 ms\n::endgroup::\n");
	ck_assert_int_eq(host_log_count(&host, "host hook 5"), 1 + _i);
}
END_TEST

START_TEST(the_hosts_own_hook_has_no_deadline_and_gets_signals)
{
	host_set_waits(&host, 2000, 2000);
	fake_broker_start(&broker, &host, FAKE_HOST_HOOK);
	hook_with("job-started", "set=SLOW=1", 0);
	ck_assert_int_eq(run.status, 5);
	ck_assert_int_ge(run.ms, 3000);
	hook_with("job-started", "set=SLOW=1", SIGINT);
	ck_assert_int_eq(run.status, 7);
	ck_assert_int_eq(host_log_count(&host, "host hook 7"), 1);
}
END_TEST

/* Check that the shipped hook files, without the library, kill a Worker and nothing else. */
START_TEST(hook_files_kill_a_worker_only)
{
	static const char *const files[] = {
		RH_TEST_SOURCE "/hook/job-started.sh", RH_TEST_SOURCE "/hook/job-completed.sh"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		host_run(&host,
			&(struct run_spec){.argv = WORDS("/bin/bash", "-e", files[i]),
				.env = WORDS("LD_PRELOAD=")},
			&run);
		ck_assert_int_eq(run.status, 128 + SIGKILL);
		ck_assert_ptr_nonnull(
			strstr(run.out, "runnerhub: the preload library is not loaded"));
		host_run(&host,
			&(struct run_spec){.options = WORDS("inert"),
				.argv = WORDS("/bin/sh", "-e", files[i]),
				.env = WORDS("LD_PRELOAD=")},
			&run);
		ck_assert_int_eq(run.status, 1);
	}
}
END_TEST

static void tests(Suite *suite)
{
	TCase *jobs = tcase_create("jobs");

	tcase_add_checked_fixture(jobs, set_up, tear_down);
	tcase_set_timeout(jobs, 60);
	tcase_add_test(jobs, text_and_status_come_back);
	tcase_add_test(jobs, a_refusal_is_shown);
	tcase_add_test(jobs, no_broker_is_one_line);
	tcase_add_test(jobs, a_silent_broker_has_a_deadline);
	tcase_add_test(jobs, a_lost_connection_is_made_again);
	tcase_add_loop_test(jobs, the_hosts_own_hook_runs_once, 0, 2);
	tcase_add_test(jobs, the_hosts_own_hook_has_no_deadline_and_gets_signals);
	tcase_add_test(jobs, hook_files_kill_a_worker_only);
	suite_add_tcase(suite, jobs);
}

RH_TEST_MAIN("hook/job", tests);
