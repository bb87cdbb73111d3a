/* SPDX-License-Identifier: Apache-2.0 */

/*
 * broker/agent: the agent and its broker and clients: lease, links, reports, signals, losses.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/agent/report.h"
#include "broker/agent/step.h"
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

static struct rig_step go(const char *script)
{
	char *argv[4];
	struct rh_block_spec spec = rig_sh(argv, script);

	return rig_go(&rig, &spec, false);
}

/* Waits for a word on the step's output: it is up. */
static void await_word(const struct rig_step *step, const char *word)
{
	char text[64] = "";
	size_t n = 0;

	while (!strstr(text, word)) {
		ssize_t r = read(step->out, text + n, sizeof(text) - 1 - n);

		ck_assert_int_gt(r, 0);
		n += (size_t)r;
	}
}

static void expect_report(struct rh_wire_step_report *ret_report)
{
	struct rh_wire_msg msg;

	rig_expect(rig.broker, RH_WIRE_STEP_ENDED, &msg);
	memcpy(ret_report, msg.body, sizeof(*ret_report));
}

START_TEST(a_second_lease_is_refused)
{
	struct rh_id other;
	int newer = -1;

	ck_assert_int_eq(rh_id_new(&other), 0);
	ck_assert_int_eq(rig_lease(rig.broker, &other, 0, 0), RH_WIRE_REFUSED);
	ck_assert_int_eq(rig_lease(rig.broker, &rig.job, 0, 0), RH_WIRE_LEASED);
	newer = rig_connect(&rig);

	struct rh_wire_state state = rig_hello(newer);

	ck_assert_uint_eq(state.flags, RH_WIRE_STATE_LEASED);
	ck_assert(rh_id_equal(&state.job, &rig.job));
	ck_assert_int_eq(rig_lease(newer, &other, 0, 0), RH_WIRE_REFUSED);
	rh_close(newer);
}
END_TEST

START_TEST(the_newest_broker_wins)
{
	int newer = rig_connect(&rig);

	(void)rig_hello(newer);
	rig_expect_eof(rig.broker);
	rh_close(rig.broker);
	rig.broker = newer;
	rig_run_sh(&rig, "exit 3", &result);
	ck_assert_int_eq(result.exit_code, 3);
}
END_TEST

START_TEST(reports_come_again_until_acknowledged)
{
	struct rh_wire_step_report first, second, again;
	struct rig_step steps[2] = {go("exit 1"), go("exit 2")};
	struct rh_wire_msg msg;

	for (int i = 0; i < 2; i++) {
		rig_expect(steps[i].channel, RH_WIRE_EXIT, &msg);
		rig_close(&steps[i]);
	}
	expect_report(&first);
	expect_report(&second);

	struct rh_wire_step_ref ref = {.job = rig.job, .step = first.step};

	ck_assert_int_eq(rh_wire_send(rig.broker, RH_WIRE_STEP_ACK, &ref, sizeof(ref), NULL, 0), 0);
	rh_close(rig.broker);
	rig.broker = rig_connect(&rig);

	struct rh_wire_state state = rig_hello(rig.broker);

	ck_assert_uint_eq(state.n_steps, 0);
	ck_assert_uint_eq(state.last_step, 2);
	expect_report(&again);
	ck_assert_mem_eq(&again, &second, sizeof(again));
}
END_TEST

START_TEST(steps_outlive_their_broker)
{
	struct rig_step step = go("read line < /dev/null; sleep 0.3; exit 5");

	rh_close(rig.broker);
	rig.broker = -1;

	struct rh_wire_msg msg;

	rig_expect(step.channel, RH_WIRE_EXIT, &msg);
	ck_assert_int_eq(((const struct rh_wire_exit *)msg.body)->exit_code, 5);
	rig.broker = rig_connect(&rig);
	(void)rig_hello(rig.broker);

	struct rh_wire_step_report report;

	expect_report(&report);
	ck_assert_int_eq(report.exit_code, 5);
	ck_assert_uint_gt(report.wall_us, 250000);
	rig_close(&step);
}
END_TEST

START_TEST(nonsense_closes_the_link_and_nothing_else)
{
	struct rig_step step = go("sleep 0.2; exit 6");

	ck_assert_int_eq(send(rig.broker, "nonsense", 8, MSG_NOSIGNAL), 8);
	rig_expect_eof(rig.broker);
	rh_close(rig.broker);
	rig.broker = rig_connect(&rig);
	ck_assert_uint_eq(rig_hello(rig.broker).n_steps, 1);
	rig_finish(&rig, &step, &result);
	ck_assert_int_eq(result.exit_code, 6);

	/* A STEP without its descriptors. */
	struct rh_wire_step_ref ref = {.job = rig.job, .step = 99};

	ck_assert_int_eq(rh_wire_send(rig.broker, RH_WIRE_STEP, &ref, sizeof(ref), NULL, 0), 0);
	rig_expect_eof(rig.broker);
}
END_TEST

START_TEST(without_go_a_step_does_not_run)
{
	char *argv[4];
	char script[64];
	struct rh_wire_step_report report;
	struct rh_wire_msg msg;

	(void)snprintf(script, sizeof(script), "touch %s/ran", rig.dir);

	struct rh_block_spec spec = rig_sh(argv, script);
	struct rig_step step = rig_send(&rig, &spec, false);

	rig_expect(step.channel, RH_WIRE_READY, &msg);
	rig_signal(&step, SIGINT); /* changes nothing before GO */
	rig_close(&step);
	expect_report(&report);
	ck_assert_uint_eq(report.flags, RH_WIRE_STEP_NOT_RUN);
	ck_assert_int_eq(report.exit_code, 1);
	(void)snprintf(script, sizeof(script), "%s/ran", rig.dir);
	ck_assert_int_eq(access(script, F_OK), -1);
}
END_TEST

START_TEST(a_repeated_step_does_not_run_again)
{
	struct rig_step step = go("exit 0");
	char *argv[4];
	struct rh_block_spec spec = rig_sh(argv, "exit 1");

	rig_finish(&rig, &step, &result);
	rig.last_id = 0;

	struct rig_step again = rig_send(&rig, &spec, false);

	/* Its end of the channel is closed without a word: not run. */
	rig_expect_eof(again.channel);
	rig_close(&again);
	rig.last_id = 1;
	rig_run_sh(&rig, "exit 4", &result);
	ck_assert_int_eq(result.exit_code, 4);
}
END_TEST

START_TEST(a_step_of_another_job_is_refused)
{
	char *argv[4];
	struct rh_block_spec spec = rig_sh(argv, "true");
	struct rh_id job = rig.job;
	struct rh_wire_msg msg;

	rig.job.bytes[0] ^= 1;

	struct rig_step step = rig_send(&rig, &spec, false);

	rig.job = job;
	rig_expect(step.channel, RH_WIRE_EXIT, &msg);
	ck_assert_int_eq(((const struct rh_wire_exit *)msg.body)->exit_code, 1);
	ck_assert_ptr_nonnull(strstr((const char *)msg.body + sizeof(struct rh_wire_exit),
		"does not hold the step's job"));
	rig_close(&step);
	rig_run_sh(&rig, "exit 4", &result);
	ck_assert_int_eq(result.exit_code, 4);
}
END_TEST

START_TEST(bad_streams_are_refused_with_a_reason)
{
	char *argv[4];
	struct rh_block_spec spec = rig_sh(argv, "true");
	struct rh_wire_step_ref ref = {.job = rig.job, .step = ++rig.last_id};
	struct rh_wire_msg msg;
	int channel[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel), 0);

	int fds[5] = {rh_block_seal(&spec), open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 1, 2,
		channel[1]};

	ck_assert_int_eq(rh_wire_send(rig.broker, RH_WIRE_STEP, &ref, sizeof(ref), fds, 5), 0);
	rig_expect(channel[0], RH_WIRE_EXIT, &msg);
	ck_assert_ptr_nonnull(strstr((const char *)msg.body + sizeof(struct rh_wire_exit),
		"runnerhub: a standard stream"));
	rh_close(fds[0]);
	rh_close(fds[1]);
	rh_close(channel[0]);
	rh_close(channel[1]);
}
END_TEST

START_TEST(a_block_that_is_none_is_refused_with_a_reason)
{
	struct rh_wire_step_ref ref = {.job = rig.job, .step = ++rig.last_id};
	struct rh_wire_msg msg;
	int channel[2];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel), 0);

	int fds[5] = {null, null, null, null, channel[1]};

	ck_assert_int_eq(rh_wire_send(rig.broker, RH_WIRE_STEP, &ref, sizeof(ref), fds, 5), 0);
	rig_expect(channel[0], RH_WIRE_READY, &msg);
	rig_expect(channel[0], RH_WIRE_EXIT, &msg);
	ck_assert_ptr_nonnull(strstr(
		(const char *)msg.body + sizeof(struct rh_wire_exit), "runnerhub: cannot start"));
	rh_close(null);
	rh_close(channel[0]);
	rh_close(channel[1]);
}
END_TEST

START_TEST(go_may_lie_in_the_channel)
{
	char *argv[4];
	struct rh_block_spec spec = rig_sh(argv, "echo ran; exit 6");
	struct rh_wire_msg msg;

	rig.go_ahead = true;

	struct rig_step step = rig_send(&rig, &spec, false);

	rig_expect(step.channel, RH_WIRE_READY, &msg);
	rig_finish(&rig, &step, &result);
	ck_assert_str_eq(result.out, "ran\n");
	ck_assert_int_eq(result.exit_code, 6);
}
END_TEST

/* READY cannot be said, so the program must not run, although GO is there. */
START_TEST(what_was_taken_back_does_not_run)
{
	char *argv[4];
	char file[] = "/tmp/rh-taken-back-XXXXXX";
	char script[64];
	struct rh_wire_step_report report;
	struct rh_wire_msg msg;

	rh_close(mkstemp(file));
	(void)snprintf(script, sizeof(script), "rm %s", file);

	struct rh_block_spec spec = rig_sh(argv, script);

	rig.go_ahead = true;
	rig.take_back = true;

	struct rig_step step = rig_send(&rig, &spec, false);

	expect_report(&report);
	ck_assert_uint_eq(report.flags, RH_WIRE_STEP_NOT_RUN);
	rig_close(&step);
	ck_assert_int_eq(access(file, F_OK), 0);
	rig.take_back = false;
	step = rig_send(&rig, &spec, false);
	rig_expect(step.channel, RH_WIRE_READY, &msg);
	rig_finish(&rig, &step, &result);
	ck_assert_int_eq(access(file, F_OK), -1);
}
END_TEST

START_TEST(signals_go_to_the_main_process_alone)
{
	struct rig_step step =
		go("trap 'echo int' INT; trap 'echo term; exit 9' TERM; "
		   "(trap 'echo child' INT TERM; echo up; while :; do sleep 0.05; done) & "
		   "while :; do sleep 0.05; done");

	await_word(&step, "up");
	rig_signal(&step, SIGUSR1); /* none of those that are relayed */
	rig_signal(&step, SIGINT);
	await_word(&step, "int");
	rig_signal(&step, SIGTERM);
	/* The child, which had the trap too, was killed with the group: the pipes end. */
	rig_finish(&rig, &step, &result);
	ck_assert_str_eq(result.out, "term\n");
	ck_assert_int_eq(result.exit_code, 9);
	ck_assert_uint_eq(result.flags, RH_WIRE_STEP_CANCELLED);
	ck_assert_uint_eq(result.report.flags, RH_WIRE_STEP_CANCELLED);
}
END_TEST

START_TEST(a_dead_client_takes_its_process_group_along)
{
	struct rig_step step = go("trap '' TERM INT HUP; sleep 100 & echo up; sleep 100");
	struct rh_wire_step_report report;
	char more[8];

	await_word(&step, "up");
	rh_close(step.channel);
	step.channel = -1;
	expect_report(&report);
	ck_assert_uint_eq(report.flags, RH_WIRE_STEP_CLIENT_LOST);
	ck_assert_int_eq(report.signal, SIGKILL);
	/* Both were holding the pipe. */
	ck_assert_int_eq(read(step.out, more, sizeof(more)), 0);
	rig_close(&step);
}
END_TEST

static void send_kill(uint64_t id, const char *why)
{
	struct {
		struct rh_wire_step_ref ref;
		char why[64];
	} body = {.ref = {.job = rig.job, .step = id}};

	(void)snprintf(body.why, sizeof(body.why), "%s", why);
	ck_assert_int_eq(rh_wire_send(rig.broker, RH_WIRE_STEP_KILL, &body,
				 sizeof(body.ref) + strlen(why), NULL, 0),
		0);
}

/* Its main process makes another's group its own. */
START_TEST(a_step_that_left_its_group_ends_all_the_same)
{
	struct rig_step step = go("exec python3 -c 'import os, time\n"
				  "child = os.fork()\n"
				  "if child == 0:\n"
				  "  os.closerange(0, 3); time.sleep(100)\n"
				  "os.setpgid(child, child); os.setpgid(0, child)\n"
				  "print(\"up\", flush=True); time.sleep(100)'");

	await_word(&step, "up");
	send_kill(step.id, "runnerhub: too long");
	rig_finish(&rig, &step, &result);
	ck_assert_int_eq(result.exit_code, 128 + SIGKILL);
}
END_TEST

START_TEST(a_step_that_the_broker_ends_says_why)
{
	struct rig_step step = go("trap '' TERM INT HUP; sleep 100 & echo up; sleep 100");

	await_word(&step, "up");
	send_kill(step.id + 1, "runnerhub: of one that is not running");
	send_kill(step.id, "runnerhub: too long");
	rig_finish(&rig, &step, &result);
	ck_assert_int_eq(result.exit_code, 128 + SIGKILL);
	ck_assert_str_eq(result.text, "runnerhub: too long\n");
}
END_TEST

START_TEST(nonsense_on_a_channel_is_a_dead_client)
{
	struct rig_step step = go("sleep 100");
	struct rh_wire_step_report report;

	ck_assert_int_eq(send(step.channel, "x", 1, MSG_NOSIGNAL), 1);
	expect_report(&report);
	ck_assert_uint_eq(report.flags, RH_WIRE_STEP_CLIENT_LOST);
	rig_close(&step);
}
END_TEST

START_TEST(many_at_once)
{
	enum { N = 64 };
	static struct rig_step steps[N];
	bool seen[N + 1] = {false};

	for (int i = 0; i < N; i++) {
		char script[64];

		(void)snprintf(script, sizeof(script), "read x; exit %d", i);

		char *argv[4];
		struct rh_block_spec spec = rig_sh(argv, script);

		steps[i] = rig_go(&rig, &spec, true);
	}
	for (int i = N - 1; i >= 0; i--)
		ck_assert_int_eq(write(steps[i].in, "\n", 1), 1);
	for (int i = 0; i < N; i++) {
		rig_finish(&rig, &steps[i], &result);
		ck_assert_int_eq(result.exit_code, i);
		ck_assert(!seen[result.report.step]);
		seen[result.report.step] = true;
	}
}
END_TEST

START_TEST(more_than_the_most_are_refused)
{
	static struct rig_step steps[RH_STEPS_MAX];
	char *argv[4];
	struct rh_block_spec spec = rig_sh(argv, "true");
	struct rh_wire_step_report report;
	struct rh_wire_msg msg;

	/* Waiting for GO they count too. */
	for (size_t i = 0; i < RH_STEPS_MAX; i++) {
		steps[i] = rig_send(&rig, &spec, false);
		rig_expect(steps[i].channel, RH_WIRE_READY, &msg);
		rh_close(steps[i].out);
		rh_close(steps[i].err);
		steps[i].out = steps[i].err = -1;
	}

	struct rig_step step = rig_send(&rig, &spec, false);

	rig_expect(step.channel, RH_WIRE_EXIT, &msg);
	ck_assert_ptr_nonnull(strstr(
		(const char *)msg.body + sizeof(struct rh_wire_exit), "too many steps at once"));
	rig_close(&step);
	expect_report(&report);
	ck_assert_uint_eq(report.flags, RH_WIRE_STEP_NOT_RUN);
	for (size_t i = 0; i < RH_STEPS_MAX; i++) {
		rig_close(&steps[i]);
		expect_report(&report);
	}
	/* A broker that did not acknowledge gets all that is kept once more. */
	rh_close(rig.broker);
	rig.broker = rig_connect(&rig);
	ck_assert_uint_eq(rig_hello(rig.broker).last_step, RH_STEPS_MAX + 1);
	for (size_t i = 0; i < RH_REPORTS_MAX; i++)
		expect_report(&report);
	rig_run_sh(&rig, "exit 8", &result);
	ck_assert_int_eq(result.exit_code, 8);
}
END_TEST

static bool from_nowhere(uid_t uid, pid_t pid)
{
	return false;
}

START_TEST(others_are_turned_away)
{
	int status = 0;

	rig_start_agent(&rig, from_nowhere);
	rig.broker = rig_connect(&rig);
	rig_expect_eof(rig.broker);
	/* Nor does it stop for them. */
	ck_assert_int_eq(kill(rig.agent, SIGTERM), 0);
	rh_close(rig.broker);
	rig.broker = rig_connect(&rig);
	rig_expect_eof(rig.broker);
	ck_assert_int_eq(kill(rig.agent, SIGKILL), 0);
	ck_assert_int_eq(waitpid(rig.agent, &status, 0), rig.agent);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	rig_clean(&rig);
}
END_TEST

/* A sender inside may claim to be nobody it knows: only the kernel's own word counts. */
START_TEST(a_signal_with_a_forged_sender_is_left_out)
{
	siginfo_t info = {.si_signo = SIGTERM, .si_code = SI_QUEUE};

	rig_start_agent(&rig, NULL);
	rig.broker = rig_connect(&rig);
	(void)rig_hello(rig.broker);
	ck_assert_int_eq((int)syscall(SYS_rt_sigqueueinfo, rig.agent, SIGTERM, &info), 0);
	ck_assert_int_eq(rig_lease(rig.broker, &rig.job, getuid(), getgid()), RH_WIRE_LEASED);
	rig_run_sh(&rig, "echo here", &result);
	ck_assert_str_eq(result.out, "here\n");
	rig_stop(&rig);
}
END_TEST

START_TEST(a_plain_user_has_its_streams_and_its_ids)
{
	const uid_t uid = getuid() == 0 ? 12345 : getuid();
	const gid_t gid = getuid() == 0 ? 12346 : getgid();
	char expected[64];

	rig_start_agent(&rig, NULL);
	rig.broker = rig_connect(&rig);
	(void)rig_hello(rig.broker);
	ck_assert_int_eq(rig_lease(rig.broker, &rig.job, uid, gid), RH_WIRE_LEASED);
	rig_run_sh(&rig, "id -u >/dev/stdout; id -g | tee /dev/stderr; id -G; echo $HOME", &result);
	(void)snprintf(expected, sizeof(expected), "%u\n%u\n%u\n/\n", (unsigned int)uid,
		(unsigned int)gid, (unsigned int)gid);
	ck_assert_int_eq(result.exit_code, 0);
	if (getuid() == 0)
		ck_assert_str_eq(result.out, expected);
	rig_run_sh(&rig, "cat /proc/$PPID/environ", &result);
	ck_assert_int_ne(result.exit_code, 0);
	rig_stop(&rig);
}
END_TEST

static void tests(Suite *suite)
{
	const TTest *const all[] = {a_second_lease_is_refused, the_newest_broker_wins,
		reports_come_again_until_acknowledged, steps_outlive_their_broker,
		nonsense_closes_the_link_and_nothing_else, without_go_a_step_does_not_run,
		a_repeated_step_does_not_run_again, a_step_of_another_job_is_refused,
		bad_streams_are_refused_with_a_reason,
		a_block_that_is_none_is_refused_with_a_reason, go_may_lie_in_the_channel,
		what_was_taken_back_does_not_run, signals_go_to_the_main_process_alone,
		a_dead_client_takes_its_process_group_along, a_step_that_the_broker_ends_says_why,
		a_step_that_left_its_group_ends_all_the_same,
		nonsense_on_a_channel_is_a_dead_client, many_at_once,
		more_than_the_most_are_refused};
	TCase *leased = tcase_create("leased");

	tcase_add_checked_fixture(leased, start, stop);
	tcase_set_timeout(leased, 60);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tcase_add_test(leased, all[i]);
	suite_add_tcase(suite, leased);
	RH_ADD_TESTS(suite, "others", others_are_turned_away,
		a_signal_with_a_forged_sender_is_left_out,
		a_plain_user_has_its_streams_and_its_ids);
}

RH_TEST_MAIN("agent", tests);
