/* SPDX-License-Identifier: Apache-2.0 */

/*
 * hook/main.c and the small verbs: untar, refuse, stubs, and the program under its own name.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rh-test.h"
#include "support/fixture.h"

/* An action's archive where the Worker would have it, and its _staging. */
static void make_archive(char *ret_archive, char *ret_staging, size_t size)
{
	char command[2048];

	(void)snprintf(ret_archive, size, "%s/_work/_actions/_temp_12/34.tar.gz", host.root);
	(void)snprintf(ret_staging, size, "%s/_work/_actions/_temp_12/_staging", host.root);
	(void)snprintf(command, sizeof(command),
		"set -e; mkdir -p '%s' '%s/t'; echo name: x > '%s/t/action.yml'; "
		"tar -C '%s' -czf '%s' t",
		ret_staging, host.dir, host.dir, host.dir, ret_archive);
	/* NOLINTNEXTLINE(cert-env33-c): all words are the test's own */
	ck_assert_int_eq(system(command), 0);
}

static bool unpacked(const char *staging)
{
	char path[800];

	(void)snprintf(path, sizeof(path), "%s/t/action.yml", staging);
	return access(path, F_OK) == 0;
}

START_TEST(archives_are_unpacked)
{
	char archive[600], staging[600], cwd[700];

	make_archive(archive, staging, sizeof(archive));
	(void)snprintf(cwd, sizeof(cwd), "cwd=%s", staging);
	/* What a job could have put into the environment does nothing. */
	host_run(&host,
		&(struct run_spec){.options = WORDS(cwd, "set=TAR_OPTIONS=--no-such-option",
					   "set=GZIP=--no-such-option"),
			.argv = WORDS("/usr/bin/tar", "-xzf", archive)},
		&run);
	ck_assert_str_eq(run.err, "");
	ck_assert_int_eq(run.status, 0);
	ck_assert(unpacked(staging));
	ck_assert_int_eq(host_log_count(&host, "type step"), 0);
}
END_TEST

START_TEST(no_other_archive_is_unpacked)
{
	char archive[600], staging[600], cwd[700], verb[400];

	make_archive(archive, staging, sizeof(archive));
	(void)snprintf(verb, sizeof(verb), "%s/untar", host.libexec);
	(void)snprintf(cwd, sizeof(cwd), "cwd=%s", staging);

	const char *const *const rows[] = {
		WORDS("cwd=/tmp", verb, "-xzf", archive),
		WORDS(cwd, verb, "-xzf", "/tmp/no.tar.gz"),
		WORDS(cwd, verb, "-xf", archive),
		WORDS(cwd, verb, "-xzf", archive, "more"),
		WORDS(cwd, verb, "-xzf"),
		WORDS(cwd, verb),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		host_run(&host,
			&(struct run_spec){
				.options = WORDS("inert", rows[i][0]), .argv = rows[i] + 1},
			&run);
		ck_assert_int_eq(run.status, 1);
		ck_assert_ptr_nonnull(strstr(run.err, "runnerhub: only an action's archive"));
	}
	ck_assert(!unpacked(staging));
}
END_TEST

static void verb(const char *name, const char *argv0, const char *word)
{
	char path[400], option[200];

	(void)snprintf(path, sizeof(path), "%s/%s", host.libexec, name);
	(void)snprintf(option, sizeof(option), "argv0=%s", argv0);
	host_run(&host,
		&(struct run_spec){.options = WORDS("inert", option), .argv = WORDS(path, word)},
		&run);
}

START_TEST(refusals_name_what_was_refused)
{
	verb("refuse", "/usr/bin/docker", "run");
	ck_assert_int_eq(run.status, 1);
	ck_assert_ptr_nonnull(strstr(run.err, "runnerhub: docker run was refused"));
	verb("refuse", "/r/bin/Runner.PluginHost", "action");
	ck_assert_ptr_nonnull(strstr(run.err, "runnerhub: Runner.PluginHost was refused"));
	verb("refuse", "/x/some thing", NULL);
	ck_assert_str_eq(
		run.err, "runnerhub: some thing was refused, because it would run on the host\n");
	/* What could write over the log's lines is not shown. */
	verb("refuse", "/x/\x1b[2J", NULL);
	ck_assert_ptr_nonnull(strstr(run.err, "runnerhub: a program was refused"));
	verb("refuse", "/usr/bin/docker", "a\nb");
	ck_assert_ptr_nonnull(strstr(run.err, "runnerhub: docker a program was refused"));
}
END_TEST

START_TEST(stubs_do_not_run)
{
	verb("stubs/pwsh", "pwsh", "-c");
	ck_assert_int_eq(run.status, 126);
	ck_assert_ptr_nonnull(strstr(run.err, "runnerhub: "));
}
END_TEST

START_TEST(a_stub_is_relayed_by_its_path)
{
	char path[400], line[600];

	(void)snprintf(path, sizeof(path), "%s/stubs/pwsh", host.libexec);
	(void)snprintf(line, sizeof(line), "block path=%s cwd=", path);
	fake_broker_start(&broker, &host, FAKE_REFUSE);
	host_run(&host, &(struct run_spec){.options = WORDS("step"), .argv = WORDS(path)}, &run);
	ck_assert_int_eq(run.status, 1);
	ck_assert_int_eq(host_log_count(&host, line), 1);
}
END_TEST

START_TEST(the_host_without_docker_finds_the_stub)
{
	char path[400], search[32];

	(void)snprintf(path, sizeof(path), "%s/stubs/docker", host.libexec);
	ck_assert_int_eq(symlink(RH_TEST_HOOK, path), 0);
	(void)snprintf(search, sizeof(search), "PATH=/nowhere:");
	host_run(&host, &(struct run_spec){.argv = WORDS(path, "version"), .env = WORDS(search)},
		&run);
	ck_assert_int_eq(run.status, 1);
	ck_assert_ptr_nonnull(strstr(run.err, "runnerhub: docker version was refused"));
}
END_TEST

START_TEST(its_own_name_takes_a_verb)
{
	verb("runnerhub-hook", "x", "--version");
	ck_assert_int_eq(run.status, 0);
	ck_assert_int_eq(strncmp(run.out, "runnerhub-hook ", 15), 0);
	verb("runnerhub-hook", "x", "--help");
	ck_assert_int_eq(run.status, 0);
	ck_assert_ptr_nonnull(strstr(run.out, "usage: "));
	verb("runnerhub-hook", "x", NULL);
	ck_assert_int_eq(run.status, 2);
	verb("runnerhub-hook", "x", "nothing");
	ck_assert_int_eq(run.status, 2);
	verb("runnerhub-hook", "x", "refuse");
	ck_assert_int_eq(run.status, 1);
	ck_assert_ptr_nonnull(strstr(run.err, "runnerhub: a program was refused"));
	host_set_waits(&host, 0, 0);
	verb("runnerhub-hook", "x", "exec");
	ck_assert_int_eq(run.status, 1);
	ck_assert_str_eq(run.err, "runnerhub: no program was given to run\n");
	verb("runnerhub-hook", "x", "job-started");
	ck_assert_int_eq(run.status, 1);
}
END_TEST

static void tests(Suite *suite)
{
	TCase *verbs = tcase_create("verbs");

	tcase_add_checked_fixture(verbs, set_up, tear_down);
	tcase_set_timeout(verbs, 60);
	tcase_add_test(verbs, archives_are_unpacked);
	tcase_add_test(verbs, no_other_archive_is_unpacked);
	tcase_add_test(verbs, refusals_name_what_was_refused);
	tcase_add_test(verbs, stubs_do_not_run);
	tcase_add_test(verbs, a_stub_is_relayed_by_its_path);
	tcase_add_test(verbs, the_host_without_docker_finds_the_stub);
	tcase_add_test(verbs, its_own_name_takes_a_verb);
	suite_add_tcase(suite, verbs);
}

RH_TEST_MAIN("hook/main", tests);
