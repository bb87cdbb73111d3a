/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Checks of a runner's wiring, of a runner made of a few files.
 */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "../capture.h"
#include "broker/cli/doctor/doctor.h"
#include "rh-test.h"
#include "run.h"

#define UID 60009

static struct rh_doctor doctor;
static struct rh_doctor_runner runner;
static char name[] = "r1";
static char root[PATH_MAX], work[PATH_MAX], libexec[PATH_MAX], env[8192];

/* An @ in @text stands for libexec. */
static void set_env(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += (size_t)snprintf(env + n, sizeof(env) - n, "%.*s", *text == '@' ? 4096 : 1,
			*text == '@' ? libexec : text);
	runner.env = env;
}

static void setup(void)
{
	ck_assert_msg(geteuid() == 0, "these tests need root");
	(void)snprintf(root, sizeof(root), "%s", test_path("runner"));
	(void)snprintf(work, sizeof(work), "%s", test_path("runner/_work"));
	(void)snprintf(libexec, sizeof(libexec), "%s", test_path("libexec"));
	test_file("libexec/job-started.sh", "");
	test_file("libexec/job-completed.sh", "");
	test_file("runner/_work/x", "");
	ck_assert_int_eq(chmod(test_dir(), 0755), 0);
	ck_assert_int_eq(chown(root, UID, UID), 0);
	ck_assert_int_eq(chown(work, UID, UID), 0);
	doctor = (struct rh_doctor){.host = test_dir(), .libexec_dir = libexec};
	runner = (struct rh_doctor_runner){.name = name,
		.root = root,
		.work = work,
		.uid = UID,
		.gid = UID,
		.registered = true};
	set_env("");
}

static void check(const char *id, enum rh_health health, const char *message)
{
	expect(rh_checks_runner, id, health, message, &doctor, &runner);
}

START_TEST(registration_and_work_directory)
{
	check("runner.registration", RH_HEALTH_OK, "as r1, uid 60009");
	test_file("runner/.runner", "\xef\xbb\xbf{\"agentName\":\"x\",\"workFolder\":\"_work\"}");
	check("runner.registration", RH_HEALTH_OK, "");
	test_file("other/x", "");
	test_file("runner/.runner", "{\"workFolder\":\"../other\"}");
	check("runner.registration", RH_HEALTH_FAILURE, "/other");
	runner.registered = false;
	check("runner.registration", RH_HEALTH_FAILURE, "not registered");

	check("runner.work", RH_HEALTH_OK, work);
	ck_assert_int_eq(chmod(work, 0777), 0);
	check("runner.work", RH_HEALTH_WARNING, "everybody");
	ck_assert_int_eq(chown(work, 0, 0), 0);
	check("runner.work", RH_HEALTH_FAILURE, "belongs to uid 0");
	runner.work = (char[]){"/nowhere"};
	check("runner.work", RH_HEALTH_FAILURE, "No such file");
	check("runner.user", RH_HEALTH_OK, "60009");
	runner.uid = 0;
	check("runner.user", RH_HEALTH_WARNING, "root");
}
END_TEST

START_TEST(preload)
{
	check("runner.preload", RH_HEALTH_FAILURE, "does not have");
	set_env("LD_PRELOAD=@/librunnerhub-preload.so\n");
	check("runner.preload", RH_HEALTH_OK, libexec);
	set_env("LD_PRELOAD=/a.so:@/librunnerhub-preload.so b.so\n");
	check("runner.preload", RH_HEALTH_OK, "beside others");
	set_env("LD_PRELOAD=/opt/librunnerhub-preload.so\n");
	check("runner.preload", RH_HEALTH_FAILURE, "has /opt/librunnerhub-preload.so, not");
	set_env("LD_PRELOAD=librunnerhub-preload.so\n");
	check("runner.preload", RH_HEALTH_FAILURE, "does not have");
	set_env("LD_PRELOAD=@/librunnerhub-preload.so\nLD_PRELOAD=\n");
	check("runner.preload", RH_HEALTH_FAILURE, "does not have");
	runner.env = NULL;
	runner.env_error = -ELOOP;
	check("runner.preload", RH_HEALTH_FAILURE, "not a regular file");
	runner.env_error = -EACCES;
	check("runner.preload", RH_HEALTH_SKIPPED, ".env");
}
END_TEST

START_TEST(hooks)
{
	check("runner.started", RH_HEALTH_FAILURE, "ACTIONS_RUNNER_HOOK_JOB_STARTED is not in");
	set_env("ACTIONS_RUNNER_HOOK_JOB_STARTED=@/job-started.sh\n"
		"ACTIONS_RUNNER_HOOK_JOB_COMPLETED=/my/hook.sh\n");
	check("runner.started", RH_HEALTH_OK, libexec);
	check("runner.completed", RH_HEALTH_FAILURE, "is /my/hook.sh, not");
	ck_assert_int_eq(chown(libexec, UID, UID), 0);
	check("runner.started", RH_HEALTH_FAILURE, "others than root can change");
	ck_assert_int_eq(chown(libexec, 0, 0), 0);
	ck_assert_int_eq(unlink(test_path("libexec/job-started.sh")), 0);
	check("runner.started", RH_HEALTH_FAILURE, "No such file");
}
END_TEST

START_TEST(own_hooks)
{
	struct rh_runner registered = {.name = name};
	struct rh_config config = {.runners = &registered, .n_runners = 1};
	char hook[PATH_MAX];

	check("runner.hooks", RH_HEALTH_OK, "none");
	doctor.config = &config;
	test_file("hook.sh", "");
	registered.started_hook = hook;
	(void)snprintf(hook, sizeof(hook), "%s", test_path("hook.sh"));
	check("runner.hooks", RH_HEALTH_OK, "one");
	(void)snprintf(hook, sizeof(hook), "%.200s/x", work);
	check("runner.hooks", RH_HEALTH_FAILURE, "work directory");
	(void)snprintf(hook, sizeof(hook), "/nowhere.sh");
	check("runner.hooks", RH_HEALTH_FAILURE, "No such file");
}
END_TEST

START_TEST(settings)
{
	static const char *const refused[] = {"ACTIONS_RUNNER_REQUIRE_JOB_CONTAINER",
		"ACTIONS_RUNNER_SYMLINK_CACHED_ACTIONS", "GITHUB_ACTIONS_RUNNER_TRACE",
		"ACTIONS_RUNNER_CONTAINER_HOOKS"};

	check("runner.settings", RH_HEALTH_OK, "");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		char text[128];

		(void)snprintf(text, sizeof(text), "A=b\n%s=1\n", refused[i]);
		set_env(text);
		check("runner.settings", RH_HEALTH_FAILURE, refused[i]);
	}
}
END_TEST

/* A running program of the runner, as /proc shows it. */
static void run_program(const char *pid, const char *program, long long start_ticks)
{
	char path[PATH_MAX], text[256], target[PATH_MAX];

	(void)snprintf(text, sizeof(text),
		"%s (Runner) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 9 0 %lld 1 1 1\n", pid,
		start_ticks);
	(void)snprintf(path, sizeof(path), "proc/%s/stat", pid);
	test_file(path, text);
	(void)snprintf(path, sizeof(path), "proc/%s/exe", pid);
	(void)snprintf(target, sizeof(target), "%.200s/bin.2.336.0/%s", root, program);
	(void)unlink(test_path(path));
	ck_assert_int_eq(symlink(target, test_path(path)), 0);
}

static void touch(const char *path, time_t s)
{
	const struct timespec times[2] = {{.tv_sec = s}, {.tv_sec = s}};

	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

START_TEST(a_running_runner)
{
	check("runner.running", RH_HEALTH_OK, "no;");
	test_file("runner/.env", "");
	touch(test_path("runner/.env"), 1000);
	run_program("17", "Runner.Listener", 1000);
	run_program("18", "Runner.ListenerX", 1000);
	check("runner.running", RH_HEALTH_OK, "Listener, pid 17,");
	touch(test_path("runner/.env"), time(NULL) + 1000);
	check("runner.running", RH_HEALTH_FAILURE, "pid 17) was started before");
	touch(test_path("runner/.env"), 1000);
	run_program("19", "Runner.Worker", 2000);
	test_file("proc/19/maps", "0-1 r--p 0 0:0 0 /usr/lib/libc.so.6\n");
	check("runner.running", RH_HEALTH_FAILURE, "(pid 19) without the preload library");
	test_file("proc/19/maps", "0-1 r--p 0 0:0 0 /opt/librunnerhub-preload.so\n");
	check("runner.running", RH_HEALTH_OK, "");

	int fd = open(test_path("proc/17/environ"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_eq(write(fd, "A=1\0GITHUB_ACTIONS_RUNNER_TRACE=1", 34), 34);
	(void)close(fd);
	check("runner.settings", RH_HEALTH_FAILURE, "the running Listener (pid 17)");
}
END_TEST

START_TEST(tar)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "/nowhere:%s:%s\n", test_path("a"), test_path("b"));
	test_file("runner/.path", path);
	check("runner.tar", RH_HEALTH_FAILURE, "none");
	test_file("b/tar", "..GNU tar..");
	check("runner.tar", RH_HEALTH_OK, "/b/tar");
	test_file("busybox", "..BusyBox v1..");
	test_file("a/x", "");
	ck_assert_int_eq(symlink(test_path("busybox"), test_path("a/tar")), 0);
	check("runner.tar", RH_HEALTH_FAILURE, "busybox is not GNU tar but busybox");
}
END_TEST

START_TEST(programs)
{
	char target[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", target, sizeof(target) - 1);

	ck_assert_int_gt(n, 0);
	target[n] = '\0';
	check("runner.program", RH_HEALTH_FAILURE, "Runner.Worker: No such file");
	test_file("runner/bin/x", "");
	ck_assert_int_eq(symlink(target, test_path("runner/bin/Runner.Worker")), 0);
	check("runner.program", RH_HEALTH_FAILURE, "librunnerhub-preload.so: No such file");
	ck_assert_int_eq(symlink(target, test_path("libexec/librunnerhub-preload.so")), 0);
	check("runner.program", RH_HEALTH_OK, "fits");
	ck_assert_int_eq(unlink(test_path("libexec/librunnerhub-preload.so")), 0);
	test_file("libexec/librunnerhub-preload.so",
		"\x7f"
		"ELF\x01\x01\x01 for a machine that this one is not, with a header long enough");
	check("runner.program", RH_HEALTH_FAILURE, "another machine");
}
END_TEST

void tests_of_runner(Suite *suite);
void tests_of_runner(Suite *suite)
{
	TCase *wiring = tcase_create("runner");

	tcase_add_checked_fixture(wiring, setup, NULL);
	tcase_add_test(wiring, registration_and_work_directory);
	tcase_add_test(wiring, preload);
	tcase_add_test(wiring, hooks);
	tcase_add_test(wiring, own_hooks);
	tcase_add_test(wiring, settings);
	tcase_add_test(wiring, a_running_runner);
	tcase_add_test(wiring, tar);
	tcase_add_test(wiring, programs);
	suite_add_tcase(suite, wiring);
}
