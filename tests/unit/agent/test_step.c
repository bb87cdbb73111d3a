/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/agent: what a step is given, and what it may leave, driven through the agent's sockets.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rh-test.h"
#include "rig.h"
#include "runnerhub/cleanup.h"

static struct rig rig;
static struct rig_result result;

static void start(void)
{
	rig_start(&rig);
}

static void stop(void)
{
	rig_stop(&rig);
}

START_TEST(status_and_streams_arrive)
{
	rig_run_sh(&rig, "echo out; echo err >&2; exit 37", &result);
	ck_assert_int_eq(result.exit_code, 37);
	ck_assert_str_eq(result.out, "out\n");
	ck_assert_str_eq(result.err, "err\n");
	ck_assert_int_eq(result.report.exit_code, 37);
	ck_assert_int_eq(result.report.signal, 0);
	ck_assert_uint_eq(result.report.flags, 0);
	ck_assert_uint_gt(result.report.wall_us, 0);
	ck_assert_int_gt(result.report.ended_wall_ms, 0);
	ck_assert_str_eq(result.text, "");
}
END_TEST

START_TEST(death_by_signal_is_128_and_more)
{
	rig_run_sh(&rig, "kill -9 $$", &result);
	ck_assert_int_eq(result.exit_code, 128 + SIGKILL);
	ck_assert_int_eq(result.report.signal, SIGKILL);
	rig_run_sh(&rig, "exit 255", &result);
	ck_assert_int_eq(result.exit_code, 255);
	ck_assert_int_eq(result.report.signal, 0);
}
END_TEST

START_TEST(stdin_is_a_pipe_with_an_end)
{
	char *argv[4];
	struct rh_block_spec spec = rig_sh(argv, "cat; echo end");
	struct rig_step step = rig_go(&rig, &spec, true);

	ck_assert_int_eq(write(step.in, "in\n", 3), 3);
	rh_close(step.in);
	step.in = -1;
	rig_finish(&rig, &step, &result);
	ck_assert_int_eq(result.exit_code, 0);
	ck_assert_str_eq(result.out, "in\nend\n");
}
END_TEST

START_TEST(streams_can_be_opened_again)
{
	rig_run_sh(&rig,
		"echo a >/dev/stdout && echo b >/proc/self/fd/1 && echo c | tee /dev/stderr && "
		"cat /dev/stdin",
		&result);
	ck_assert_int_eq(result.exit_code, 0);
	ck_assert_str_eq(result.out, "a\nb\nc\n");
	ck_assert_str_eq(result.err, "c\n");
}
END_TEST

START_TEST(nothing_but_three_descriptors_is_inherited)
{
	rig_run_sh(&rig, "cd /proc/$$/fd && echo *", &result);
	/* The fourth is the shell's own, on the directory that it lists. */
	ck_assert_str_eq(result.out, "0 1 2 3\n");
}
END_TEST

START_TEST(the_process_is_as_the_block_says)
{
	char *argv[4];
	struct rh_block_spec spec = rig_sh(argv,
		"umask; ulimit -s; pwd; cat /proc/self/oom_score_adj; "
		"grep -E 'SigBlk|SigIgn' /proc/self/status");

	spec.umask = 027;
	spec.cwd = "/tmp";
	spec.oom_score_adj = 321;
	spec.stack_soft = UINT64_C(4096) * 1024;
	spec.sig_ignored = UINT64_C(1) << (SIGPIPE - 1) | UINT64_C(1) << (SIGUSR1 - 1);
	rig_run(&rig, &spec, &result);
	ck_assert_str_eq(result.out,
		"0027\n4096\n/tmp\n321\n"
		"SigBlk:\t0000000000000000\nSigIgn:\t0000000000001200\n");
}
END_TEST

START_TEST(the_oom_score_is_above_the_agents)
{
	static const struct {
		int32_t wanted;
		int at_least, at_most;
	} rows[] = {{-1000, 1, 999}, {0, 1, 999}, {100000, 1000, 1000}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *argv[4];
		struct rh_block_spec spec = rig_sh(argv, "cat /proc/self/oom_score_adj");

		spec.oom_score_adj = rows[i].wanted;
		rig_run(&rig, &spec, &result);
		ck_assert_int_ge(strtol(result.out, NULL, 10), rows[i].at_least);
		ck_assert_int_le(strtol(result.out, NULL, 10), rows[i].at_most);
	}
}
END_TEST

/* What it sends to its group reaches neither the agent nor another step. */
START_TEST(each_step_leads_a_group)
{
	rig_run_sh(&rig, "set -- $(cat /proc/$$/stat); echo $(($1 - $5)); kill -KILL 0", &result);
	ck_assert_str_eq(result.out, "0\n");
	ck_assert_int_eq(result.report.signal, SIGKILL);
	rig_run_sh(&rig, "echo next", &result);
	ck_assert_str_eq(result.out, "next\n");
}
END_TEST

static void run_program(char *path, const char *cwd)
{
	char *argv[4];
	struct rh_block_spec spec = rig_sh(argv, "true");

	spec.path = path;
	spec.cwd = cwd;
	rig_run(&rig, &spec, &result);
	ck_assert_str_eq(result.out, "");
	ck_assert_str_eq(result.err, "");
	ck_assert_int_eq(result.report.exit_code, result.exit_code);
}

START_TEST(what_cannot_be_executed_is_told_as_by_a_shell)
{
	char path[64];
	int fd = -1;

	run_program("/usr/bin/no-such-program", "/");
	ck_assert_int_eq(result.exit_code, 127);
	ck_assert_str_eq(result.text, "no-such-program: command not found\n");

	run_program("./no-such-program", "/");
	ck_assert_int_eq(result.exit_code, 127);
	ck_assert_str_eq(result.text, "./no-such-program: No such file or directory\n");

	run_program("/etc/passwd", "/");
	ck_assert_int_eq(result.exit_code, 126);
	ck_assert_str_eq(result.text, "/etc/passwd: Permission denied\n");

	run_program("/bin/sh", "/no/such/place");
	ck_assert_int_eq(result.exit_code, 1);
	ck_assert_str_eq(result.text, "cd: /no/such/place: No such file or directory\n");

	(void)snprintf(path, sizeof(path), "%s/nonsense", rig.dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	ck_assert_int_eq(write(fd, "nonsense\n", 9), 9);
	(void)close(fd);
	run_program(path, "/");
	ck_assert_int_eq(result.exit_code, 126);
	ck_assert_ptr_nonnull(strstr(result.text, "cannot execute: Exec format error\n"));

	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	ck_assert_int_eq(write(fd, "#!/no/such/shell\n", 17), 17);
	(void)close(fd);
	run_program(path, "/");
	ck_assert_int_eq(result.exit_code, 127);
	ck_assert_ptr_nonnull(strstr(result.text, "required file not found\n"));

	run_program("/no/\x1b[31m\xff", "/");
	ck_assert_int_eq(result.exit_code, 127);
	ck_assert_str_eq(result.text, "?[31m?: command not found\n");
}
END_TEST

START_TEST(a_program_of_the_host_is_found_by_its_base_name)
{
	char *argv[] = {"/somewhere/else/sh", "-c", "echo $0 $PATH", NULL};
	char *envp[] = {"PATH=/job/bin", NULL};
	struct rh_block_spec spec = rig_sh(argv, "echo found; echo $PATH");

	argv[0] = "/somewhere/else/sh";
	spec.path = argv[0];
	spec.envp = envp;
	spec.flags = RH_BLOCK_PATH_PREFIX;
	rig_run(&rig, &spec, &result);
	ck_assert_int_eq(result.exit_code, 0);
	ck_assert_ptr_eq(strstr(result.out, "found\n/job/bin:"), result.out);
}
END_TEST

/* One step with so many bytes of environment, in strings that a kernel takes. */
static void run_with_env(size_t size)
{
	static char text[8u * 1024 * 1024];
	static char *envp[128];
	char *argv[4];
	struct rh_block_spec spec = rig_sh(argv, NULL);
	size_t n = 0;

	memset(text, 'x', sizeof(text));
	for (size_t at = 0; at + 100000 <= size; at += 100000) {
		memcpy(text + at, "V=", 2);
		text[at + 99999] = '\0';
		envp[n++] = text + at;
	}
	envp[n] = NULL;
	argv[0] = "true";
	argv[1] = NULL;
	spec.path = "/bin/true";
	spec.envp = envp;
	spec.stack_soft =
		UINT64_C(64) * 1024 * 1024; /* three quarters of _STK_LIM count then: 6 MiB */
	rig_run(&rig, &spec, &result);
}

START_TEST(arguments_up_to_the_kernels_limit)
{
	run_with_env(6000000);
	ck_assert_int_eq(result.exit_code, 0);
	run_with_env(6300000);
	ck_assert_int_eq(result.exit_code, 126);
	ck_assert_ptr_nonnull(strstr(result.text, "/bin/true: Argument list too long"));
}
END_TEST

START_TEST(a_background_process_lives_on_and_holds_nobody_up)
{
	char *argv[4];
	struct rh_block_spec spec = rig_sh(argv, "sleep 100 & echo $!");
	struct rig_step step = rig_go(&rig, &spec, false);
	struct rh_wire_msg msg;
	char text[32] = "";

	rig_expect(step.channel, RH_WIRE_EXIT, &msg);
	ck_assert_int_gt(read(step.out, text, sizeof(text) - 1), 0);

	pid_t pid = (pid_t)strtol(text, NULL, 10);

	ck_assert_int_gt(pid, 0);
	rig_expect(rig.broker, RH_WIRE_STEP_ENDED, &msg);
	rig_run_sh(&rig, "true", &result);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	rig_close(&step);

	/* The agent is its last parent: it does not stay a zombie. */
	for (int i = 0; i < 2000 && kill(pid, 0) == 0; i++)
		(void)usleep(5000);
	ck_assert_int_eq(kill(pid, 0), -1);
	ck_assert_int_eq(errno, ESRCH);
}
END_TEST

START_TEST(file_commands_are_swept_before_exit)
{
	char path[64], entry[96];
	char *envp[] = {entry, NULL};
	char *argv[4];
	struct rh_block_spec spec = rig_sh(argv, "rm -f $GITHUB_ENV; mkfifo $GITHUB_ENV");
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/_runner_file_commands", rig.dir);
	ck_assert_int_eq(mkdir(path, 0777), 0);
	(void)snprintf(entry, sizeof(entry), "GITHUB_ENV=%s/set_env_1", path);
	spec.envp = envp;
	rig_run(&rig, &spec, &result);
	ck_assert_int_eq(result.exit_code, 0);
	ck_assert_int_eq(stat(entry + strlen("GITHUB_ENV="), &st), -1);
}
END_TEST

static void tests(Suite *suite)
{
	const TTest *const all[] = {status_and_streams_arrive, death_by_signal_is_128_and_more,
		stdin_is_a_pipe_with_an_end, streams_can_be_opened_again,
		nothing_but_three_descriptors_is_inherited, the_process_is_as_the_block_says,
		the_oom_score_is_above_the_agents, each_step_leads_a_group,
		what_cannot_be_executed_is_told_as_by_a_shell,
		a_program_of_the_host_is_found_by_its_base_name, arguments_up_to_the_kernels_limit,
		a_background_process_lives_on_and_holds_nobody_up,
		file_commands_are_swept_before_exit};
	TCase *steps = tcase_create("steps");

	tcase_add_checked_fixture(steps, start, stop);
	tcase_set_timeout(steps, 60);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tcase_add_test(steps, all[i]);
	suite_add_tcase(suite, steps);
}

RH_TEST_MAIN("step", tests);
