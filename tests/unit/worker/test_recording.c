/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stand-in against the recording of the real Worker: the same job, the same processes in the
 * same order, each with the same argv, directory, added variables, descriptors, signals and umask.
 */

#include <ctype.h>
#include <string.h>

#include "common/files.h"
#include "rh-test.h"
#include "stage.h"

static const char workflow[] = "name: recorded\n"
			       "env: {FROM_WORKFLOW: w}\n"
			       "files:\n"
			       "  act/action.yml: 'runs: {using: node20, main: m.js, post: p.js}'\n"
			       "  act/m.js: ''\n"
			       "  act/p.js: ''\n"
			       "  comp/action.yml: |\n"
			       "    runs:\n"
			       "      using: composite\n"
			       "      steps: [{run: true, shell: bash}]\n"
			       "jobs:\n"
			       "  job:\n"
			       "    env: {FROM_JOB: j}\n"
			       "    steps:\n"
			       "    - {run: true, env: {FROM_STEP: s}}\n"
			       "    - {run: true, shell: bash}\n"
			       "    - {run: true, shell: sh}\n"
			       "    - {run: pass, shell: 'python3 {0}'}\n"
			       "    - {run: true, shell: 'bash -x {0} more words'}\n"
			       "    - {run: true, shell: \"bash -e HOOKS/job-started.sh\\0{0}\"}\n"
			       "    - {run: true, working-directory: act}\n"
			       "    - {uses: ./act}\n"
			       "    - {uses: ./comp}\n"
			       "    - {uses: octo-tools/greet@v1}\n"
			       "    - run: |\n"
			       "        echo A=b >> $GITHUB_ENV\n"
			       "        echo /opt/extra >> $GITHUB_PATH\n"
			       "    - {run: true}\n"
			       "    - {name: hash, run: \"echo ${{ hashFiles('**/lock') }}\"}\n";

static const char action_yml[] = "inputs: {who: {default: you}}\n"
				 "runs: {using: node24, main: dist/index.js}\n";

/* A GUID becomes <guid>, directories of the test become what the recording calls them. */
static char *normal(const struct rh_stage_dir *stage, const char *text)
{
	_cleanup_(rh_freep) char *hooks = rh_fmt("%s/hooks", stage->dir);
	struct rh_text out = {0};

	rh_text_puts(&out, "");
	while (*text) {
		size_t n = strspn(text, "0123456789abcdef-");

		if (rh_starts_with(text, stage->root)) {
			rh_text_puts(&out, "<root>");
			text += strlen(stage->root);
		} else if (rh_starts_with(text, hooks)) {
			rh_text_puts(&out, "<hooks>");
			text += strlen(hooks);
		} else if (n == 36) {
			rh_text_puts(&out, "<guid>");
			text += n;
		} else {
			rh_text_add(&out, text, n ? n : 1);
			text += n ? n : 1;
		}
	}
	return rh_text_take(&out);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(json_object_get_string(*(struct json_object *const *)a),
		json_object_get_string(*(struct json_object *const *)b));
}

/* Members of a list, one a line; the order of variables does not count. */
static char *joined(const struct rh_stage_dir *stage, struct json_object *list, bool sorted)
{
	struct rh_text out = {0};

	rh_text_puts(&out, "");
	if (sorted)
		json_object_array_sort(list, by_name);
	for (size_t i = 0; i < rh_json_len(list); i++) {
		_cleanup_(rh_freep) char *word =
			normal(stage, json_object_get_string(json_object_array_get_idx(list, i)));

		rh_text_printf(&out, "%s\n", word);
	}
	return rh_text_take(&out);
}

static void compare_row(const struct rh_stage_dir *stage, struct json_object *all,
	struct json_object *want, struct json_object *got)
{
	_cleanup_(rh_freep) char *want_argv = joined(stage, rh_json_get(want, "argv"), false);
	_cleanup_(rh_freep) char *got_argv = joined(stage, rh_json_get(got, "argv"), false);
	_cleanup_(rh_freep) char *got_cwd = normal(stage, rh_json_str(got, "cwd", ""));

	ck_assert_str_eq(got_argv, want_argv);
	ck_assert_str_eq(got_cwd, rh_json_str(want, "cwd", ""));
	ck_assert_int_eq(json_object_get_boolean(rh_json_get(got, "marker")),
		json_object_get_boolean(rh_json_get(want, "marker")));
	if (rh_json_has(want, "env_added")) {
		_cleanup_(rh_freep) char *want_env =
			joined(stage, rh_json_get(want, "env_added"), true);
		_cleanup_(rh_freep) char *got_env =
			joined(stage, rh_json_get(got, "env_added"), true);

		ck_assert_msg(strcmp(got_env, want_env) == 0, "%s\nhas\n%sand not\n%s", want_argv,
			got_env, want_env);
	}
	if (rh_json_has(want, "path"))
		ck_assert_str_eq(rh_json_str(got, "path", ""), rh_json_str(want, "path", ""));
	ck_assert_int_eq(json_object_get_int(rh_json_get(got, "n_fds")),
		(int)rh_json_len(rh_json_get(all, "inherited_fds_above_2")));
	ck_assert_int_eq(json_object_get_int(rh_json_get(got, "n_pipes")),
		json_object_get_int(rh_json_get(got, "n_fds")));
	ck_assert_int_eq(json_object_get_int(rh_json_get(got, "n_stream_pipes")), 3);
	ck_assert(json_object_get_boolean(rh_json_get(got, "stdin_ends")));
	ck_assert(!json_object_get_boolean(rh_json_get(got, "own_process_group")));
	ck_assert_str_eq(rh_json_str(got, "SigIgn", ""), rh_json_str(all, "SigIgn", "?"));
	ck_assert_str_eq(rh_json_str(got, "SigBlk", ""), rh_json_str(all, "SigBlk", "?"));
	ck_assert_str_eq(rh_json_str(got, "Umask", ""), rh_json_str(all, "umask", "?"));
}

/* One JSON value a line. */
static struct json_object *load_lines(const char *text)
{
	struct json_object *list = rh_must(json_object_new_array());
	_cleanup_(rh_freep) char *copy = rh_dup(text);
	char *rest = copy;

	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
		if (*line)
			(void)json_object_array_add(list, rh_json_parse(line));
	return list;
}

static void set_stage(struct rh_stage_dir *stage)
{
	_cleanup_(rh_text_deinit) struct rh_text text = {0};
	const char *at = workflow, *hole = NULL;

	rh_stage_init(stage);
	while ((hole = strstr(at, "HOOKS"))) {
		rh_text_add(&text, at, (size_t)(hole - at));
		rh_text_printf(&text, "%s/hooks", stage->dir);
		at = hole + strlen("HOOKS");
	}
	rh_text_puts(&text, at);
	rh_stage_file(stage, "workflow.yml", text.data);
	rh_stage_file(stage, "hooks/job-started.sh", "true\n");
	rh_stage_file(stage, "hooks/job-completed.sh", "true\n");
	rh_stage_file(stage, "actions/octo-tools/greet/v1/action.yml", action_yml);
	rh_stage_file(stage, "actions/octo-tools/greet/v1/dist/index.js", "");

	_cleanup_(rh_freep) char *env =
		rh_fmt("LD_PRELOAD=" RH_TEST_RECORD "\nRH_RECORD=%s/execs\n"
		       "ACTIONS_RUNNER_HOOK_JOB_STARTED=%s/hooks/job-started.sh\n"
		       "ACTIONS_RUNNER_HOOK_JOB_COMPLETED=%s/hooks/job-completed.sh\n",
			stage->dir, stage->dir, stage->dir);

	rh_stage_file(stage, "runner/.env", env);
}

START_TEST(test_same_as_recorded)
{
	struct rh_stage_dir stage;
	_cleanup_(rh_text_deinit) struct rh_text recording = {0};
	_cleanup_(rh_json_putp) struct json_object *report = NULL;

	set_stage(&stage);

	_cleanup_(rh_freep) char *actions = rh_fmt("%s/actions", stage.dir);
	const char *const options[] = {"--actions", actions, NULL};

	ck_assert_int_eq(rh_stage_run(&stage, options, &report), 0);
	ck_assert_int_eq(rh_file_read(RH_TEST_RECORDING, &recording), 0);

	_cleanup_(rh_freep) char *made = rh_stage_read(&stage, "execs");
	_cleanup_(rh_json_putp) struct json_object *want = load_lines(recording.data);
	_cleanup_(rh_json_putp) struct json_object *got = load_lines(made);
	struct json_object *all = rh_json_get(json_object_array_get_idx(want, 0), "all_processes");
	size_t n = 0;

	ck_assert_ptr_nonnull(all);
	for (size_t i = 1; i < rh_json_len(want); i++) {
		struct json_object *row = json_object_array_get_idx(want, i);

		if (rh_json_has(row, "job"))
			break;
		ck_assert_uint_lt(n, rh_json_len(got));
		compare_row(&stage, all, row, json_object_array_get_idx(got, n++));
	}
	ck_assert_uint_eq(n, rh_json_len(got));
	rh_stage_deinit(&stage);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *recording = tcase_create("recording");

	tcase_set_timeout(recording, 60);
	tcase_add_test(recording, test_same_as_recorded);
	suite_add_tcase(suite, recording);
}

RH_TEST_MAIN("worker-recording", tests);
