/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole workflows through run-workflow, Listener and Worker, on a plain runner.
 */

#include <string.h>
#include <unistd.h>

#include "common/files.h"
#include "rh-test.h"
#include "runnerhub/clock.h"
#include "stage.h"

static struct rh_stage_dir stage;

static void set_up(void)
{
	rh_stage_init(&stage);
}

static void tear_down(void)
{
	rh_stage_deinit(&stage);
}

/* Runs a workflow and expects an exit status. Return: the report, new reference. */
static struct json_object *run(const char *text, const char *const *options, int want)
{
	struct json_object *report = NULL;

	rh_stage_file(&stage, "workflow.yml", text);

	int status = rh_stage_run(&stage, options, &report);
	_cleanup_(rh_freep) char *log = rh_stage_read(&stage, "log");

	ck_assert_msg(status == want, "status %d, not %d:\n%s", status, want, log);
	return report;
}

static bool log_has(const char *text)
{
	_cleanup_(rh_freep) char *log = rh_stage_read(&stage, "log");

	return strstr(log, text) != NULL;
}

static void expect(struct json_object *report, const char *step, const char *conclusion)
{
	ck_assert_str_eq(rh_json_str(rh_stage_step(report, step), "conclusion", ""), conclusion);
}

START_TEST(test_values_between_steps)
{
	_cleanup_(rh_json_putp) struct json_object *report = run(
		"secrets: {PASSWORD: hush-hush}\n"
		"jobs:\n  a:\n    outputs: {o: '${{ steps.one.outputs.x }}'}\n    steps:\n"
		"    - name: one\n      id: one\n      run: |\n"
		"        echo x=1 >> $GITHUB_OUTPUT\n"
		"        printf 'M<<E\\nl1\\nl2\\nE\\n' >> $GITHUB_ENV\n"
		"        mkdir -p p; printf '#!/bin/sh\\necho tool-ran' > p/tool; chmod +x p/tool\n"
		"        echo $PWD/p >> $GITHUB_PATH; echo '### s' >> $GITHUB_STEP_SUMMARY\n"
		"        echo '::add-mask::masked'; echo masked ${{ secrets.PASSWORD }}\n"
		"    - name: two\n      run: |\n"
		"        test ${{ steps.one.outputs.x }} = 1; test \"$M\" = $'l1\\nl2'; tool\n"
		"        ls $RUNNER_TEMP/_runner_file_commands | grep -- -scrubbed\n"
		"  b:\n    needs: a\n    steps:\n    - {name: got, run: 'test ${{ "
		"needs.a.outputs.o }} = 1'}\n",
		NULL, 0);

	ck_assert(log_has("tool-ran"));
	ck_assert(!log_has("hush-hush"));
	ck_assert(log_has("    *** ***"));
	ck_assert_uint_eq(rh_json_len(rh_json_get(report, "jobs")), 2);
	ck_assert_int_eq(
		json_object_get_int(rh_json_get(rh_stage_step(report, "two"), "exit_code")), 0);
}
END_TEST

START_TEST(test_failures)
{
	_cleanup_(rh_json_putp) struct json_object *report =
		run("jobs:\n  a:\n    steps:\n"
		    "    - {name: soft, id: soft, run: exit 3, continue-on-error: true}\n"
		    "    - {name: seen, run: 'test ${{ steps.soft.outcome }} = failure'}\n"
		    "    - {name: hard, run: kill -9 $$}\n"
		    "    - {name: not, run: true}\n"
		    "    - {name: fail, if: failure(), run: true}\n"
		    "    - {name: shell, if: always(), run: true, shell: no-such-shell}\n"
		    "    - {name: cwd, if: always(), run: true, working-directory: no/such}\n"
		    "    - {name: bad, if: always(), run: 'echo nonsense >> $GITHUB_ENV'}\n"
		    "    - {name: expr, if: unknown.x, run: true}\n"
		    "    - {name: action, if: always(), uses: ./none}\n"
		    "    - {name: late, if: always(), run: true, timeout-minutes: 1}\n",
			NULL, 1);
	static const char *const rows[][2] = {{"soft", "success"}, {"seen", "success"},
		{"hard", "failure"}, {"not", "skipped"}, {"fail", "success"}, {"shell", "failure"},
		{"cwd", "failure"}, {"bad", "failure"}, {"expr", "failure"}, {"action", "failure"},
		{"late", "success"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(report, rows[i][0], rows[i][1]);
	ck_assert_int_eq(
		json_object_get_int(rh_json_get(rh_stage_step(report, "hard"), "exit_code")), 137);
	ck_assert(log_has("no-such-shell: command not found"));
	ck_assert(log_has("An error occurred trying to start process"));
}
END_TEST

START_TEST(test_actions)
{
	_cleanup_(rh_json_putp) struct json_object *report = run(
		"files:\n"
		"  act/action.yml: 'runs: {using: node20, main: m.js, post: p.js}'\n"
		"  act/m.js: ''\n  act/p.js: ''\n"
		"  comp/action.yml: |\n"
		"    inputs: {who: {default: you}}\n"
		"    outputs: {o: {value: '${{ steps.i.outputs.v }}'}}\n"
		"    runs:\n      using: composite\n      steps:\n"
		"      - {id: i, run: 'echo v=${{ inputs.who }} >> $GITHUB_OUTPUT', shell: bash}\n"
		"      - {uses: ./act, with: {who: '${{ inputs.who }}'}}\n"
		"jobs:\n  a:\n    steps:\n"
		"    - {name: comp, id: comp, uses: ./comp, with: {who: me}}\n"
		"    - {name: out, run: 'test ${{ steps.comp.outputs.o }} = me'}\n"
		"    - {name: direct, uses: ./act}\n",
		NULL, 0);

	expect(report, "Post comp", "success");
	expect(report, "Post direct", "success");
	ck_assert(log_has("node runs m.js with me and no state"));
	ck_assert(log_has("node runs p.js with me and kept"));
}
END_TEST

START_TEST(test_failed_hook)
{
	rh_stage_file(&stage, "started.sh", "echo started says no; exit 7\n");
	rh_stage_file(&stage, "completed.sh", "echo completed runs\n");

	_cleanup_(rh_freep) char *env =
		rh_fmt("ACTIONS_RUNNER_HOOK_JOB_STARTED=%s/started.sh\n"
		       "ACTIONS_RUNNER_HOOK_JOB_COMPLETED=%s/completed.sh\n",
			stage.dir, stage.dir);

	rh_stage_file(&stage, "runner/.env", env);

	_cleanup_(rh_json_putp) struct json_object *report =
		run("jobs:\n  a:\n    steps:\n"
		    "    - {name: normal, run: true}\n"
		    "    - {name: always, if: always(), run: true}\n",
			NULL, 1);

	expect(report, "Set up runner", "failure");
	expect(report, "normal", "skipped");
	expect(report, "always", "success");
	expect(report, "Complete runner", "success");
	ck_assert(log_has("Process completed with exit code 7."));
}
END_TEST

START_TEST(test_cancel)
{
	static const char *const options[] = {"--cancel-after", "1", NULL};
	_cleanup_(rh_json_putp) struct json_object *report =
		run("jobs:\n  a:\n    steps:\n"
		    "    - {name: stuck, run: 'trap \"echo got INT; exit 0\" INT; while :; do "
		    "sleep 0.1; done'}\n"
		    "    - {name: next, run: true}\n"
		    "    - {name: last, if: cancelled(), run: true}\n",
			options, 2);

	expect(report, "stuck", "cancelled");
	expect(report, "next", "skipped");
	expect(report, "last", "success");
	ck_assert(log_has("got INT"));
	ck_assert(log_has("The operation was canceled."));
}
END_TEST

/* The graceful stop: the job fails, nothing of it runs any more, always() or not. */
START_TEST(test_stop)
{
	static const char *const options[] = {"--stop-after", "1", NULL};

	rh_stage_file(&stage, "completed.sh", "echo completed runs\n");

	_cleanup_(rh_freep) char *env =
		rh_fmt("ACTIONS_RUNNER_HOOK_JOB_COMPLETED=%s/completed.sh\n", stage.dir);

	rh_stage_file(&stage, "runner/.env", env);

	_cleanup_(rh_json_putp) struct json_object *report =
		run("jobs:\n  a:\n    steps:\n"
		    "    - {name: stuck, run: sleep 600}\n"
		    "    - {name: last, if: always(), run: true}\n",
			options, 1);

	expect(report, "last", "skipped");
	ck_assert(!log_has("completed runs"));
}
END_TEST

START_TEST(test_timeout)
{
	_cleanup_(rh_json_putp) struct json_object *report =
		run("jobs:\n  a:\n    steps:\n"
		    "    - {name: slow, run: 'exec sleep 600', timeout-minutes: 0.01}\n"
		    "    - {name: next, if: failure(), run: true}\n",
			NULL, 1);

	expect(report, "slow", "failure");
	expect(report, "next", "success");
	ck_assert(log_has("The action 'slow' has timed out after 0.01 minutes."));
}
END_TEST

/* What a step leaves behind lives until the job's end, and no longer. */
START_TEST(test_orphans)
{
	(void)json_object_put(
		run("jobs:\n  a:\n    steps:\n"
		    "    - {name: leave, run: 'sleep 654 >/dev/null 2>&1 & echo $! > pid'}\n"
		    "    - {name: alive, run: 'kill -0 $(cat pid); touch $RUNNER_TEMP/leftover'}\n",
			NULL, 0));

	_cleanup_(rh_freep) char *pid = rh_stage_read(&stage, "runner/_work/demo/demo/pid");

	ck_assert(log_has("Terminate orphan process: pid ("));
	ck_assert_uint_gt(strlen(pid), 1);
	pid[strcspn(pid, "\n")] = '\0';

	_cleanup_(rh_freep) char *proc = rh_fmt("/proc/%s/cwd", pid);
	_cleanup_(rh_freep) char *left = rh_fmt("%s/_work/_temp/leftover", stage.root);

	for (int i = 0; i < 100 && access(proc, F_OK) == 0; i++)
		(void)usleep(20000);
	ck_assert_int_ne(access(proc, F_OK), 0);
	ck_assert_int_ne(access(left, F_OK), 0);
}
END_TEST

/* The Listener tells the failure of a Worker that died, and the next job runs. */
START_TEST(test_killed_worker)
{
	_cleanup_(rh_json_putp) struct json_object *report =
		run("jobs:\n  a:\n    steps:\n    - {name: kill, run: 'kill -9 $PPID; sleep 0.2'}\n"
		    "  b:\n    steps:\n    - {name: next, run: 'echo second job runs'}\n",
			NULL, 1);
	struct json_object *first = json_object_array_get_idx(rh_json_get(report, "jobs"), 0);

	ck_assert_str_eq(rh_json_str(first, "conclusion", ""), "failure");
	ck_assert_int_eq(json_object_get_int(rh_json_get(first, "worker_exit")), 137);
	ck_assert(log_has("    second job runs"));
}
END_TEST

/* A Worker whose Listener was killed finishes its job, completed hook included. */
START_TEST(test_killed_listener)
{
	_cleanup_(rh_freep) char *mark = rh_fmt("%s/mark", stage.dir);
	_cleanup_(rh_freep) char *env =
		rh_fmt("ACTIONS_RUNNER_HOOK_JOB_COMPLETED=%s/completed.sh\n", stage.dir);
	_cleanup_(rh_freep) char *hook = rh_fmt("touch %s\n", mark);

	rh_stage_file(&stage, "completed.sh", hook);
	rh_stage_file(&stage, "runner/.env", env);
	(void)json_object_put(
		run("jobs:\n  a:\n    steps:\n"
		    "    - run: 'kill -9 $(grep PPid: /proc/$PPID/status | cut -f 2); sleep 0.3'\n"
		    "    - run: echo more\n",
			NULL, 1));
	for (int i = 0; i < 250 && access(mark, F_OK) != 0; i++)
		(void)usleep(20000);
	ck_assert_int_eq(access(mark, F_OK), 0);
	(void)usleep(200000); /* the Worker's own end, before its directory goes */
}
END_TEST

/* What a job leaves at the place of a file command is followed, as the runner does. */
START_TEST(test_follows_planted_links)
{
	_cleanup_(rh_freep) char *canary = rh_fmt("%s/canary", stage.dir);
	_cleanup_(rh_freep) char *text =
		rh_fmt("jobs:\n  a:\n    steps:\n"
		       "    - run: |\n        echo evil >> $GITHUB_STEP_SUMMARY\n"
		       "        ln -s %s $GITHUB_STEP_SUMMARY-scrubbed\n",
			canary);

	rh_stage_file(&stage, "canary", "untouched\n");
	(void)json_object_put(run(text, NULL, 0));

	_cleanup_(rh_freep) char *after = rh_stage_read(&stage, "canary");

	ck_assert_str_eq(after, "evil\n");
}
END_TEST

START_TEST(test_waits_as_the_real_one)
{
	rh_stage_file(&stage, "runner/.env", "RUNNERHUB_STANDIN_START_MS=480\n");

	int64_t started_ms = rh_now_ms();

	(void)json_object_put(run("jobs: {a: {steps: [{name: one, run: true}]}}\n", NULL, 0));
	ck_assert_int_ge(rh_now_ms() - started_ms, 480);
}
END_TEST

START_TEST(test_wrong_workflows)
{
	static const char *const wrong[] = {"jobs: [", "name: x\n", "jobs: {a: {}}\n",
		"jobs: {a: {needs: b, steps: []}, b: {needs: a, steps: []}}\n",
		"jobs: {a: {container: x, steps: []}}\n"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		_cleanup_(rh_json_putp) struct json_object *report = run(wrong[i], NULL, 3);

		ck_assert_ptr_null(report);
	}
}
END_TEST

static void tests(Suite *suite)
{
	TCase *run_case = tcase_create("run");

	tcase_add_checked_fixture(run_case, set_up, tear_down);
	tcase_set_timeout(run_case, 60);
	tcase_add_test(run_case, test_values_between_steps);
	tcase_add_test(run_case, test_failures);
	tcase_add_test(run_case, test_actions);
	tcase_add_test(run_case, test_failed_hook);
	tcase_add_test(run_case, test_cancel);
	tcase_add_test(run_case, test_stop);
	tcase_add_test(run_case, test_timeout);
	tcase_add_test(run_case, test_orphans);
	tcase_add_test(run_case, test_killed_worker);
	tcase_add_test(run_case, test_killed_listener);
	tcase_add_test(run_case, test_follows_planted_links);
	tcase_add_test(run_case, test_waits_as_the_real_one);
	tcase_add_test(run_case, test_wrong_workflows);
	suite_add_tcase(suite, run_case);
}

RH_TEST_MAIN("worker-run", tests);
