/* SPDX-License-Identifier: Apache-2.0 */

/*
 * librunnerhub-preload.so as it is shipped, in a Worker of many threads, in front of the real hook
 * program.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rh-test.h"
#include "support/fixture.h"

START_TEST(the_worker_is_announced_and_cleaned)
{
	char expected[600];

	host_run(&host, &(struct run_spec){.options = WORDS("env"), .argv = WORDS("x")}, &run);
	ck_assert_int_eq(run.status, 0);
	ck_assert_ptr_null(strstr(run.out, "LD_PRELOAD"));
	ck_assert_ptr_null(strstr(run.out, "RUNNER_TEMP"));
	(void)snprintf(expected, sizeof(expected), "PATH=/usr/local/bin:/usr/bin:/bin:%s/stubs\n",
		host.libexec);
	ck_assert_ptr_nonnull(strstr(run.out, expected));
	for (int i = 0; i < 100 && host_log_count(&host, "type announce") == 0; i++)
		(void)usleep(10000);
	ck_assert_int_eq(host_log_count(&host, "type announce"), 1);
}
END_TEST

START_TEST(other_preloads_stay)
{
	char preload[800];

	(void)snprintf(preload, sizeof(preload), "LD_PRELOAD=libm.so.6:%s/librunnerhub-preload.so",
		host.libexec);
	host_run(&host,
		&(struct run_spec){
			.options = WORDS("env"), .argv = WORDS("x"), .env = WORDS(preload)},
		&run);
	ck_assert_ptr_null(strstr(run.out, "librunnerhub"));
	ck_assert_ptr_nonnull(strstr(run.out, "LD_PRELOAD=libm.so.6\n"));
}
END_TEST

/* What jobs have it read is in the host's memory. */
START_TEST(the_workers_memory_is_bounded)
{
	struct run_spec worker = {.options = WORDS("env"), .argv = WORDS("x")};

	host_run(&host, &worker, &run);
	ck_assert_ptr_nonnull(strstr(run.out, "data limit 2048 MiB\n"));
	host_run(&host, &(struct run_spec){.options = WORDS("inert", "env"), .argv = WORDS("x")},
		&run);
	ck_assert_ptr_null(strstr(run.out, "data limit 2048 MiB\n"));
	/* A lower one stays. */
	worker.data_limit = 1 << 30;
	host_run(&host, &worker, &run);
	ck_assert_ptr_nonnull(strstr(run.out, "data limit 1024 MiB\n"));
}
END_TEST

START_TEST(every_other_entry_is_refused)
{
	static const char *const names[] = {"execv", "execvp", "execvpe", "execl", "execlp",
		"execle", "fexecve", "execveat", "posix_spawn", "posix_spawnp", "system", "popen"};
	char line[64];

	host_run(&host, &(struct run_spec){.options = WORDS("entries"), .argv = WORDS("x")}, &run);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(line, sizeof(line), "%s EACCES\n", names[i]);
		ck_assert_msg(strstr(run.out, line) != NULL, "%s not in %s", line, run.out);
	}
	ck_assert_int_eq(host_log_count(&host, "type step"), 0);
}
END_TEST

START_TEST(elsewhere_all_passes_through)
{
	host_run(&host,
		&(struct run_spec){.options = WORDS("inert", "entries"), .argv = WORDS("x")}, &run);
	ck_assert_msg(!strstr(run.out, "E"), "%s", run.out);
	ck_assert_ptr_nonnull(strstr(run.out, "execle worked\n"));
	ck_assert_ptr_nonnull(strstr(run.out, "popen worked\n"));
	/* In its children too, and the environment is the caller's. */
	host_run(&host,
		&(struct run_spec){.options = WORDS("inert", "step"),
			.argv = WORDS(
				"/bin/sh", "-c", "/usr/bin/env | grep -c LD_PRELOAD; exit 4")},
		&run);
	ck_assert_int_eq(run.status, 4);
	ck_assert_str_eq(run.out, "1\n");
	ck_assert_int_eq(host_log_count(&host, ""), 0);
}
END_TEST

START_TEST(many_threads_start_steps_at_once)
{
	host_run(&host,
		&(struct run_spec){
			.options = WORDS("step", "many=8,12"), .argv = WORDS("/bin/echo", "ok")},
		&run);
	ck_assert_str_eq(run.err, "");
	ck_assert_str_eq(run.out, "96 rounds, 0 failed\n");
	ck_assert_int_eq(run.status, 0);
	ck_assert_int_eq(host_log_count(&host, "exit 0"), 96);
	ck_assert_int_eq(host_log_count(&host, "leaked=0"), 96);
}
END_TEST

START_TEST(verbs_take_the_place_of_programs)
{
	char hook[400];

	(void)snprintf(hook, sizeof(hook), "%s/job-started.sh", host.libexec);
	host_run(&host,
		&(struct run_spec){
			.options = WORDS("step"), .argv = WORDS("/bin/bash", "-e", hook)},
		&run);
	ck_assert_int_eq(run.status, 0);
	ck_assert_ptr_nonnull(strstr(run.out, "container ready"));
	/* Without the marker it is an unknown program like any other. */
	host_run(&host, &(struct run_spec){.argv = WORDS("/bin/bash", "-e", hook)}, &run);
	ck_assert_int_eq(run.status, 99);
	ck_assert_int_eq(host_log_count(&host, "type job-started"), 1);
	ck_assert_int_eq(host_log_count(&host, "exit 99"), 1);

	host_run(&host, &(struct run_spec){.argv = WORDS("/x/bin/Runner.PluginHost", "a")}, &run);
	ck_assert_int_eq(run.status, 1);
	ck_assert_ptr_nonnull(strstr(run.err, "runnerhub: Runner.PluginHost was refused"));
}
END_TEST

START_TEST(a_hook_inside_the_runner_is_not_recognised)
{
	char hook[400];

	(void)snprintf(hook, sizeof(hook), "%s/hook.sh", host.root);
	host_write(&host, "runner/hook.sh", "exit 9\n", 0644);

	char variable[500];

	(void)snprintf(variable, sizeof(variable), "ACTIONS_RUNNER_HOOK_JOB_STARTED=%s", hook);
	host_run(&host,
		&(struct run_spec){.options = WORDS("step"),
			.argv = WORDS("/bin/sh", "-e", hook),
			.env = WORDS(variable)},
		&run);
	ck_assert_int_eq(host_log_count(&host, "type job-started"), 0);
	ck_assert_int_eq(run.status, 9);
}
END_TEST

START_TEST(another_argv0_still_names_the_program)
{
	host_run(&host,
		&(struct run_spec){.options = WORDS("step", "argv0=other"),
			.argv = WORDS("/bin/echo", "a", "b")},
		&run);
	ck_assert_str_eq(run.out, "a b\n");
	host_run(&host,
		&(struct run_spec){.options = WORDS("step", "argv0=other", "words=70"),
			.argv = WORDS("/bin/echo")},
		&run);
	ck_assert_int_eq(run.status, 123);
	ck_assert_str_eq(run.err, "execve: E2BIG\n");
}
END_TEST

START_TEST(a_relay_that_fails_is_permission_denied)
{
	char path[400];

	(void)snprintf(path, sizeof(path), "%s/exec", host.libexec);
	ck_assert_int_eq(unlink(path), 0);
	host_run(&host, &(struct run_spec){.options = WORDS("step"), .argv = WORDS("/bin/echo")},
		&run);
	ck_assert_int_eq(run.status, 123);
	ck_assert_str_eq(run.err, "execve: EACCES\n");
	ck_assert_str_eq(run.out, "");
}
END_TEST

/* More than fits the settings: closed, not open. */
START_TEST(unusable_settings_refuse_everything)
{
	static char path[60000];

	(void)snprintf(path, sizeof(path), "PATH=/%059900d", 0);
	host_run(&host,
		&(struct run_spec){.options = WORDS("step"),
			.argv = WORDS("/bin/echo", "x"),
			.env = WORDS(path)},
		&run);
	ck_assert_int_eq(run.status, 123);
	ck_assert_str_eq(run.err, "execve: EACCES\n");
	ck_assert_str_eq(run.out, "");
}
END_TEST

/* A path below the work directory (or, if it begins with a slash, the runner's), behind "r:", "w:"
 * or "d:". Six stay valid. */
static const char *word(const char *how, const char *path)
{
	static char words[6][500];
	static unsigned n;
	char *to = words[n++ % 6];

	(void)snprintf(to, sizeof(words[0]), "%s:%s%s%s", how, host.root,
		path[0] == '/' ? "" : "/_work/", path);
	return to;
}

/* host_write() with the directories on the way. */
static void put(const char *name, const char *text)
{
	char path[500];

	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		(void)snprintf(path, sizeof(path), "%s/%.*s", host.dir, (int)(slash - name), name);
		ck_assert(mkdir(path, 0755) == 0 || errno == EEXIST);
	}
	host_write(&host, name, text, 0644);
}

static void plant(const char *target, const char *path)
{
	ck_assert_int_eq(symlink(target, word("l", path) + 2), 0);
}

static const char *opened(const char *const *argv)
{
	host_run(&host, &(struct run_spec){.options = WORDS("opens"), .argv = argv}, &run);
	ck_assert_str_eq(run.err, "");
	return run.out;
}

START_TEST(links_out_of_the_workspace_are_not_followed)
{
	put("secret", "secret\n");
	put("runner/.credentials", "key\n");
	put("runner/_work/demo/demo/file", "mine\n");
	put("runner/_work/_temp/file", "temp\n");
	put("runner/_work/_tool/file", "tool\n");
	put("runner/_work/other/other/file", "theirs\n");
	plant("file", "demo/demo/link");
	plant(word("l", "demo/demo") + 2, "demo/demo/absolute");
	plant(word("l", "_temp") + 2, "demo/demo/temp");
	plant("../../../.credentials", "demo/demo/up");
	plant("../../other/other", "demo/demo/across");
	plant("/proc/self/root/etc/passwd", "demo/demo/magic");
	ck_assert_str_eq(
		opened(WORDS(word("r", "demo/demo/file"), word("r", "demo/demo/link"),
			word("r", "demo/demo/absolute/file"), word("r", "demo/demo/temp/file"),
			word("d", "demo/demo/absolute"))),
		"mine\nmine\nmine\ntemp\nentries 9\n");
	ck_assert_str_eq(opened(WORDS(word("r", "demo/demo/up"), word("r", "demo/demo/across/file"),
				 word("r", "demo/demo/magic"), word("d", "demo/demo/across"),
				 word("r", "demo/demo/none"))),
		"EACCES\nEACCES\nEACCES\nEACCES 0\nENOENT\n");
	/* What no job can write is none of its business. */
	ck_assert_str_eq(
		opened(WORDS(word("r", "_tool/file"), word("r", "/.credentials"))), "tool\nkey\n");
}
END_TEST

START_TEST(nothing_is_made_or_waited_for_through_links)
{
	put("runner/_work/demo/demo/file", "mine\n");
	put("runner/_work/_temp/file", "temp\n");
	plant("../../../made", "demo/demo/dangling");
	plant("../../..", "demo/demo/up");
	plant("../../made", "_temp/dangling");
	ck_assert_int_eq(mkfifo(word("l", "demo/demo/fifo") + 2, 0644), 0);
	ck_assert_str_eq(opened(WORDS(word("w", "demo/demo/new"), word("w", "demo/demo/file"))),
		"opened\nopened\n");
	ck_assert_str_eq(opened(WORDS(word("w", "demo/demo/dangling"),
				 word("w", "demo/demo/up/made"), word("w", "_temp/dangling"))),
		"ELOOP\nEACCES\nELOOP\n");
	ck_assert_int_eq(access(word("l", "/made") + 2, F_OK), -1);
	ck_assert_str_eq(opened(WORDS(word("r", "demo/demo/fifo"), word("w", "demo/demo/fifo"))),
		"EACCES\nEACCES\n");
}
END_TEST

/* The work directory is where .runner says, by whatever way it is reached. */
START_TEST(the_work_directory_is_the_settings_own)
{
	char settings[400];

	put("disk/work/demo/demo/file", "mine\n");
	put("secret", "secret\n");
	(void)snprintf(settings, sizeof(settings), "%s/disk", host.dir);
	ck_assert_int_eq(symlink(settings, word("l", "/big") + 2), 0);
	(void)snprintf(settings, sizeof(settings), "%s/disk/work/demo/demo/evil", host.dir);
	ck_assert_int_eq(symlink("../../../../secret", settings), 0);
	ck_assert_str_eq(opened(WORDS(word("r", "/big/work/demo/demo/evil"))), "secret\n");
	put("runner/.runner", "{\n \"agentId\": 1,\n \"workFolder\": \"big/work/\"\n}\n");
	ck_assert_str_eq(opened(WORDS(word("r", "/big/work/demo/demo/evil"),
				 word("r", "/big/work/demo/demo/file"))),
		"EACCES\nmine\n");
}
END_TEST

static void tests(Suite *suite)
{
	TCase *preload = tcase_create("preload");

	tcase_add_checked_fixture(preload, set_up_serving, tear_down);
	tcase_set_timeout(preload, 60);
	tcase_add_test(preload, the_worker_is_announced_and_cleaned);
	tcase_add_test(preload, other_preloads_stay);
	tcase_add_test(preload, the_workers_memory_is_bounded);
	tcase_add_test(preload, every_other_entry_is_refused);
	tcase_add_test(preload, elsewhere_all_passes_through);
	tcase_add_test(preload, many_threads_start_steps_at_once);
	tcase_add_test(preload, verbs_take_the_place_of_programs);
	tcase_add_test(preload, a_hook_inside_the_runner_is_not_recognised);
	tcase_add_test(preload, another_argv0_still_names_the_program);
	tcase_add_test(preload, a_relay_that_fails_is_permission_denied);
	tcase_add_test(preload, unusable_settings_refuse_everything);
	tcase_add_test(preload, links_out_of_the_workspace_are_not_followed);
	tcase_add_test(preload, nothing_is_made_or_waited_for_through_links);
	tcase_add_test(preload, the_work_directory_is_the_settings_own);
	suite_add_tcase(suite, preload);
}

RH_TEST_MAIN("preload/preload", tests);
